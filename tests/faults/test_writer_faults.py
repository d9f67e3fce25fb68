"""Whatever call to the system fails while files are written: a clear error, and a target as it was."""

import errno
import itertools
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

import lightdata as ld
from lightdata.errors import LightdataError

CALLS = [
    ("mkdir", errno.ENOSPC),
    ("mkdir", errno.EROFS),
    ("open", errno.EMFILE),
    ("open", errno.EIO),
    ("fsync", errno.EIO),
    ("fsync", errno.EDQUOT),
    ("replace", errno.EROFS),
    ("replace", errno.ENOSPC),
    ("link", errno.EMLINK),
]


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


def everything(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.name != "_SUCCESS")


def failing(monkeypatch, name, number, nth):
    """Have the n-th call of a function of the system fail, and count calls."""
    real, counted = getattr(os, name), itertools.count(1)
    calls = []

    def call(*args, **kwargs):
        calls.append(next(counted))
        if calls[-1] == nth:
            raise OSError(number, os.strerror(number), args[0] if args else None)
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, call)
    return calls


@pytest.mark.parametrize(("name", "number"), CALLS)
@pytest.mark.parametrize("mode", ["overwrite", "append"])
def test_every_call_that_fails_in_turn_leaves_the_target_as_it_was(tmp_path, name, number, mode):
    """The n-th call fails, for n = 1, 2, ... until a run passes untouched; each time all is as before."""
    target = tmp_path / "out"
    ld.range(5).write_parquet(target)
    before = everything(tmp_path)
    for nth in itertools.count(1):
        with pytest.MonkeyPatch.context() as patch:
            calls = failing(patch, name, number, nth)
            try:
                ld.range(100).write_parquet(target, mode=mode, max_rows_per_file=30)
            except LightdataError as error:
                told = str(error)
            else:
                told = None
        if len(calls) < nth or told is None:
            break
        assert os.strerror(number) in told
        assert str(target) in told
        assert everything(tmp_path) == before
        assert ld.read_parquet(target).collect()["id"].to_list() == list(range(5))
    assert told is None
    rows = ld.read_parquet(target).collect()["id"].to_list()
    assert rows == [*range(5 if mode == "append" else 0), *range(100)]
    assert [one for one in everything(tmp_path) if ".lightdata-" in one] == []


PIXELS = np.arange(40 * 48, dtype=np.uint8).reshape(40, 4, 4, 3)

WRITERS = {
    "images": lambda data, path: data.write_images(path, "image", name="{id}", mode="overwrite"),
    "webdataset": lambda data, path: data.write_webdataset(path, max_rows_per_file=15, mode="overwrite"),
    "numpy": lambda data, path: data.write_numpy(path, "image", max_rows_per_file=15, mode="overwrite"),
    "single": lambda data, path: data.write_numpy(path / "x.npy", "id", single_file=True, mode="overwrite"),
    "tfrecords": lambda data, path: data.write_tfrecords(path, max_rows_per_file=15, mode="overwrite"),
    "arrow": lambda data, path: data.write_arrow(path, partition_cols=["part"], mode="overwrite"),
    "csv": lambda data, path: data.drop("image").write_csv(path, partition_cols=["part"], mode="overwrite"),
    "json": lambda data, path: data.drop("image").write_json(path, max_rows_per_file=15, mode="overwrite"),
}


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ended(write):
    """Give the error of a writer, or its result."""
    try:
        return None, write()
    except LightdataError as error:
        return str(error), None


@pytest.mark.parametrize(("name", "number"), [("replace", errno.EIO), ("fsync", errno.ENOSPC), ("unlink", errno.EROFS)])
@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_leaves_its_old_output_whole(tmp_path, writer, name, number):
    """In every format, with a row in _errors.parquet: whichever call fails, all files are as they were before."""
    target = tmp_path / "out"
    rows = {"id": np.arange(40), "image": PIXELS, "part": np.arange(40) % 3}
    faulty = ld.from_numpy(rows).map(lambda row: row if row["id"] != 3 else 1 / 0, on_error="skip")
    WRITERS[writer](ld.from_numpy(rows), target)
    before = contents(target)
    for nth in itertools.count(1):
        with pytest.MonkeyPatch.context() as patch:
            calls = failing(patch, name, number, nth)
            told, result = ended(lambda: WRITERS[writer](faulty, target))
        if result is not None:
            break
        assert len(calls) >= nth
        assert os.strerror(number) in told
        assert str(target) in told
        assert contents(target) == before
    assert (result.rows, result.errors.height) == (39, 1)
    assert set(result.files) <= {path.as_posix() for path in contents(target)}
    assert (writer == "single") != (target / "_errors.parquet").exists()
    assert [one for one in everything(tmp_path) if ".lightdata-" in one] == []


@contextmanager
def mounted_at(folder, options):
    """Have a file system in memory, where the machine lets the tests mount one."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    folder.mkdir()
    command = [mount or "", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if mount is None or umount is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        yield folder
    finally:
        subprocess.run([umount, str(folder)], check=True)


FULL = """
import os, sys
import numpy as np
import lightdata as ld
ld.config(workers=2, progress=False)
noise = np.random.default_rng(0).integers(0, 256, (400, 100, 100, 3), np.uint8)
try:
    ld.from_numpy({"image": noise}).map(lambda row: dict(row)).write_parquet(sys.argv[1])
except ld.errors.ExecutionError as error:
    print(error)
"""


def test_a_disk_that_is_full_is_told_with_its_free_bytes(tmp_path):
    """A real file system of 3 MB that fills up: the error names it and what is free, and nothing is left on it."""
    with mounted_at(tmp_path / "small", "size=3m") as mounted:
        ran = subprocess.run([sys.executable, "-c", FULL, str(mounted / "out")], capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert f"cannot write to '{mounted / 'out'}': No space left on device" in ran.stdout
        assert "bytes are free there" in ran.stdout
        assert everything(mounted) == []


def test_a_target_that_can_only_be_read_is_told(tmp_path):
    """A read-only file system, or a folder that may not be written to, is an error before any row is read."""
    seen = []
    refused = pytest.raises(LightdataError, match="Read-only file system")
    with mounted_at(tmp_path / "small", "ro") as mounted, refused:
        ld.range(5).map(lambda row: seen.append(1) or row).write_parquet(mounted / "out")
    assert seen == []


def test_what_died_before_it_said_whose_it_is_is_swept(tmp_path):
    """A staging folder without an owner, made by a job that was killed in that instant, goes with the next job."""
    (tmp_path / "out" / ".lightdata-0123").mkdir(parents=True)
    ld.range(3).write_parquet(tmp_path / "out")
    assert everything(tmp_path / "out") == ["part-00000.parquet"]
