"""The progress line, on a terminal of its own."""

import os
import re
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="a terminal is had from Unix alone")
termios = pytest.importorskip("termios")

WARM_UP_S, BATCH_S, BATCHES, ROWS = 1.5, 0.1, 20, 10
SLOW = f"""
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
print(sum(len(batch["id"]) for batch in ds.iter_batches(batch_size=None)))
"""
QUICK = """
import lightdata as ld
print(len(ld.range(100).map(lambda row: row).take_all()))
"""


def shown(script, *words):
    """Run a script on a terminal of 100 columns; give what it prints, and the lines that were on the terminal."""
    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (40, 100))
    with subprocess.Popen([sys.executable, "-c", script, *words], stdout=subprocess.PIPE, stderr=end, text=True) as run:
        os.close(end)
        content = b""
        while part := read(terminal):
            content += part
        os.close(terminal)
        printed = run.stdout.read()
    assert run.returncode == 0, content
    return int(printed), [line for line in content.decode().split("\r") if line.strip()]


def read(terminal):
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # Linux ends a terminal nobody writes to any more with an error
        return b""


@pytest.mark.parametrize("workers", ["0", "1"])
def test_the_rate_begins_with_the_first_batch(workers):
    """What a worker and its model take to start is in no rate that is shown, and the first batch's rows are counted."""
    rows, lines = shown(SLOW, workers)
    assert rows == BATCHES * ROWS
    assert re.search(rf" {ROWS}/{rows} \[00:00<\?, \? rows/s\]", lines[0]), lines
    rates = [float(rate) for line in lines for rate in re.findall(r"([0-9.]+) rows/s", line)]
    assert len(rates) >= BATCHES // 2
    wanted = ROWS / BATCH_S  # with the warm-up, rates would begin below a tenth of it and stay below half
    assert all(0.6 * wanted < rate < 1.2 * wanted for rate in rates), lines


def test_short_work_shows_nothing():
    """Less than a second leaves the terminal as it was."""
    assert shown(QUICK) == (100, [])
