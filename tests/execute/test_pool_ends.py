"""However a script ends, no worker process is left and nothing stray is printed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sessions import alive, wait_until_gone

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes in /proc")

PRELUDE = """
import os, sys, time
import numpy as np
import lightdata as ld
ld.config(workers=2)
rows = lambda n: ld.from_numpy({"id": np.arange(n), "x": np.zeros((n, 2, 2), np.float32)})
def say(*words):
    print(*words, flush=True)
"""


def start(tmp_path, script):
    file = tmp_path / "script.py"
    file.write_text(PRELUDE + script)
    return subprocess.Popen(
        [sys.executable, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=tmp_path,
    )


def finish(process, timeout_s=15):
    """Wait for a script; give its code, what it printed, and the processes it left."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        for pid in alive(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.communicate()
        pytest.fail("the script did not end")
    return process.returncode, out, err, wait_until_gone(process.pid)


def run(tmp_path, script):
    return finish(start(tmp_path, script))


def test_an_unguarded_script_runs_once_with_its_lambdas_closures_and_classes(tmp_path):
    """Functions, closures, classes and exceptions of __main__ work without an ``if __name__`` guard."""
    code, out, err, left = run(
        tmp_path,
        """
say("started")
offset = 7
factor = (lambda k: lambda row: {"id": row["id"] * k})(2)
class Add:
    def __init__(self, n): self.n = n
    def __call__(self, row): return {"id": row["id"] + self.n + offset}
class MineError(Exception): pass
def fail(row): raise MineError(str(row["id"]))
total = sum(r["id"] for r in rows(200).map(factor).map(Add, fn_constructor_args=(1,)).iter_rows())
say(total)
try:
    rows(200).map(fail).take_all()
except MineError as error:
    say("mine", error)
""",
    )
    assert (code, err, left) == (0, "", [])
    assert out.splitlines() == ["started", str(sum(2 * n + 8 for n in range(200))), "mine 0"]


@pytest.mark.slow
def test_what_a_function_prints_in_a_worker_is_seen(tmp_path):
    """Print works in workers, also where the output is no terminal."""
    code, out, err, left = run(tmp_path, 'say(rows(64).map(lambda row: print("row", row["id"]) or {"id": 1}).count())')
    assert (code, err, left) == (0, "", [])
    assert out.count("row ") == 64


def test_all_early_ends_together_leave_no_process_and_say_nothing(tmp_path):
    """A script that breaks off, drops and still holds streams and errors ends at once and quietly."""
    began = time.monotonic()
    code, out, err, left = run(
        tmp_path,
        """
query = rows(6400).map(lambda r: time.sleep(0.001) or {'id': r['id']})
query.head(100).take_all()
for r in query.iter_rows(): break
it = query.iter_batches(batch_size=8); next(it); del it
def bad(batch): raise ValueError("second")
try:
    query.flat_map(lambda r: [r]).map_batches(bad, batch_size=10).take_all()
except ValueError as error:
    kept = error
a = query.iter_rows(); next(a)
b = query.iter_batches(batch_size=8); next(b)
def long(row):
    if row["id"] >= 32: time.sleep(30)
    return row
it = rows(200).map(long).iter_batches(batch_size=8, prefetch_batches=0)
next(it)
began = time.monotonic()
it.close()
say(time.monotonic() - began < 3)
""",
    )
    assert (code, out, err, left) == (0, "True\n", "", [])
    assert time.monotonic() - began < 30


@pytest.mark.slow
@pytest.mark.parametrize(
    "ending",
    [
        "rows(6400).map(lambda r: {'id': r['id']}).head(100).take_all()",
        "for r in rows(6400).map(lambda r: time.sleep(0.001) or {'id': r['id']}).iter_rows(): break",
        "it = rows(6400).map(lambda r: time.sleep(0.001) or {'id': r['id']}).iter_rows(); next(it)",
        "it = rows(6400).map(lambda r: time.sleep(0.001) or {'id': r['id']}).iter_batches(batch_size=8); next(it)",
        "it = rows(6400).map(lambda r: time.sleep(0.001) or {'id': r['id']}).iter_batches(); next(it); del it",
        "it = rows(6400).map(lambda r: time.sleep(0.001) or {'id': r['id']}).iter_rows(); next(it); sys.exit(0)",
    ],
    ids=["head", "broken loop", "kept rows", "kept batches", "dropped batches", "sys.exit"],
)
def test_early_ends_leave_no_process_and_say_nothing(tmp_path, ending):
    """A consumer that stops early, or a script that ends while it holds a stream, ends at once and quietly."""
    began = time.monotonic()
    code, _, err, left = run(tmp_path, ending)
    assert (code, err, left) == (0, "", [])
    assert time.monotonic() - began < 10


@pytest.mark.slow
def test_an_exception_in_the_consumer_leaves_no_process(tmp_path):
    """Only the consumer's own traceback is printed."""
    code, _, err, left = run(
        tmp_path,
        """
for batch in rows(6400).map(lambda r: time.sleep(0.001) or {'id': r['id']}).iter_batches(batch_size=8):
    raise ValueError("mine")
""",
    )
    assert (code, left) == (1, [])
    assert err.rstrip().endswith("ValueError: mine")
    assert err.count("Traceback") == 1


