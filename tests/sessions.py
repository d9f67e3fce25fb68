"""The processes of a session, and how to see the last of them; for tests of what a program leaves."""

import os
import signal
import time
from pathlib import Path


def alive(session):
    """List the processes of a session, by reading /proc."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_text()
            except OSError:
                continue
            state, *numbers = stat.rpartition(")")[2].split()
            if int(numbers[2]) == session and state != "Z":
                found.append(int(entry.name))
    return found


def wait_until_gone(session, within_s=3.0):
    """Give the processes of a session that are there after a while, and end them."""
    deadline = time.monotonic() + within_s
    while (left := alive(session)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return left
