"""Output that goes to filesystems behind fsspec: whole objects, put at the end, or none."""

import os
import subprocess
import sys
import tempfile

import fsspec
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow import fs as arrow_fs

import lightdata as ld
from lightdata.errors import ExecutionError, OutputExistsError


class FailingUploads(MemoryFileSystem):
    """A store whose third upload fails."""

    protocol = "failing"
    store = {}  # noqa: RUF012 - fsspec keeps the store on the class
    pseudo_dirs = [""]  # noqa: RUF012
    uploads = 0

    def put_file(self, *args, **kwargs):
        type(self).uploads += 1
        if type(self).uploads == 3:
            raise OSError("the line was cut")
        return super().put_file(*args, **kwargs)


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    for kind in (MemoryFileSystem, FailingUploads):
        kind.store.clear()
        kind.pseudo_dirs[:] = [""]
    yield
    ld.config(workers=before.workers)


def rows(*labels, plus=0):
    return ld.from_items([{"x": n + plus, "label": label} for n, label in enumerate(labels)])


def test_a_url_takes_every_mode():
    """Modes ask the remote: refuse, replace with what was stale removed, add, or do nothing."""
    url = "memory://bucket/out"
    result = rows("a", "b").write_csv(url, partition_cols=["label"])
    assert (result.path, result.rows) == (url, 2)
    with pytest.raises(OutputExistsError, match="memory://bucket/out"):
        rows("c").write_csv(url, partition_cols=["label"])
    assert rows("c").write_csv(url, mode="ignore").files == ()
    rows("b", plus=5).write_csv(url, partition_cols=["label"], mode="append")
    assert MemoryFileSystem().find("/bucket/out") == [
        "/bucket/out/_SUCCESS",
        "/bucket/out/label=a/part-00000.csv",
        "/bucket/out/label=b/part-00000.csv",
        "/bucket/out/label=b/part-00001.csv",
    ]
    rows("b", plus=7).write_csv(url, partition_cols=["label"], mode="overwrite")
    _, left = MemoryFileSystem().find("/bucket/out")
    assert MemoryFileSystem().cat(left) == b'"x"\n7\n'


def test_every_writer_uploads():
    """Images, parts, shards and single arrays all go to URLs, and are read from there."""
    import numpy as np

    data = ld.from_numpy({"image": np.zeros((3, 4, 4, 3), np.uint8), "id": np.arange(3)})
    data.write_images("memory://w/images", "image")
    data.write_parquet("memory://w/parquet")
    data.write_arrow("memory://w/arrow")
    data.drop("image").write_json("memory://w/json")
    data.write_webdataset("memory://w/shards")
    data.write_numpy("memory://w/numpy", "image")
    assert data.write_numpy("memory://w/x.npy", "id", single_file=True).files == ("x.npy",)
    assert len([path for path in MemoryFileSystem().find("/w") if not path.endswith("_SUCCESS")]) == 9
    assert ld.read_parquet("memory://w/parquet").count() == 3
    with fsspec.open("memory://w/x.npy") as file:
        assert np.load(file).tolist() == [0, 1, 2]


@pytest.mark.parametrize("mode", ["error", "overwrite"])
def test_an_upload_that_fails_is_undone(mode):
    """What was uploaded before the failure is removed, and what was replaced is there again."""
    remote = FailingUploads()
    FailingUploads.uploads = 0
    if mode == "overwrite":
        rows("a").write_csv("out", partition_cols=["label"], filesystem=remote)
        before = {path: remote.cat(path) for path in remote.find("/out")}
    with pytest.raises(ExecutionError, match="the line was cut"):
        rows("a", "b", "c", plus=5).write_csv("out", partition_cols=["label"], filesystem=remote, mode=mode)
    assert FailingUploads.uploads == 3
    assert {path: remote.cat(path) for path in remote.find("/out")} == (before if mode == "overwrite" else {})


