"""A job that was killed, wherever: nothing half-written, and resume=True gives the rows of a clean run."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from PIL import Image

import lightdata as ld
from lightdata.errors import ArgumentError, ExecutionError, OutputExistsError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks of the dead are not told from others there")

TASK_ROWS = 32


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """320 small files, of which the ones numbered 7, 107, ... are no images."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(320):
        path = folder / f"{number:04d}.png"
        Image.fromarray(np.full((6, 6, 3), number % 256, np.uint8)).save(path)
        if number % 100 == 7:
            path.write_bytes(b"no image")
    return folder


def hidden(folder):
    return sorted(path.name for path in folder.rglob(".lightdata-*"))


VICTIM = """
import os, sys
import lightdata as ld
photos, target, seen, workers, writer, resume = sys.argv[1:7]
ld.config(workers=int(workers), progress=False)
def slow(row):
    with open(os.path.join(seen, os.path.basename(row["path"])), "a") as file:
        file.write("x")
    import time; time.sleep(0.002)
    return {"image": row["image"], "id": int(os.path.basename(row["path"])[:4])}
data = ld.read_images(photos, include_paths=True, on_error="skip").map(slow)
writers = {
    "parquet": lambda: data.write_parquet(target, max_rows_per_file=50, resume=resume == "resume"),
    "images": lambda: data.write_images(target, "image", name="{id:04d}", resume=resume == "resume"),
}
print("ready", flush=True)
result = writers[writer]()
print(result.rows, result.errors.height, len(result.files), flush=True)
"""


def started(photos, target, seen, *, workers, writer, resume):
    seen.mkdir(exist_ok=True)
    command = [sys.executable, "-c", VICTIM, photos, target, seen, str(workers), writer, "resume" if resume else "anew"]
    return subprocess.Popen(list(map(str, command)), stdout=-1, text=True, start_new_session=True)


def calls(seen):
    return sum(path.stat().st_size for path in seen.iterdir()) if seen.is_dir() else 0


def ids_in(target, writer):
    if writer == "images":
        return sorted(int(path.stem) for path in target.glob("*.png"))
    parts = list(target.glob("*.parquet"))
    return ld.read_parquet(target).select("id").collect()["id"].to_list() if parts else []


CLEAN = [number for number in range(320) if number % 100 != 7]


@pytest.mark.parametrize(
    ("writer", "workers", "kills"),
    [
        ("parquet", 0, 1),
        ("images", 2, 2),
        pytest.param("parquet", 2, 30, marks=pytest.mark.slow),
        pytest.param("images", 1, 30, marks=pytest.mark.slow),
    ],
)
def test_a_job_killed_at_random_moments_is_resumed(tmp_path, photos, writer, workers, kills):
    """SIGKILL of all processes, again and again: the target has nothing or all, and little is done twice."""
    target, seen, moments = tmp_path / "out", tmp_path / "seen", random.Random(f"{writer}{workers}")
    for kill in range(kills):
        if ids_in(target, writer) == CLEAN:
            shutil.rmtree(target)
            for path in seen.iterdir():
                path.unlink()
        with started(photos, target, seen, workers=workers, writer=writer, resume=kill > 0) as victim:
            victim.stdout.readline()
            time.sleep(moments.uniform(0.2, 0.8) if kill else 0.5)
            os.killpg(victim.pid, signal.SIGKILL)
        found = ids_in(target, writer)
        assert found in ([], CLEAN)
        assert (target / "_SUCCESS").exists() == (found == CLEAN)
    before = calls(seen)
    with started(photos, target, seen, workers=workers, writer=writer, resume=True) as last:
        told = last.stdout.read().split()
    assert last.returncode == 0
    assert ids_in(target, writer) == CLEAN
    assert hidden(target) == []
    if before < len(CLEAN):  # else the last kill came after the end, or in the commit
        assert told[1:3] == [str(len(CLEAN)), "4"]
        assert len(CLEAN) <= calls(seen) <= len(CLEAN) + (kills + 1) * max(workers, 1) * 4 * TASK_ROWS


