import os
import sys

import pytest

pytest.importorskip("resource", reason="processor time of children is told by Linux and macOS")
from process_tree import look, measure

WORK = """
import subprocess, sys
held = b"x" * 50_000_000
subprocess.run([sys.executable, "-c", "import time\\nwhile time.process_time() < .3: pass"])
print("done")
"""


def test_a_process_is_measured_with_its_children():
    """Memory that it holds, and processor time that its child took."""
    taken = measure([sys.executable, "-c", WORK])
    assert (taken.status, taken.output) == (0, "done\n")
    assert taken.wall_s >= 0.3
    assert taken.cpu_s >= 0.3
    assert taken.peak_bytes > 50_000_000


def test_a_process_that_fails_says_why():
    """The last line that it wrote as an error."""
    taken = measure([sys.executable, "-c", "raise SystemExit('no such job')"])
    assert (taken.status, taken.complaint) == (1, "no such job")


def test_this_process_uses_memory():
    """More than Python alone, and less than there is."""
    assert 5_000_000 < look(os.getpid())[os.getpid()].memory_bytes < 1e11
