"""The progress line, on a terminal of its own."""

import os
import re
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="a terminal is had from Unix alone")
termios = pytest.importorskip("termios")

WARM_UP_S, BATCH_S, BATCHES, ROWS = 3, 0.25, 12, 10
MODEL = f"""
import sys, time
import lightdata as ld

class Model:
    def __init__(self):
        time.sleep({WARM_UP_S})

    def __call__(self, batch):
        time.sleep({BATCH_S})
        return batch

ld.config(workers=int(sys.argv[1]))
ds = ld.range({BATCHES * ROWS}).map_batches(Model, batch_size={ROWS})
for batch in ds.iter_batches(batch_size=None):
    pass
"""
SLOW = """
import sys, time
import lightdata as ld

def slow(batch):
    time.sleep(0.3)
    return batch

ld.config(workers=0, progress=sys.argv[1] == "on")
ld.range(80).map_batches(slow, batch_size=10).count()
"""
QUICK = "import lightdata as ld; ld.range(100).map(lambda row: row).take_all()"


def on_terminal(script, *words):
    """Run a script whose stderr is a terminal; give the lines that it showed."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    process = subprocess.Popen([sys.executable, "-c", script, *words], stderr=theirs, stdin=theirs)
    os.close(theirs)
    shown = b""
    while part := read(ours):
        shown += part
    os.close(ours)
    assert process.wait(20) == 0, shown
    return [line for line in shown.decode().split("\r") if line.strip()]


def read(terminal):
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux says EIO when the last writer is gone
        return b""


def test_it_is_shown_on_a_terminal_only():
    """A line with the verb and rows on a terminal; nothing elsewhere."""
    assert any("count" in line for line in on_terminal(SLOW, "on"))
    silent = subprocess.run([sys.executable, "-c", SLOW, "on"], capture_output=True, check=True)
    assert (silent.stdout, silent.stderr) == (b"", b"")


@pytest.mark.slow
def test_it_can_be_switched_off():
    """config(progress=False) shows nothing on a terminal."""
    assert on_terminal(SLOW, "off") == []


def test_short_work_shows_nothing():
    """Less than a second leaves the terminal as it was."""
    assert on_terminal(QUICK) == []


@pytest.mark.parametrize("workers", ["0", "1"])
def test_the_rate_begins_with_the_first_batch(workers):
    """What a worker and its model take to start is in no rate that is shown, and the first batch's rows are counted."""
    lines = on_terminal(MODEL, workers)
    assert f" {ROWS}/{BATCHES * ROWS} [00:00<?, ? rows/s]" in lines[0], lines
    rates = [float(rate) for line in lines for rate in re.findall(r"([0-9.]+) rows/s", line)]
    assert len(rates) > 2
    # With the warm-up rates would begin below a tenth of what is true, and come near it only at the end.
    assert all(0.6 < rate * BATCH_S / ROWS < 2.5 for rate in rates), lines