EVERY_CALL = """
import json, os, signal, sys
import polars, pyarrow.parquet
import lightdata as ld
ld.config(workers=0, progress=False)
folder, name, when, mode = sys.argv[1:5]
os.makedirs(folder)
data = ld.range(70).with_columns(x=ld.col("id") * 2)
told = []

def job(target, resume):
    data.write_parquet(target, mode=mode, max_rows_per_file=9, resume=resume)

def in_child(work):
    pid = os.fork()
    if not pid:
        try:
            work()
        except BaseException:
            import traceback; traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]

for nth in range(1, 1000):
    target = f"{folder}/{nth}"
    if mode != "error":
        assert in_child(lambda: ld.range(5).with_columns(x=ld.col("id")).write_parquet(target)) == 0
    def killed():
        real, calls = getattr(os, name), [0]
        def call(*args, **kwargs):
            calls[0] += 1
            if calls[0] == nth and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            real(*args, **kwargs)
            if calls[0] == nth and when == "after":
                os.kill(os.getpid(), signal.SIGKILL)
        setattr(os, name, call)
        job(target, False)
    status = in_child(killed)
    found = [os.path.join(one, file) for one, _, files in os.walk(target) for file in files]
    state = sorted(os.path.relpath(file, target) for file in found)
    resumed = in_child(lambda: job(target, True))
    told.append([os.WIFSIGNALED(status), state, resumed])
    if not os.WIFSIGNALED(status):
        break
print(json.dumps(told))
"""


@pytest.mark.parametrize("mode", ["error", "overwrite", "append"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "name",
    ["replace", "unlink", *(pytest.param(n, marks=pytest.mark.slow) for n in ("fsync", "mkdir", "link", "close"))],
)
def test_a_job_killed_at_every_call_is_resumed(tmp_path, name, when, mode):
    """SIGKILL before or after the n-th call, for n = 1, 2, ... until none is left: each is resumed to one run."""
    command = [sys.executable, "-c", EVERY_CALL, str(tmp_path / "runs"), name, when, mode]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert [was_killed for was_killed, _, _ in told] == [True] * (len(told) - 1) + [False]
    assert [resumed for _, _, resumed in told] == [0] * len(told), ran.stderr
    clean, old = list(range(70)), list(range(5)) if mode == "append" else []
    for nth, (_, state, _) in enumerate(told, 1):
        target = tmp_path / "runs" / str(nth)
        is_over = not any(".lightdata-" in one and one.endswith(".json") for one in state) and len(state) > 8
        again = clean if is_over and mode == "append" else []  # nobody can tell: it is added once more
        assert ld.read_parquet(target).collect()["id"].to_list() == [*old, *clean, *again], (nth, state)
        assert hidden(target) == []
        assert (target / "_SUCCESS").exists()
        if mode == "error" and "_SUCCESS" in state:
            assert len([one for one in state if one.startswith("part-")]) == 8


def failing_once(folder):
    """Give a function that fails late, unless ``folder`` has a file named ``mended``; it counts its rows there."""

    def function(row):
        with open(f"{folder}/{row['id']}", "a") as file:
            file.write("x")
        if row["id"] == 250 and not os.path.exists(f"{folder}/mended"):
            raise ValueError("not yet")
        return {"id": row["id"]}

    return function


@pytest.mark.parametrize("workers", [0, 2])
def test_a_job_that_failed_goes_on_where_it_was(tmp_path, workers):
    """With resume=True parts are kept when a row ends the run; once it is mended, they are not made anew."""
    ld.config(workers=workers)
    seen = tmp_path / "seen"
    seen.mkdir()
    images = np.zeros((300, 4, 4, 3), np.uint8)
    data = ld.from_numpy({"id": np.arange(300), "image": images}).map(failing_once(str(seen)))
    query = data.with_columns(x=ld.col("id"))
    with pytest.raises(ValueError, match="not yet") as caught:
        query.write_parquet(tmp_path / "out", resume=True)
    assert any("resume=True goes on with it" in note for note in caught.value.__notes__)
    assert len(hidden(tmp_path)) == 1
    first = set(os.listdir(seen))
    (seen / "mended").touch()
    assert query.write_parquet(tmp_path / "out", resume=True).rows == 300
    twice = [name for name in first if (seen / name).stat().st_size > 1]
    assert len(twice) < len(first)
    assert ld.read_parquet(tmp_path / "out").collect()["x"].to_list() == list(range(300))
    assert hidden(tmp_path) == []


def test_without_resume_nothing_is_kept(tmp_path):
    """A run that fails and was not to be resumed leaves no part, and the next one sweeps what another kept."""
    (tmp_path / "seen").mkdir()
    data = ld.from_numpy({"id": np.arange(300), "x": np.zeros((300, 2))}).map(failing_once(str(tmp_path / "seen")))
    with pytest.raises(ValueError, match="not yet"):
        data.write_numpy(tmp_path / "out", "id")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="not yet"):
        data.write_numpy(tmp_path / "out", "id", resume=True)
    assert len(hidden(tmp_path)) == 1
    ld.range(3).write_numpy(tmp_path / "out", "id")
    assert hidden(tmp_path) == []


