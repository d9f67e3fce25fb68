"""Polars' budget is set while queries run, and left alone where a user set it."""

import os
import subprocess
import sys

import polars as pl
import pytest

import lightdata as ld
from lightdata.io.memory_budget import memory_budget

NAME = "POLARS_OOC_MEMORY_BUDGET_MB"


def reloads(monkeypatch):
    seen = []
    real = pl.Config.reload_env_vars
    monkeypatch.setattr(pl.Config, "reload_env_vars", lambda: seen.append(os.environ.get(NAME)) or real())
    return seen


def test_a_budget_holds_while_queries_run(monkeypatch):
    """The first query sets the budget, the last one ends it, and the environment stays as it was."""
    monkeypatch.delenv(NAME, raising=False)
    seen = reloads(monkeypatch)
    with memory_budget(64 << 20), memory_budget(1 << 20):
        assert len(seen) == 1
        assert int(seen[0]) > 64
        assert NAME not in os.environ
    assert seen[1:] == [None]


def test_a_users_budget_stays(monkeypatch):
    """What the environment says is not overridden."""
    monkeypatch.setenv(NAME, "4321")
    seen = reloads(monkeypatch)
    with memory_budget(1):
        assert os.environ[NAME] == "4321"
    assert set(seen) <= {"4321"}


def test_a_query_closed_early_ends_its_budget(monkeypatch):
    """A stream that is closed does not leave its budget behind."""
    monkeypatch.delenv(NAME, raising=False)
    seen = reloads(monkeypatch)
    stream = ld.range(300_000).sort("id", descending=True).iter_batches()
    next(stream)
    stream.close()
    assert len(seen) == 2
    assert seen[1] is None


SCRIPT = """
import resource, sys
import numpy as np, polars as pl, lightdata as ld
if sys.argv[1] != "0":
    ld.config(memory_limit_bytes=int(sys.argv[1]) << 20)
n = 4_000_000
def source(columns, predicate, n_rows, batch_rows):
    for start in range(0, n, 100_000):
        draw = np.random.default_rng(start)
        frame = pl.DataFrame({"k": draw.integers(0, n, 100_000), "s": ["x" * 60] * 100_000})
        yield frame if columns is None else frame.select(columns)
frame = pl.io.plugins.register_io_source(source, schema={"k": pl.Int64, "s": pl.String})
rows, last = 0, -1
for batch in ld.from_polars(frame).sort("k").iter_batches(batch_size=None, batch_format="polars"):
    assert batch["k"].is_sorted() and batch["k"][0] >= last
    rows, last = rows + len(batch), batch["k"][-1]
assert rows == n
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10)
"""


@pytest.mark.slow
def test_a_sort_larger_than_the_limit_spills():
    """A sort of 300 MB under a limit of 50 MB finishes, in order, and takes 150 MB less than without."""
    peak = {}
    for limit in ("0", "50"):
        command = [sys.executable, "-W", "ignore", "-c", SCRIPT, limit]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        peak[limit] = int(done.stdout)
    assert peak["50"] < peak["0"] - 150
