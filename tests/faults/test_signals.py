"""A run that reads, maps and writes is ended by signals at whatever moment: soon, and with nothing left of it."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from sessions import wait_until_gone

import lightdata as ld

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

WITHIN_S = 3.5
"""2 s on a machine that has nothing else to do."""

CODES = {"SIGINT": {-2}, "SIGTERM": {143, -15}, "SIGHUP": {129, -1}}
"""How a program ends; by the signal itself where no query is open yet."""

JOB = """
print("go", flush=True)
import os, sys, time
import lightdata as ld
ld.config(workers=2, progress=False)
is_held = sys.argv[3] == "resume"
def slow(row):
    time.sleep(0.001)
    if is_held and row["path"].endswith("0630.png") and not os.path.exists("go on"):
        time.sleep(60)
    return {"image": row["image"], "name": os.path.basename(row["path"])}
photos = ld.read_images(sys.argv[1], include_paths=True)
photos.map(slow).write_parquet(sys.argv[2], max_rows_per_file=20, resume=sys.argv[3] == "resume")
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """640 small images, which take about a second."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(640):
        Image.fromarray(np.full((6, 6, 3), number % 256, np.uint8)).save(folder / f"{number:04d}.png")
    return folder


def started(photos, folder, program=JOB, *words):
    """Start a job that writes to ``out`` in a folder, where it has its temporary files too."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", program, str(photos), str(folder / "out"), *(words or ["anew"])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder / "tmp")},
    )


def ended(process, kind, *, twice_after_s=None, to_all=True):
    """Send a signal, or the same once more, and give the exit code, what was printed, and the processes left."""
    send = os.killpg if to_all else os.kill
    began = time.monotonic()
    try:
        send(process.pid, getattr(signal, kind))
        if twice_after_s is not None:
            time.sleep(twice_after_s)
            send(process.pid, getattr(signal, kind))
    except ProcessLookupError:
        pass  # it was faster
    _, err = process.communicate(timeout=30)
    left = wait_until_gone(process.pid, 0.5)
    assert time.monotonic() - began < WITHIN_S
    return process.returncode, err, left


def hidden(folder):
    return sorted(path.name for path in folder.rglob(".lightdata-*"))


def assert_nothing_or_all(folder, shared_before):
    """There is no temporary file, no shared memory, and no output but a whole one."""
    assert list((folder / "tmp").iterdir()) == []
    assert {*os.listdir("/dev/shm")} <= shared_before  # noqa: S108 - looked at alone
    if (folder / "out").exists():
        assert hidden(folder) == []
        assert (folder / "out" / "_SUCCESS").exists()
        assert ld.read_parquet(folder / "out").count() == 640


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("moments", "seed"), [(5, 7), pytest.param(100, 1, marks=pytest.mark.slow)])
def test_a_signal_at_a_random_moment_leaves_nothing_or_all(tmp_path, photos, moments, seed):
    """SIGINT, SIGTERM, SIGHUP and two Ctrl-C: the import, the start, the run, the commit and the end are all met."""
    draw = random.Random(seed)
    for moment in range(moments):
        kind = ("SIGINT", "SIGTERM", "SIGINT", "SIGHUP")[moment % 4]
        twice_after_s = draw.uniform(0, 0.2) if moment % 4 == 2 else None
        folder, shared = tmp_path / str(moment), {*os.listdir("/dev/shm")}  # noqa: S108 - looked at alone
        process = started(photos, folder)
        process.stdout.readline()
        time.sleep(draw.uniform(0, 2.0))
        code, err, left = ended(process, kind, twice_after_s=twice_after_s, to_all=draw.random() < 0.5)
        assert left == []
        assert code in CODES[kind] or (code == 0 and (folder / "out" / "_SUCCESS").exists())
        assert "ignored" not in err, err
        assert kind == "SIGINT" or err == ""
        assert_nothing_or_all(folder, shared)


@pytest.mark.parametrize(
    ("kind", "times"),
    [("SIGINT", 1), *(pytest.param(kind, 6, marks=pytest.mark.slow) for kind in ("SIGINT", "SIGTERM", "SIGHUP"))],
)
def test_a_resumable_run_keeps_its_parts_in_one_hidden_folder(tmp_path, photos, kind, times):
    """With ``resume=True`` a signal leaves one hidden folder in the target alone, which the next run takes."""
    draw = random.Random(kind)
    for turn in range(times):
        folder = tmp_path / str(turn)
        process = started(photos, folder, JOB, "resume")
        deadline = time.monotonic() + 30
        while not any((folder / "out").glob(".lightdata-*/done-*")):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.05))
        code, _, left = ended(process, kind)
        assert (code in CODES[kind], left) == (True, [])
        (kept,) = (folder / "out").iterdir()
        assert kept.name.startswith(".lightdata-")
        assert list(kept.glob("done-*"))
        assert list((folder / "tmp").iterdir()) == []
        (folder / "go on").touch()
        again = started(photos, folder, JOB, "resume")
        _, err = again.communicate(timeout=60)
        assert (again.returncode, err, hidden(folder)) == (0, "", [])
        assert ld.read_parquet(folder / "out").count() == 640


