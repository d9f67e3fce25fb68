"""Whatever a worker dies of, and wherever, the output is that of an undisturbed run."""

import os
import random
import signal
import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pytest
from faults.deaths import KINDS, PLACES, break_decoder, die, die_once, dying_in
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from PIL import Image

import lightdata as ld
from lightdata.errors import RowTimeoutError, WorkerDiedError
from lightdata.execute import processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the deaths are those of Linux")

ROWS = 400

FAST = {("SIGSEGV", place) for place in PLACES} | {(kind, "function") for kind in KINDS} | {("SIGSTOP", "idle")}


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=2)
    yield
    ld.config(workers=before.workers, row_timeout=before.row_timeout, stall_warning_s=before.stall_warning_s)


@pytest.fixture
def fresh_server():
    """Have the fork server started anew: it has the paths and the environment of when it was started."""
    processes.shut_down()
    yield
    processes.shut_down()


def numbered(rows=ROWS):
    return ld.from_numpy({"id": np.arange(rows), "x": np.arange(rows * 4, dtype=np.float32).reshape(rows, 2, 2)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold two hundred small images."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(200):
        Image.new("RGB", (16, 12), (number, 0, 0)).save(folder / f"{number:03d}.png")
    return folder


class DyingFiles(AbstractFileSystem):
    """The files of this machine, as if elsewhere; to open one of them is the end of the process, once or always."""

    protocol = "dying"
    cachable = False

    def __init__(self, marker, kind):
        super().__init__()
        self.marker, self.kind = marker, kind

    def info(self, path, **options):
        return LocalFileSystem().info(path)

    def ls(self, path, detail=True, **options):
        return LocalFileSystem().ls(path, detail=detail)

    def _open(self, path, mode="rb", **options):
        if path.endswith("100.png"):
            die_once(self.marker, self.kind) if self.marker else die(self.kind)
        return open(path, mode)

    def cat_file(self, path, start=None, end=None, **options):
        with self._open(path) as file:
            return file.read()[start:end]


class BreakingFiles(DyingFiles):
    """The files of this machine, in a worker that cannot decode images of 17 pixels' width and live."""

    def _open(self, path, mode="rb", **options):
        breaking(17)({})
        return open(path, mode)


def killed_while_idle(kind):
    for pid in {row["id"] for row in numbered().map(lambda row: {"id": os.getpid()}).take_all()}:
        os.kill(pid, signal.SIGKILL if kind == "exit" else getattr(signal, kind))
    time.sleep(0.05)


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        pytest.param(kind, place, marks=[] if (kind, place) in FAST else pytest.mark.slow)
        for kind in KINDS
        for place in PLACES
    ],
)
def test_a_death_changes_nothing(tmp_path, folder, kind, place):
    """A worker that ends, or is stopped, at any place of its work leaves no trace in the output."""
    marker = str(tmp_path / "died")
    function = dying_in(place, marker, kind)
    match place:
        case "idle":
            killed_while_idle(kind)
            assert numbered().map(function).to_arrow() == numbered().to_arrow()
            return
        case "writing":
            numbered().map(lambda row: dict(function(row))).write_parquet(tmp_path / "out", max_rows_per_file=50)
            found = ld.read_parquet(tmp_path / "out").to_arrow()
            assert found["id"].to_pylist() == list(range(ROWS))
            assert not [one.name for one in (tmp_path / "out").iterdir() if one.name.startswith(".lightdata-s")]
        case "reading":
            found = ld.read_images(folder, filesystem=DyingFiles(marker, kind)).to_arrow()
            assert found == ld.read_images(folder).to_arrow()
        case "decoding":

            def broken(row):
                break_decoder(marker, kind)
                return {"image": row["image"]}

            data = ld.read_images(folder).map(broken)
            assert [row["image"][0, 0, 0] for row in data.iter_rows()] == list(range(200))
        case _:
            heavy = numbered().map(lambda row: {**function(row), "big": np.full(20_000, row["id"])})
            assert [(row["id"], row["big"].sum()) for row in heavy.iter_rows()] == [
                (n, n * 20_000) for n in range(ROWS)
            ]
    assert (tmp_path / "died").exists() or place == "writing"