def test_another_query_is_not_taken_for_the_one_that_was_interrupted(tmp_path):
    """Parts of a query with another function, option or source are refused, and stay; the error shows both."""
    (tmp_path / "seen").mkdir()
    data = ld.from_numpy({"id": np.arange(300), "x": np.zeros((300, 2))})
    query = data.map(failing_once(str(tmp_path / "seen")))
    with pytest.raises(ValueError, match="not yet"):
        query.write_parquet(tmp_path / "out", resume=True)
    others = [
        lambda: data.map(lambda row: row).write_parquet(tmp_path / "out", resume=True),
        lambda: query.write_parquet(tmp_path / "out", compression="zstd", resume=True),
        lambda: query.filter(ld.col("id") > 3).write_parquet(tmp_path / "out", resume=True),
        lambda: ld.from_numpy({"id": np.arange(299)}).write_parquet(tmp_path / "out", resume=True),
    ]
    for other in others:
        with pytest.raises(ArgumentError, match="has parts of an interrupted job that is not this one") as caught:
            other()
        assert "map function(row)" in str(caught.value)
        assert len(hidden(tmp_path)) == 1
    (tmp_path / "seen" / "mended").touch()
    assert query.write_parquet(tmp_path / "out", resume=True).rows == 300


def test_a_complete_output_is_left_alone(tmp_path, caplog):
    """resume=True of a job that has ended runs nothing and says so; without it that is an error, as ever."""
    ran = []
    query = ld.range(5).map(lambda row: ran.append(row) or row)
    assert query.write_parquet(tmp_path / "out", resume=True).rows == 5
    assert query.write_parquet(tmp_path / "out", resume=True).rows == 0
    assert len(ran) == 5
    assert "is complete; nothing was written" in caplog.text
    with pytest.raises(OutputExistsError):
        query.write_parquet(tmp_path / "out")
    single = ld.range(5).map(lambda row: ran.append(row) or row)
    assert single.write_numpy(tmp_path / "x.npy", "id", single_file=True, resume=True).rows == 5
    assert single.write_numpy(tmp_path / "x.npy", "id", single_file=True, resume=True).rows == 0
    assert sorted(os.listdir(tmp_path)) == ["out", "x.npy"]
    with pytest.raises(ArgumentError, match="resume is True or False"):
        query.write_parquet(tmp_path / "out", resume="yes")


def test_files_that_changed_place_are_read_anew(tmp_path, photos):
    """What was written of files is taken only where the same files stand at the same place of the listing."""
    folder, target = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(100):
        os.link(photos / f"{number + 200 + (number >= 7):04d}.png", folder / f"{number:03d}.png")
    (folder / "099.png").unlink()
    (folder / "099.png").write_bytes(b"broken")
    with pytest.raises(ld.LightdataError):
        ld.read_images(folder).write_images(target, "image", resume=True)
    (folder / "099.png").unlink()
    os.link(photos / "0001.png", folder / "000a.png")  # moves all that follow on by one
    assert ld.read_images(folder).write_images(target, "image", resume=True).rows == 100
    found = [np.asarray(Image.open(path)).flat[0] for path in sorted(target.glob("*.png"))]
    wanted = [np.asarray(Image.open(path)).flat[0] for path in sorted(folder.iterdir())]
    assert found == wanted


def test_random_steps_draw_the_same_again(tmp_path):
    """A shuffle without a seed has the seed of the interrupted run, so that its parts fit together."""
    (tmp_path / "seen").mkdir()
    data = ld.from_numpy({"id": np.arange(600), "x": np.zeros((600, 2))}).random_shuffle()
    query = data.map(failing_once(str(tmp_path / "seen")))
    with pytest.raises(ValueError, match="not yet"):
        query.write_parquet(tmp_path / "out", resume=True)
    (tmp_path / "seen" / "mended").touch()
    query.write_parquet(tmp_path / "out", resume=True)
    assert sorted(ld.read_parquet(tmp_path / "out").collect()["id"].to_list()) == list(range(600))