def test_filesystems_are_taken(tmp_path):
    """Fsspec's and pyarrow's filesystems give the path its meaning, in every process."""
    ld.config(workers=2)
    below = DirFileSystem(str(tmp_path), LocalFileSystem())
    rows("a", "b").map(lambda row: row).write_parquet("deep/out", filesystem=below)
    assert pq.read_table(tmp_path / "deep" / "out" / "part-00000.parquet")["x"].to_pylist() == [0, 1]
    arrow = arrow_fs.SubTreeFileSystem(str(tmp_path), arrow_fs.LocalFileSystem())
    rows("a", "b").write_csv("arrow/out", filesystem=arrow)
    assert pa_csv.read_csv(tmp_path / "arrow" / "out" / "part-00000.csv")["label"].to_pylist() == ["a", "b"]
    with pytest.raises(OutputExistsError):
        rows("a").write_csv("arrow/out", filesystem=arrow)


def test_a_query_that_fails_uploads_nothing():
    """Uploads begin when all rows are there."""

    def faulty(row):
        if row["id"] == 9000:
            raise ValueError("late")
        return row

    with pytest.raises(ValueError, match="late"):
        ld.range(10_000).map(faulty).write_parquet("memory://never/out")
    assert MemoryFileSystem().find("/never") == []


def test_file_urls_are_folders_of_this_machine(tmp_path):
    """file:// goes the way of paths, with their locks and moves."""
    rows("a").write_csv(f"file://{tmp_path}/out")
    assert (tmp_path / "out" / "part-00000.csv").exists()


def test_an_upload_that_failed_goes_on(tmp_path, monkeypatch):
    """With resume=True what was made waits on this machine until it is uploaded; no row is made twice."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    FailingUploads.uploads = 0
    made = tmp_path / "made"

    def function(row):
        with made.open("a") as file:
            file.write(str(row["id"]))
        return {"label": "abc"[row["id"] % 3], "x": row["id"]}

    data = ld.range(6).map(function)
    with pytest.raises(ExecutionError, match="the line was cut"):
        data.write_csv("out", partition_cols=["label"], filesystem=FailingUploads(), resume=True)
    assert FailingUploads().find("/out") == []
    (waiting,) = tmp_path.glob("lightdata-*/.lightdata-*")
    assert waiting.stat().st_mode & 0o77 == 0 or waiting.parent.stat().st_mode & 0o77 == 0
    result = data.write_csv("out", partition_cols=["label"], filesystem=FailingUploads(), resume=True)
    assert (result.rows, made.read_text()) == (6, "012345")
    assert len([path for path in FailingUploads().find("/out") if path.endswith(".csv")]) == 3
    assert list(tmp_path.iterdir()) == [made]


CUT_OFF = """
import os, sys
import lightdata as ld
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
puts, real = [], DirFileSystem.put_file
def put_file(self, *args, **kwargs):
    puts.append(args)
    if len(puts) == 2:
        os._exit(9)
    return real(self, *args, **kwargs)
DirFileSystem.put_file = put_file
store = DirFileSystem(path=sys.argv[1], fs=LocalFileSystem())
rows = ld.from_items([{"x": n, "label": label} for n, label in enumerate("abc")])
rows.write_csv("out", partition_cols=["label"], filesystem=store)
"""


def test_a_commit_to_a_store_that_was_cut_off_is_finished(tmp_path, monkeypatch):
    """Of a job that was killed between two uploads, the next job uploads the rest before it looks at the target."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ran = subprocess.run(
        [sys.executable, "-c", CUT_OFF, str(tmp_path / "store")], env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert ran.returncode == 9
    assert len(list(tmp_path.glob("store/out/**/*.csv"))) == 1
    store = DirFileSystem(path=str(tmp_path / "store"), fs=LocalFileSystem())
    with pytest.raises(OutputExistsError):
        rows("d").write_csv("out", partition_cols=["label"], filesystem=store)
    assert len(list(tmp_path.glob("store/out/**/*.csv"))) == 3
    assert (tmp_path / "store/out/_SUCCESS").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