@pytest.mark.slow
def test_an_error_that_is_kept_does_not_keep_the_interpreter(tmp_path):
    """A script that holds the error of a query of two stages ends at once."""
    code, _, err, left = run(
        tmp_path,
        """
def bad(batch): raise ValueError("second")
try:
    rows(6400).flat_map(lambda r: [r]).map_batches(bad, batch_size=10).take_all()
except ValueError as error:
    kept = error
""",
    )
    assert (code, err, left) == (0, "", [])


@pytest.mark.parametrize(
    "wait_s",
    [
        pytest.param(0.0, id="at once", marks=pytest.mark.slow),
        pytest.param(0.3, id="while workers start"),
        pytest.param(2.5, id="mid-run"),
    ],
)
def test_ctrl_c_ends_a_run(tmp_path, wait_s):
    """SIGINT to the whole process group raises KeyboardInterrupt in the script alone, and no worker is left."""
    process = start(
        tmp_path,
        """
say("go")
try:
    for row in rows(64000).map(lambda r: time.sleep(0.002) or {'id': r['id']}).iter_rows(): pass
except KeyboardInterrupt:
    say("interrupted")
    sys.exit(130)
""",
    )
    assert process.stdout.readline() == "go\n"
    time.sleep(wait_s)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    code, out, err, left = finish(process)
    if wait_s or out:  # at once, it may come before the try
        assert (code, out, err) == (130, "interrupted\n", "")
    assert left == []
    assert time.monotonic() - began < 3.5


@pytest.mark.slow
def test_the_next_query_works_after_ctrl_c(tmp_path):
    """A session that catches KeyboardInterrupt goes on with sound workers."""
    process = start(
        tmp_path,
        """
for turn in range(3):
    try:
        say("go")
        rows(64000).map(lambda r: time.sleep(0.002) or {'id': r['id']}).take_all()
    except KeyboardInterrupt:
        say(rows(200).map(lambda r: {'id': r['id']}).count())
""",
    )
    for _ in range(3):
        assert process.stdout.readline() == "go\n"
        time.sleep(1.2)
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "200\n"
    assert finish(process)[0::2] == (0, "")


@pytest.mark.parametrize(
    ("kind", "doing"),
    [
        pytest.param("SIGKILL", "[0 for _ in iter(int, 1)]", id="busy, SIGKILL"),
        pytest.param("SIGKILL", "time.sleep(30)", id="asleep, SIGKILL", marks=pytest.mark.slow),
    ],
)
def test_no_worker_outlives_its_killed_driver(tmp_path, kind, doing):
    """Workers end within 3 s of the calling process, though they are in the midst of a long function."""
    process = start(
        tmp_path,
        f"""
def long(row):
    open("begun", "w").close()
    {doing}
    return row
rows(200).map(long).take_all()
""",
    )
    deadline = time.monotonic() + 10
    while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(alive(process.pid)) >= 3
    os.kill(process.pid, getattr(signal, kind))
    code, _, err, left = finish(process)
    assert (code, err, left) == (-getattr(signal, kind), "", [])


@pytest.mark.parametrize(("kind", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("wait_s", [0.5, pytest.param(0.1, marks=pytest.mark.slow)])
def test_a_signal_to_end_leaves_nothing(tmp_path, kind, code, wait_s):
    """SIGTERM and SIGHUP end a run that writes as Ctrl-C does: soon, with their exit code, and with a clean target."""
    process = start(
        tmp_path,
        """
import signal
say("go")
rows(64000).map(lambda r: time.sleep(0.002) or {'id': r['id']}).write_parquet("out", max_rows_per_file=10)
""",
    )
    assert process.stdout.readline() == "go\n"
    while not (tmp_path / "out").exists():
        time.sleep(0.01)
    time.sleep(wait_s)
    began = time.monotonic()
    os.killpg(process.pid, getattr(signal, kind))
    found, out, err, left = finish(process)
    assert (found, out, err, left) == (code, "", "", [])
    assert time.monotonic() - began < 3.5
    assert not (tmp_path / "out").exists()


def test_a_programs_own_handlers_stay(tmp_path):
    """A handler of the program's is called as ever, and nohup's deafness stays; afterwards all is as it was."""
    code, out, err, _ = run(
        tmp_path,
        """
import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: say("mine"))
for row in rows(200).map(lambda r: {'id': r['id']}).iter_rows():
    if row["id"] == 100:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
say(row["id"], signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
rows(200).map(lambda r: {'id': r['id']}).count()
say(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
""",
    )
    assert (code, out, err) == (0, "mine\n199 True\nTrue\n", "")


@pytest.mark.slow
def test_a_forked_child_starts_workers_of_its_own(tmp_path):
    """A process forked off after a query neither uses nor ends its parent's workers."""
    code, out, _, left = run(
        tmp_path,
        """
query = rows(200).map(lambda r: {'id': os.getpid()})
first = {r["id"] for r in query.iter_rows()}
pid = os.fork()
if pid == 0:
    mine = {r["id"] for r in query.iter_rows()}
    say("child", mine.isdisjoint(first))
    sys.exit(0)
os.waitpid(pid, 0)
say("parent", {r["id"] for r in query.iter_rows()} <= first and os.getpid() not in first)
""",
    )
    assert (code, left) == (0, [])
    assert sorted(out.splitlines()) == ["child True", "parent True"]