def test_rows_that_failed_before_the_kill_are_still_told(tmp_path, photos):
    """Errors of parts that were made before are in the result, in ds.errors() and in _errors.parquet, once."""
    state = tmp_path / "state"
    state.mkdir()

    def late(row):
        if row["path"].endswith("0310.png") and not (state / "mended").exists():
            raise ValueError("not yet")
        return row

    query = ld.read_images(photos, include_paths=True, on_error="skip").map(late)
    with pytest.raises(ValueError, match="not yet"):
        query.write_images(tmp_path / "out", "image", resume=True)
    (state / "mended").touch()
    result = query.write_images(tmp_path / "out", "image", resume=True)
    assert (result.rows, result.errors["row"].to_list()) == (316, [7, 107, 207, 307])
    assert query.errors().equals(result.errors)
    assert pl.read_parquet(tmp_path / "out" / "_errors.parquet").equals(result.errors)
    assert len(list((tmp_path / "out").glob("*.png"))) == 316


STEPS = {
    "map": lambda data, _: data.map(lambda row: {**row, "x": row["id"] * 2}),
    "filter": lambda data, _: data.filter(ld.col("id") % 7 != 3),
    "batches": lambda data, _: data.map_batches(lambda batch: batch, batch_size=10, batch_format="numpy"),
    "alone": lambda data, _: data.map_batches(lambda batch: batch, batch_format="numpy", concurrency=1),
    "twice": lambda data, _: data.flat_map(lambda row: [row, row] if row["id"] % 5 == 0 else [row]),
    "faulty": lambda data, _: data.map(divided, on_error="skip"),
    "late": lambda data, state: data.map(state),
}


def divided(row):
    return {**row, "y": 1 // (row["id"] % 11)}


class Late:
    """Fails at one row, once."""

    def __init__(self, at):
        self.at, self.is_mended = at, False

    def __call__(self, row):
        if row["id"] == self.at and not self.is_mended:
            self.is_mended = True
            raise ValueError("not yet")
        return row


@settings_of(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 400),
    at=st.integers(0, 400),
    steps=st.lists(st.sampled_from(sorted(set(STEPS) - {"late"})), max_size=3),
    place=st.integers(0, 3),
    most=st.sampled_from([None, 7, 64]),
)
def test_a_resumed_run_is_one_run(rows, at, steps, place, most):
    """Whatever the steps, and wherever a row ended it, a resumed run has the rows and errors of one that ended."""
    steps = [*steps[:place], "late", *steps[place:]]
    state = Late(at)
    data = ld.from_numpy({"id": np.arange(rows), "image": np.zeros((rows, 2, 2, 3), np.uint8)})
    for step in steps:
        data = STEPS[step](data, state)
    with tempfile.TemporaryDirectory() as folder:
        results = []
        try:
            results.append(data.write_parquet(f"{folder}/a", max_rows_per_file=most, resume=True))
        except ValueError:
            results.append(data.write_parquet(f"{folder}/a", max_rows_per_file=most, resume=True))
        results.append(data.write_parquet(f"{folder}/b", max_rows_per_file=most))
        assert results[0].rows == results[1].rows
        assert results[0].errors.equals(results[1].errors)
        if results[0].rows:
            frames = [ld.read_parquet(f"{folder}/{name}").collect() for name in "ab"]
            assert frames[0].equals(frames[1])


def test_what_is_read_must_be_what_it_was(tmp_path, photos):
    """Where several stages go on together, another list of files than before is an error, before any row is read."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(300):
        os.link(photos / f"{number + 8:04d}.png", folder / f"{number:03d}.png")
    late = Late("nothing")
    query = ld.read_images(folder, include_paths=True, on_error="skip").map(lambda row: {**row, "id": row["path"][-7:]})
    query = query.map(late)
    late.at = "290.png"
    with pytest.raises(ValueError, match="not yet"):
        query.write_parquet(tmp_path / "out", resume=True)
    (folder / "005.png").unlink()
    with pytest.raises(ExecutionError, match="what the query reads has changed since"):
        query.write_parquet(tmp_path / "out", resume=True)
    assert query.write_parquet(tmp_path / "out").rows == 296