AT_EVERY_LINE = """
import json, os, shutil, signal, sys
import polars, pyarrow.parquet
import lightdata as ld
target, mode, kind, step, again = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
ld.config(workers=0, progress=False)
data = ld.range(70).with_columns(x=ld.col("id") * 2)

def sending(nth):
    lines = [0]
    def line(frame, event, arg):
        lines[0] += 1
        if lines[0] in (nth, nth + again):
            os.kill(os.getpid(), getattr(signal, kind))
        return line
    def call(frame, event, arg):
        name = frame.f_code.co_filename
        is_ours = "/io/sinks/" in name or name.endswith(("writing.py", "interrupt.py"))
        return line(frame, event, arg) if is_ours else None
    return call

def in_child(work):
    pid = os.fork()
    if not pid:
        try:
            work()
        except (KeyboardInterrupt, SystemExit):
            os._exit(2)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def job(nth):
    sys.settrace(sending(nth))
    try:
        data.write_parquet(target, mode=mode, max_rows_per_file=30)
    finally:
        sys.settrace(None)

told = {}
for nth in range(1, 100_000, step):
    shutil.rmtree(target, ignore_errors=True)
    if mode != "error":
        ld.range(5).with_columns(x=ld.col("id")).write_parquet(target)
    code = in_child(lambda: job(nth))
    left = [f"{one}/{name}"[len(target):] for one, _, names in os.walk(target) for name in names or [""]]
    told.setdefault(json.dumps(sorted(left)), []).append((nth, code))
    if code == 0:
        break
print(json.dumps(told))
"""


SIGNALS = [("SIGINT", 11, 0), ("SIGTERM", 19, 0), ("SIGINT", 19, 1), ("SIGINT", 23, 30)]
"""What is sent, at each how-many-th line, and how many lines later once more."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("mode", "kind", "step", "again"),
    [
        ("overwrite", "SIGINT", 131, 4),
        *(
            pytest.param(mode, *sent, marks=pytest.mark.slow)
            for mode in ("error", "overwrite", "append")
            for sent in SIGNALS
        ),
    ],
)
def test_a_signal_at_any_line_of_the_commit_leaves_nothing_or_all(tmp_path, mode, kind, step, again):
    """At every n-th line of what stages and commits the target is as it was, or has all; after two signals too."""
    command = [sys.executable, "-c", AT_EVERY_LINE, str(tmp_path / "out"), mode, kind, str(step), str(again)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    parts = [f"/part-{number:05d}.parquet" for number in range(4)]
    before = {"error": [], "overwrite": ["/_SUCCESS", parts[0]], "append": ["/_SUCCESS", parts[0]]}[mode]
    after = ["/_SUCCESS", *parts[: 4 if mode == "append" else 3]]
    assert {tuple(json.loads(left)) for left in told} == {tuple(before), tuple(after)}, told


START = """
import os, sys, time
import lightdata as ld
ld.config(workers=2, progress=False)
ld.range(2).collect()
print("go", flush=True)
list(ld.read_images(sys.argv[1], include_paths=True).map(lambda row: time.sleep(0.002) or row).iter_rows())
"""

SLEEPS = """
import os, sys, time
import lightdata as ld
ld.config(workers=2, progress=False)
for batch in ld.read_images(sys.argv[1], include_paths=True).map(lambda row: row).iter_batches(batch_size=8):
    print("go", flush=True)
    time.sleep(60)
"""

IMPORTS = """
print("go", flush=True)
import lightdata as ld
"""


@pytest.mark.parametrize(
    ("program", "most_s"),
    [
        pytest.param(START, 0.4, id="workers start"),
        pytest.param(SLEEPS, 0.3, id="the consumer sleeps"),
        pytest.param(IMPORTS, 0.15, id="import", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    ("kind", "times"), [("SIGINT", 2), *(pytest.param(kind, 12, marks=pytest.mark.slow) for kind in CODES)]
)
def test_a_signal_while_little_happens_is_heard(tmp_path, photos, program, most_s, kind, times):
    """During the import, while workers start, and while a consumer sleeps between two batches."""
    draw = random.Random(f"{kind}{most_s}")
    shared = {*os.listdir("/dev/shm")}  # noqa: S108 - looked at alone
    for _ in range(times):
        process = started(photos, tmp_path, program)
        process.stdout.readline()
        time.sleep(draw.uniform(0, most_s))
        code, err, left = ended(process, kind, to_all=draw.random() < 0.5)
        assert code in CODES[kind] or (code == 0 and program is not SLEEPS)
        assert (left, "ignored" in err) == ([], False), err
        assert_nothing_or_all(tmp_path, shared)


def test_two_interrupts_in_a_session_leave_no_worker_behind(tmp_path, photos):
    """A session that goes on after Ctrl-C, pressed twice, has no more workers than it uses."""
    script = """
import os, sys, time
import lightdata as ld
from lightdata.execute import processes
ld.config(workers=2, progress=False)
photos = ld.read_images(sys.argv[1], include_paths=True)
for turn in range(6):
    try:
        try:
            print("go", flush=True)
            photos.map(lambda row: time.sleep(0.01) or row).take_all()
        finally:
            print("next", flush=True)
    except KeyboardInterrupt:
        pass
    while True:
        try:
            while not os.path.exists(f"{turn}.sent"):  # else a signal falls into the next turn, or behind the last
                time.sleep(0.01)
            break
        except KeyboardInterrupt:
            pass
while True:
    try:
        assert photos.map(lambda row: {"n": 1}).count() == 640
        break
    except KeyboardInterrupt:
        pass
print(len(processes._everyone), flush=True)
"""
    draw = random.Random(3)
    process = started(photos, tmp_path, script)
    for turn in range(6):
        assert process.stdout.readline() == "go\n"
        time.sleep(draw.uniform(0, 0.8))
        process.send_signal(signal.SIGINT)
        time.sleep(draw.uniform(0, 0.02))
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "next\n"
        (tmp_path / f"{turn}.sent").touch()
    with process:
        workers, err = process.stdout.read(), process.stderr.read()
    assert (process.returncode, workers, wait_until_gone(process.pid)) == (0, "2\n", []), err
