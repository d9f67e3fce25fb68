"""How much memory a process and its children take; for tests that bound it."""

import subprocess
import time
from pathlib import Path

PROC = Path("/proc")


def tree(root):
    """List a process and all that come of it."""
    children = {}
    for folder in PROC.iterdir():
        if folder.name.isdecimal():
            try:
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(folder.name))
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def pss_bytes(pid):
    """Give the memory of a process, of what it shares with others its part; 0 if it is gone."""
    try:
        rows = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(row.split()[1]) << 10 for row in rows if row.startswith("Pss:")), 0)


def run_and_watch(command, *, pause_s=0.01, **how):
    """Run a command; gives what it printed and the most that it and its children took at once, as often as we look."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(pss_bytes, tree(process.pid))))
        time.sleep(pause_s)
    out, error = process.communicate()
    assert process.returncode == 0, error[-3000:]
    return out, peak
