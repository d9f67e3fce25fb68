"""Segments in all company: nested, beside workers, with few threads and little memory; none waits for another."""

import os
import signal
import subprocess
import sys
import time

import pytest

PRELUDE = """
import sys, threading, time
import numpy as np, polars as pl
import lightdata as ld
n = 300
def pixels(count):
    table = {"id": np.arange(count), "x": np.zeros((count, 8, 8, 3), np.uint8)}
    return ld.from_numpy(table)
def same(batch):
    return {name: column + 0 for name, column in batch.items()}
def ids(ds):
    return ds.select("id").to_arrow().column("id").to_pylist()
a = pixels(n).map_batches(same, batch_size=32)
b = pixels(n).map_batches(same, batch_size=32)
up, down = list(range(n)), list(range(n))[::-1]
"""

QUERIES = (
    PRELUDE  # noqa: S608 - a script, not a statement
    + """
ld.config(workers=int(sys.argv[1]), memory_limit_bytes=int(sys.argv[2]))
turned = a.sort("id", descending=True)
assert ids(a.join(b, on="id").sort("id")) == up
assert ids(turned.map_batches(same, batch_size=32)) == down
first = turned.map_batches(same).sort("id").map_batches(same).group_by("id").agg(pl.col("x").first())
assert ids(first.sort("id")) == up
assert ids(a.join(a, on="id").sort("id")) == up
assert ids(a.union(a).map_batches(same).sort("id"))[::2] == up
assert ids(ld.from_polars(turned.to_lazy()).map_batches(same).sort("id")) == up
assert ids(ld.from_polars(ld.from_polars(turned.to_lazy()).to_lazy().sort("id")).sort("id", descending=True)) == down
assert ids(ld.sql("select a.id from a join b on a.id = b.id order by a.id")) == up
for query in (a.join(b, on="id"), a.sort("id").map_batches(same), ld.from_polars(a.to_lazy()).map_batches(same),
              a.union(b).sort("id"), a.join(a, on="id").map_batches(same)):
    stream = query.iter_batches(batch_size=8)
    next(stream)
    stream.close()
assert threading.active_count() == 1, threading.enumerate()
print("done")
"""
)


def run(script, *arguments, threads=2, timeout_s=60):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)],
        env={**os.environ, "POLARS_MAX_THREADS": str(threads)},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("limit", [1 << 20, 2 << 30])
def test_segments_never_wait_for_each_other(threads, workers, limit):
    """Nested segments, joins of pixel pipelines, shared rows and early ends finish with any threads and memory."""
    done = run(QUERIES, workers, limit, threads=threads)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_segments_finish_with_one_thread_and_no_workers():
    """The same with the least there is, quickly enough for every day."""
    done = run(QUERIES, 0, 1 << 20, threads=1)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


ENDS = (
    PRELUDE
    + """
ld.config(workers=0)
many = pixels(3000).map_batches(same, batch_size=32)
stream = many.join(many, on="id").map_batches(same).iter_batches(batch_size=8)
next(stream)
stream.close()
"""
)


@pytest.mark.parametrize("attempt", range(3))
def test_a_script_may_end_right_after_a_segment(attempt):
    """A thread of Polars that is still pulling when the interpreter ends does not take it down."""
    done = run(ENDS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


INTERRUPTED = (
    PRELUDE
    + """
ld.config(workers=int(sys.argv[1]))
def slow(batch):
    time.sleep(0.05)
    return batch
query = pixels(100_000).map_batches(slow, batch_size=32).sort("id")
print("running", flush=True)
try:
    query.to_arrow()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
)


@pytest.mark.parametrize("workers", [0, 2])
def test_ctrl_c_ends_a_segment(workers):
    """An interrupt while a segment waits for its rows ends the query soon, as a KeyboardInterrupt."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", INTERRUPTED, str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "running\n"
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    try:
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "interrupted\n"), err
    assert time.monotonic() - began < 10


COLLECTED = (
    PRELUDE
    + """
rows = pl.DataFrame({"a": np.arange(20_000)})
query = ld.from_polars(rows.lazy()).join(rows, how="cross").filter((pl.col("a") * pl.col("a_right")).sin() > 2)
print("running", flush=True)
try:
    query.collect()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.stdout.close()
"""
)


def test_ctrl_c_ends_a_query_that_only_polars_runs():
    """An interrupt while Polars works on one frame for long is heard at once."""
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", COLLECTED], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "running\n"
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.stdout.readline() == "interrupted\n"
        assert time.monotonic() - began < 5
    finally:
        process.kill()
        process.communicate()