def kill_now_and_then(moments, stop):
    """End a random worker at each of some moments; counts those that were there to be ended."""
    drawn = random.Random(0)
    began, killed = time.monotonic(), 0
    for moment in moments:
        if stop.wait(max(began + moment - time.monotonic(), 0)):
            break
        pids = [one.pid for one in list(processes._everyone) if one.pid is not None and one.process.is_alive()]
        if pids:
            with suppress(ProcessLookupError):
                os.kill(drawn.choice(pids), signal.SIGKILL)
                killed += 1
    return killed


@pytest.mark.parametrize(
    ("kills", "rows"),
    [pytest.param(10, 1500, id="ten"), pytest.param(100, 10_000, id="hundred", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_kills_at_random_moments_change_no_byte(kills, rows, workers):
    """Workers that are killed at seeded moments of the run change nothing in what comes out."""
    ld.config(workers=workers)

    def slow(row):
        time.sleep(0.002)
        return {"id": row["id"], "x": row["x"] * 2}

    data = numbered(rows).map(slow, schema={"id": int, "x": ld.tensor_type("float32", (2, 2))})
    moments = sorted(random.Random(kills).uniform(0, rows * 0.002 / workers) for _ in range(kills))
    stop, killed = threading.Event(), []
    killer = threading.Thread(target=lambda: killed.append(kill_now_and_then(moments, stop)))
    killer.start()
    found = data.to_arrow()
    stop.set()
    killer.join()
    assert killed[0] > kills // 3
    assert found["id"].to_pylist() == list(range(rows))
    expected = numbered(rows).to_arrow()["x"].combine_chunks()
    assert np.array_equal(found["x"].combine_chunks().to_numpy_ndarray(), expected.to_numpy_ndarray() * 2)


def poisoned(bad, kind="SIGSEGV"):
    def function(row):
        if row["id"] in bad:
            die(kind)
        return {"id": row["id"]}

    return function


@pytest.mark.parametrize(
    ("rows", "bad"),
    [
        (ROWS, {0}),
        (ROWS, {131}),
        (ROWS, {7, 8, 9, 250, 251, 399}),
        pytest.param(10_000, {5000}, marks=pytest.mark.slow),
        pytest.param(10_000, {n * 997 for n in range(1, 11)}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_poison_row_is_found_and_its_neighbours_survive(rows, bad, workers):
    """A row that ends each worker that looks at it is one record; all others come out, in order."""
    ld.config(workers=workers)
    data = numbered(rows).map(poisoned(bad), on_error="skip")
    assert [row["id"] for row in data.iter_rows()] == [one for one in range(rows) if one not in bad]
    errors = data.errors()
    assert errors["row"].to_list() == sorted(bad)
    assert set(errors["code"]) == {"worker_died"}
    assert set(errors["cause"]) == {"SIGSEGV"}
    assert errors["message"][0].startswith("worker_died(SIGSEGV)")
    assert errors["attempts"].min() >= 3


def test_a_poison_row_is_null_where_nulls_are_asked_for():
    """With ``on_error="null"`` the row stands where it stood."""
    data = numbered().map(poisoned({131}, "exit"), schema={"id": int}, on_error="null")
    assert [row["id"] for row in data.iter_rows()] == [None if one == 131 else one for one in range(ROWS)]
    assert data.errors().select("row", "code", "cause").rows() == [(131, "worker_died", "exit code 0")]


def test_a_poison_row_of_a_batch_is_found():
    """A function of batches that dies of one row is given the others without it."""

    def function(batch):
        if 77 in batch["id"]:
            die("SIGBUS")
        return {"id": batch["id"]}

    data = numbered().map_batches(function, batch_size=50, on_error="skip")
    assert [row["id"] for row in data.iter_rows()] == [one for one in range(ROWS) if one != 77]
    assert data.errors()["code"].to_list() == ["worker_died"]


def test_a_poison_row_ends_a_run_that_raises_and_is_named(folder):
    """In raise mode the rows before it come out, and the error names its file."""

    def function(row):
        if row["path"].endswith("131.png"):
            die("SIGILL")
        return {"path": row["path"]}

    seen = []
    with pytest.raises(WorkerDiedError, match=r"killed by SIGILL while it ran file '.*131\.png' of: .*map\(function\)"):
        seen.extend(ld.read_images(folder, include_paths=True).map(function).iter_rows())
    assert len(seen) == 131


def test_a_file_that_ends_its_reader_is_one_record(folder):
    """A file that ends who reads it costs that row alone, as null or left out."""
    for on_error in ("skip", "null"):
        data = ld.read_images(folder, filesystem=DyingFiles("", "SIGSEGV"), on_error=on_error)
        rows = data.take_all()
        assert len(rows) == (199 if on_error == "skip" else 200)
        (error,) = data.errors().rows(named=True)
        assert (error["uri"].rpartition("/")[2], error["code"], error["row"]) == ("100.png", "worker_died", 100)


def breaking(width):
    """Give a function of a row that has Pillow's decoders end the process at images of one width."""

    def function(row):
        from PIL import ImageFile

        load = ImageFile.ImageFile.load

        def dying(image):
            if image.size[0] == width:
                die("SIGSEGV")
            return load(image)

        ImageFile.ImageFile.load = dying if load.__name__ != "dying" else load
        return row

    return function


def test_an_image_that_ends_its_decoder_is_null_in_expressions(tmp_path):
    """Of .image.decode(on_error="null") too, such an image costs that value alone, and is told once."""
    for number in range(80):
        Image.new("RGB", (16 + (number == 41), 12)).save(tmp_path / f"{number:03d}.bmp")
    files = ld.read_binary_files(tmp_path, include_paths=True).map(
        breaking(17), schema={"bytes": pa.large_binary(), "path": pa.large_string()}
    )
    image = ld.col("bytes").image.decode(on_error="null")
    data = files.select("path", small=image.image.resize(4, 4), whole=image)
    rows = data.take_all()
    assert [number for number, row in enumerate(rows) if row["small"] is None] == [41]
    assert [number for number, row in enumerate(rows) if row["whole"] is None] == [41]
    (error,) = data.errors().rows(named=True)
    assert (error["code"], error["row"], error["cause"]) == ("worker_died", 41, "SIGSEGV")


def test_a_file_of_frames_that_ends_its_decoder_is_one_record(tmp_path):
    """With frames="all" a file that ends the process is left out alone."""
    for number in range(80):
        frames = [Image.new("RGB", (16 + (number == 41), 12), (place, 0, 0)) for place in range(2)]
        frames[0].save(tmp_path / f"{number:03d}.gif", save_all=True, append_images=frames[1:])
    for on_error in ("skip", "null"):
        data = ld.read_images(tmp_path, filesystem=BreakingFiles("", ""), frames="all", on_error=on_error)
        rows = data.take_all()
        assert len(rows) == (158 if on_error == "skip" else 159)
        (error,) = data.errors().rows(named=True)
        assert (error["uri"].rpartition("/")[2], error["code"], error["row"]) == ("041.gif", "worker_died", 41)


@pytest.mark.parametrize("hang", ["sleep", "lock", "SIGSTOP"])
def test_a_hung_row_is_ended(hang):
    """A row that sleeps, waits for a lock for ever or stops its process fails within its time; the others go on."""
    ld.config(row_timeout=1)

    def function(row):
        if row["id"] == 131:
            if hang == "sleep":
                time.sleep(60)
            elif hang == "lock":
                lock = threading.Lock()
                lock.acquire()
                lock.acquire()
            else:
                die("SIGSTOP")
        return {"id": row["id"]}

    data = numbered().map(function, on_error="skip")
    began = time.monotonic()
    assert [row["id"] for row in data.iter_rows()] == [one for one in range(ROWS) if one != 131]
    errors = data.errors()
    assert errors["row"].to_list() == [131]
    if hang != "SIGSTOP":
        assert errors["code"].to_list() == ["timeout"]
        assert time.monotonic() - began < 3 * (1 + 2)
        with pytest.raises(RowTimeoutError, match="of map"):
            numbered().map(function).take_all()


def test_slow_rows_and_slow_beginnings_are_not_hung():
    """A task that takes longer than a row may, and a class that takes long to build, are left alone."""
    ld.config(row_timeout=1)

    class Slow:
        def __init__(self):
            time.sleep(2)

        def __call__(self, row):
            time.sleep(0.06)
            return {"id": row["id"], "pid": os.getpid()}

    rows = numbered(100).map(Slow).take_all()
    assert [row["id"] for row in rows] == list(range(100))
    assert len({row["pid"] for row in rows}) <= 2


def test_a_slow_consumer_is_no_reason_to_end_workers():
    """Workers that wait for credit, or that nobody listens to, are alive."""
    ld.config(row_timeout=1)
    memory = ld.config().memory_limit_bytes
    ld.config(memory_limit_bytes=4 << 20)
    data = numbered(200).map(lambda row: {"pid": np.full(20_000, os.getpid())})
    pids = set()
    for number, batch in enumerate(data.iter_batches(batch_size=25)):
        time.sleep(1.5 if number == 2 else 0)
        pids.update(batch["pid"][:, 0].tolist())
    ld.config(memory_limit_bytes=memory)
    assert len(pids) <= 2


def test_a_stall_is_told_with_what_each_worker_holds(folder, caplog):
    """Where nothing goes on for a while, the log names the files in hand."""
    ld.config(stall_warning_s=0.6)

    def function(row):
        if row["path"].endswith("000.png"):
            time.sleep(2)
        return {"path": row["path"]}

    ld.read_images(folder, include_paths=True).map(function).take_all()
    (first, *_) = [record.message for record in caplog.records if "no progress" in record.message]
    assert "000.png" in first


def test_rows_written_by_a_worker_that_died_are_written_once(tmp_path, folder):
    """Files of ``uri.write`` that a dead worker had made are taken for done; those of others are still refused."""
    marker = str(tmp_path / "died")

    def function(row):
        if row["path"].endswith("100.png"):
            die_once(marker, "SIGKILL")
        return {"name": row["path"].rpartition("/")[2]}

    query = ld.read_binary_files(folder, include_paths=True).with_columns(
        name=ld.col("path").str.split("/").list.last()
    )
    written = query.with_columns(copy=ld.col("bytes").uri.write(str(tmp_path / "copies"), name="name")).map(function)
    assert written.count() == 200
    assert len(os.listdir(tmp_path / "copies")) == 200
    with pytest.raises(ld.OutputExistsError):
        written.count()


@pytest.mark.parametrize("kind", ["SIGSEGV", "exit"])
def test_workers_that_die_while_they_load_end_the_run(tmp_path, monkeypatch, fresh_server, kind):
    """A module that ends each worker that imports it is a clear error, soon, after three restarts."""
    (tmp_path / f"ends_{kind}.py").write_text(
        "import os, sys\n"
        "def function(row): return row\n"
        "if os.environ.get('HOST') != str(os.getpid()):\n"
        "    open('starts', 'a').write('x')\n"
        "    from faults.deaths import die\n"
        f"    die({kind!r})\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HOST", str(os.getpid()))
    module = __import__(f"ends_{kind}")
    began = time.monotonic()
    with pytest.raises(WorkerDiedError, match="while it loaded: map"):
        numbered().map(module.function).take_all()
    assert time.monotonic() - began < 10
    assert len((tmp_path / "starts").read_text()) <= 2 * 4


def test_a_model_that_ends_each_worker_ends_the_run():
    """What dies as it is built is not taken for a poison row after row."""

    class Broken:
        def __init__(self):
            die("SIGABRT")

        def __call__(self, row):
            return row

    began = time.monotonic()
    with pytest.raises(WorkerDiedError, match="SIGABRT"):
        numbered().map(Broken, on_error="skip").take_all()
    assert time.monotonic() - began < 10


def test_workers_that_cannot_start_end_the_run(tmp_path, monkeypatch, fresh_server):
    """A fork server that dies as it starts, for want of a library, is an error within seconds."""
    (tmp_path / "pyarrow.py").write_text("raise ImportError('libarrow.so: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    began = time.monotonic()
    with pytest.raises(WorkerDiedError, match="while it started"):
        numbered().map(lambda row: row).take_all()
    assert time.monotonic() - began < 10
    monkeypatch.undo()
    assert numbered().map(lambda row: row).count() == ROWS
