"""What becomes of output that is there: each mode, two jobs at once, and jobs that die."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

import lightdata as ld
from lightdata.errors import ArgumentError, ExecutionError, OutputExistsError


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


def everything(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.name != "_SUCCESS")


def named(*names, value=0):
    return ld.from_items([{"image": np.full((3, 3), value, np.uint8), "name": name} for name in names])


WRITERS = {
    "parquet": lambda data, path, mode: data.write_parquet(path, mode=mode),
    "csv": lambda data, path, mode: data.write_csv(path, mode=mode),
    "json": lambda data, path, mode: data.write_json(path, mode=mode),
    "arrow": lambda data, path, mode: data.write_arrow(path, mode=mode),
    "numpy": lambda data, path, mode: data.write_numpy(path, "id", mode=mode),
    "webdataset": lambda data, path, mode: data.rename({"key": "__key__"}).write_webdataset(path, mode=mode),
}


def keyed(start, stop):
    return ld.from_items([{"id": n, "key": f"k{n}"} for n in range(start, stop)])


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_append_numbers_on(tmp_path, write):
    """Appending adds parts after the last one and leaves those there byte for byte."""
    (first,) = write(keyed(0, 3), tmp_path, "append").files
    before = (tmp_path / first).read_bytes()
    (second,) = write(keyed(3, 5), tmp_path, "append").files
    assert (tmp_path / first).read_bytes() == before
    assert [int(re.findall(r"\d+", name)[-1]) for name in (first, second)] == [0, 1]
    assert everything(tmp_path) == [first, second]


def test_append_after_a_gap_never_fills_it(tmp_path):
    """New parts come after the last that is there, wherever others were taken away."""
    (tmp_path / "part-00007.parquet").write_bytes(b"theirs")
    assert ld.range(3).write_parquet(tmp_path, mode="append").files == ("part-00008.parquet",)


def test_append_of_numbered_images(tmp_path):
    """Numbered images go on counting; named ones that are there are errors, and nothing is added then."""
    pixels = np.zeros((2, 3, 3), np.uint8)
    for _ in range(2):
        ld.from_numpy({"image": pixels}).write_images(tmp_path / "n", "image", mode="append")
    assert everything(tmp_path / "n") == [f"{n:06d}.png" for n in range(4)]
    named("a", "b").write_images(tmp_path / "m", "image", name="name", mode="append")
    named("c").write_images(tmp_path / "m", "image", name="name", mode="append")
    with pytest.raises(OutputExistsError, match=r"b\.png"):
        named("d", "b").write_images(tmp_path / "m", "image", name="name", mode="append")
    assert everything(tmp_path / "m") == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_ignore_runs_nothing_where_output_is(tmp_path, write):
    """mode="ignore" writes where nothing is, and runs no query where something is."""
    assert write(keyed(0, 3), tmp_path / "out", "ignore").rows == 3
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def never(row):
        raise AssertionError("it ran")

    result = write(keyed(0, 3).map(never, schema=keyed(0, 1).schema()), tmp_path / "out", "ignore")
    assert (result.rows, result.files, result.size_bytes) == (0, (), 0)
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_overwrite_replaces_all_and_error_nothing(tmp_path, write):
    """A shorter output replaces a longer one whole; files of others stay."""
    (tmp_path / "notes.txt").write_text("mine")
    for start in (0, 3, 6):
        write(keyed(start, start + 3), tmp_path, "append")
    before = everything(tmp_path)
    with pytest.raises(OutputExistsError, match="mode='append'"):
        write(keyed(0, 1), tmp_path, "error")
    assert everything(tmp_path) == before
    result = write(keyed(0, 1), tmp_path, "overwrite")
    assert everything(tmp_path) == sorted([*result.files, "notes.txt"])


def test_overwriting_partitions_leaves_none_of_the_old(tmp_path):
    """Partitions that the new rows have not are gone, folders too, but for files of others."""
    ld.from_items([{"x": n, "label": label} for n, label in enumerate("abc")]).write_csv(
        tmp_path, partition_cols=["label"]
    )
    (tmp_path / "label=b" / "notes.txt").write_text("mine")
    ld.from_items([{"x": 9, "label": "a"}]).write_csv(tmp_path, partition_cols=["label"], mode="overwrite")
    assert everything(tmp_path) == ["label=a", "label=a/part-00000.csv", "label=b", "label=b/notes.txt"]


def test_modes_of_ray_are_taken(tmp_path):
    """An enumeration whose value is a mode is that mode; anything else is refused before it runs."""
    import enum

    class SaveMode(enum.Enum):
        APPEND = "append"
        UPSERT = "upsert"

    for _ in range(2):
        ld.range(2).write_parquet(tmp_path, mode=SaveMode.APPEND)
    assert ld.read_parquet(tmp_path).count() == 4
    with pytest.raises(ArgumentError, match="'ignore'"):
        ld.range(2).write_parquet(tmp_path, mode=SaveMode.UPSERT)


def test_a_failed_overwrite_is_undone(tmp_path, monkeypatch):
    """Where a file cannot be moved, those before it are moved back: the old output stands as it was."""
    rows = [{"x": n, "label": label} for n, label in enumerate("abc")]
    ld.from_items(rows).write_csv(tmp_path, partition_cols=["label"])
    before = {name: (tmp_path / name).read_bytes() for name in everything(tmp_path) if name.endswith("csv")}
    real, moves = os.replace, []

    def replace(source, target):
        if "label=" in str(target) and "aside" not in str(source):
            moves.append(target)
            if len(moves) == 3:
                raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    changed = [{"x": row["x"] + 10, "label": row["label"]} for row in [*rows[:2], {"x": 3, "label": "new"}]]
    with pytest.raises(ExecutionError, match="Input/output error"):
        ld.from_items(changed).write_csv(tmp_path, partition_cols=["label"], mode="overwrite")
    assert len(moves) == 3
    assert {name: (tmp_path / name).read_bytes() for name in everything(tmp_path) if name.endswith("csv")} == before
    assert not [name for name in everything(tmp_path) if name.startswith(".") or "new" in name]


RACER = """
import sys
import lightdata as ld
ld.config(workers=0, progress=False)
job = int(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    path, mode, how = line.split()
    me = 0 if how == "twins" else job
    rows = [{"job": me, "label": label} for label in "abcd"[me : me + 3]]
    try:
        resume = how != "anew"
        written = ld.from_items(rows).write_csv(path, partition_cols=["label"], mode=mode, resume=resume).rows
        print("won" if written else "refused", flush=True)
    except ld.OutputExistsError:
        print("refused", flush=True)
"""


@pytest.mark.parametrize(
    ("how", "races"),
    [("anew", 30), *(pytest.param(how, 200, marks=pytest.mark.slow) for how in ("anew", "resume", "twins"))],
)
def test_two_jobs_at_one_target_never_mix(tmp_path, races, how):
    """One job wins, or the later replaces or adds to the first; rows of two jobs are never one output.

    The same holds where both would resume, whether they are different jobs or one that was started twice; who is
    refused then keeps its parts, for another mode to take up.
    """
    jobs = [
        subprocess.Popen([sys.executable, "-c", RACER, str(job)], stdin=-1, stdout=-1, text=True) for job in range(2)
    ]
    try:
        assert [job.stdout.readline() for job in jobs] == ["ready\n"] * 2
        for race in range(races):
            mode = ("error", "overwrite", "append")[race % 3]
            target = tmp_path / str(race)
            for job in jobs:
                job.stdin.write(f"{target} {mode} {how}\n")
                job.stdin.flush()
            outcomes = sorted(job.stdout.readline().strip() for job in jobs)
            assert outcomes == (["refused", "won"] if mode == "error" else ["won", "won"])
            files = list(target.glob("label=*/*.csv"))
            owners = [pa_csv.read_csv(path)["job"][0].as_py() for path in files]
            if how != "twins":
                assert sorted(owners) == [0, 0, 0, 1, 1, 1] if mode == "append" else len(set(owners)) == 1
            assert len(files) == (6 if mode == "append" else 3)
            kept = [path.name for path in target.glob(".lightdata-*")]
            assert len(kept) <= (how != "anew") * outcomes.count("refused")
            assert ".lightdata-lock" not in kept
    finally:
        for job in jobs:
            job.stdin.close()
            job.wait()
            job.stdout.close()


VICTIM = """
import sys
import numpy as np
import lightdata as ld
ld.config(workers=0, progress=False)
data = ld.from_numpy({"image": np.random.default_rng(0).integers(0, 256, (1536, 24, 24, 3), np.uint8)})
print("ready", flush=True)
while True:
    data.map(lambda row: row).write_parquet(sys.argv[1], mode="overwrite", max_rows_per_file=10)
    print("written", flush=True)
"""


def staged_files(target):
    """Count files that wait; folders come and go meanwhile."""
    count = 0
    for folder, _, names in os.walk(target):
        count += len(names) if ".lightdata-" in folder else 0
    return count


def test_a_killed_job_leaves_whole_files(tmp_path):
    """However far a driver came when it is killed, files are whole, and the next job clears up what it left."""
    target = tmp_path / "out"
    for moment in range(5):
        with subprocess.Popen([sys.executable, "-c", VICTIM, str(target)], stdout=-1, text=True) as victim:
            victim.stdout.readline()
            if moment == 4:
                victim.stdout.readline()  # between two outputs, or in the second
            else:
                deadline = time.monotonic() + 30
                while staged_files(target) < 1 + 35 * moment:
                    assert time.monotonic() < deadline
            victim.send_signal(signal.SIGKILL)
        for path in target.glob("*.parquet"):
            assert pq.read_table(path).num_rows in (10, 8)  # a task's last part has what is left
    ld.range(3).write_parquet(target, mode="overwrite")
    assert everything(target) == ["part-00000.parquet"]


LIMITED = """
import resource, sys, json
import numpy as np
import lightdata as ld
ld.config(workers=0, progress=False)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
pixels = np.random.default_rng(0).integers(0, 256, (200, 40, 40, 3), np.uint8)
data = ld.from_numpy({"image": pixels, "id": np.arange(200)})
writers = {
    "parquet": lambda path: data.write_parquet(path, mode="append"),
    "arrow": lambda path: data.write_arrow(path),
    "json": lambda path: ld.range(100_000).write_json(path),
    "csv": lambda path: ld.range(100_000).write_csv(path),
    "numpy": lambda path: data.write_numpy(path, "image"),
    "single": lambda path: ld.range(20_000).map(lambda row: row).write_numpy(path + "/x.npy", "id", single_file=True),
    "webdataset": lambda path: data.write_webdataset(path),
    "images": lambda path: ld.from_numpy({"image": np.tile(pixels, (1, 5, 5, 1))}).write_images(path, "image", "bmp"),
}
told = {}
for name in writers:
    try:
        writers[name](sys.argv[1])
    except Exception as error:
        told[name] = [type(error).__name__, str(error)]
print(json.dumps(told))
"""


def test_a_full_disk_is_told_with_the_target(tmp_path):
    """Where a file cannot grow, each writer names the target, and leaves it as it was."""
    target = tmp_path / "out"
    ld.range(3).write_parquet(target)
    command = [sys.executable, "-c", LIMITED, str(target)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert len(told) == 8
    for kind, message in told.values():
        assert kind == "ExecutionError"
        assert str(target) in message
        assert "File too large" in message, message
    assert everything(target) == ["part-00000.parquet"]


def test_a_worker_that_cannot_write_names_the_target(tmp_path):
    """An error of the disk in a worker process is told as one of the target, with the free bytes."""
    ld.config(workers=2)

    def pull_the_rug(row):
        import shutil

        for folder in (tmp_path / "out").glob(".lightdata-*"):
            shutil.rmtree(folder, ignore_errors=True)
        return row

    with pytest.raises(ExecutionError, match=r"cannot write to '.*out': ") as caught:
        ld.range(3).map(pull_the_rug).write_parquet(tmp_path / "out")
    assert "lightdata-" not in str(caught.value)
    assert everything(tmp_path) == []


def test_an_error_of_the_source_is_not_one_of_the_target(tmp_path):
    """An OSError that a user's function raises stays what it is."""

    def broken(row):
        raise ConnectionResetError("the camera is gone")

    with pytest.raises(ConnectionResetError, match="camera"):
        ld.range(3).map(broken).write_parquet(tmp_path / "out")
    assert everything(tmp_path) == []
