"""Finished files move into place together; nobody sees half of one."""

import os
import threading
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import ArgumentError, OutputExistsError


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


def everything(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.name != "_SUCCESS")


def named(*names):
    return ld.from_items([{"image": np.full((3, 3), n, np.uint8), "name": name} for n, name in enumerate(names)])


def test_a_reader_never_sees_a_part_of_a_file(tmp_path):
    """Whoever polls the target while it is written finds only whole files."""
    ld.config(workers=2)
    stop, seen, broken = threading.Event(), set(), []

    def poll():
        while not stop.is_set():
            for path in [path for path in tmp_path.glob("out/*") if not path.name.startswith((".", "_"))]:
                seen.add(path.name)
                try:
                    pq.read_table(path)
                except Exception as error:  # noqa: BLE001 - any failure is one
                    broken.append(error)
            time.sleep(0.001)

    thread = threading.Thread(target=poll)
    thread.start()
    pixels = np.random.default_rng(0).integers(0, 256, (600, 32, 32, 3), np.uint8)
    query = ld.from_numpy({"image": pixels}).map(lambda row: row)
    for _ in range(2):
        result = query.write_parquet(tmp_path / "out", mode="overwrite")
    time.sleep(0.05)
    stop.set()
    thread.join()
    assert broken == []
    assert seen == set(result.files)
    assert everything(tmp_path / "out") == sorted(result.files)


def test_hidden_folders_are_gone_after_every_kind_of_failure(tmp_path):
    """A function that fails, a consumer's interrupt, or a dead worker leave the target as it was."""
    (tmp_path / "keep.txt").write_text("mine")
    data = ld.from_numpy({"id": np.arange(300), "x": np.zeros((300, 2, 2))})

    def faulty(row):
        if row["id"] == 290:
            raise ValueError("late")
        return row

    def interrupted(row):
        if row["id"] == 290:
            raise KeyboardInterrupt
        return row

    def dies(row):
        if row["id"] == 290:
            os._exit(3)
        return row

    for workers in (0, 2):
        ld.config(workers=workers)
        with pytest.raises(ValueError, match="late"):
            data.map(faulty).write_parquet(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            data.map(interrupted).write_parquet(tmp_path / "deep" / "er")
    with pytest.raises(ld.WorkerDiedError):
        data.map(dies).write_numpy(tmp_path, "x")
    assert everything(tmp_path) == ["keep.txt"]


def test_a_file_where_a_folder_must_be_moves_nothing(tmp_path):
    """A file of others in the way of a folder is told before the first file moves."""
    (tmp_path / "cat").write_text("theirs")
    with pytest.raises(OutputExistsError, match="cat"):
        named("ant", "cat").write_images(tmp_path, "image", name="{name}/{row}", mode="overwrite")
    assert everything(tmp_path) == ["cat"]


def test_a_folder_where_a_file_must_be_moves_nothing(tmp_path):
    """A folder is never replaced by a file."""
    (tmp_path / "b.png").mkdir()
    with pytest.raises(OutputExistsError, match=r"b\.png"):
        named("a", "b").write_images(tmp_path, "image", name="name", mode="overwrite")
    assert everything(tmp_path) == ["b.png"]


def test_a_link_to_elsewhere_is_not_followed(tmp_path):
    """A linked folder or file inside the target does not lead writes out of it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "000.png").write_text("theirs")
    target = tmp_path / "target"
    target.mkdir()
    (target / "cat").symlink_to(outside)
    with pytest.raises(OutputExistsError, match="link"):
        named("cat").write_images(target, "image", name="{name}/{row:03d}", mode="overwrite")
    (target / "cat").unlink()
    (target / "a.png").symlink_to(outside / "000.png")
    named("a").write_images(target, "image", name="name", mode="overwrite")
    assert (outside / "000.png").read_text() == "theirs"
    assert everything(outside) == ["000.png"]
    assert not (target / "a.png").is_symlink()
    with Image.open(target / "a.png") as image:
        assert image.size == (3, 3)


def test_a_broken_link_counts_as_a_file(tmp_path):
    """mode="error" does not replace a link that leads nowhere."""
    (tmp_path / "a.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputExistsError):
        named("a").write_images(tmp_path, "image", name="name")


def test_targets_that_cannot_be_are_refused_before_any_row_is_read(tmp_path):
    """Files, web servers, unknown filesystems and unknown modes fail without running the query."""

    def never(row):
        raise AssertionError("it ran")

    query = ld.range(5).map(never)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputExistsError, match="is a file"):
        query.write_parquet(tmp_path / "file")
    with pytest.raises(ArgumentError, match="web server is not written to"):
        query.write_parquet("http://127.0.0.1:1/out")
    with pytest.raises(ArgumentError, match="no filesystem for this URL"):
        query.write_parquet("nosuch://bucket/out")
    for mode in ("add", "ERROR", None):
        with pytest.raises(ArgumentError, match="mode"):
            query.write_parquet(tmp_path / "out", mode=mode)
    (tmp_path / "part-00000.parquet").write_text("theirs")
    with pytest.raises(OutputExistsError, match="part-00000"):
        query.write_parquet(tmp_path)
    assert everything(tmp_path) == ["file", "part-00000.parquet"]


def test_writing_twice_is_refused_unless_it_may_replace(tmp_path):
    """The second write fails by default and replaces with mode="overwrite"."""
    ld.range(5).write_parquet(tmp_path)
    with pytest.raises(OutputExistsError, match="mode='overwrite'"):
        ld.range(6).write_parquet(tmp_path)
    assert ld.read_parquet(tmp_path).count() == 5
    ld.range(6).write_parquet(tmp_path, mode="overwrite")
    assert ld.read_parquet(tmp_path).count() == 6


def test_nothing_to_write_makes_nothing(tmp_path):
    """A query without rows leaves no folder."""
    result = ld.range(5).filter(ld.col("id") > 9).write_parquet(tmp_path / "out")
    assert (result.rows, result.files) == (0, ())
    assert everything(tmp_path) == []


def test_overwriting_leaves_no_part_of_a_longer_output(tmp_path):
    """A shorter output replaces a longer one whole, and leaves other files alone."""
    (tmp_path / "notes.txt").write_text("mine")
    pixels = np.zeros((300, 4, 4, 3), np.uint8)
    assert len(ld.from_numpy({"image": pixels}).write_parquet(tmp_path).files) == 3
    assert ld.from_numpy({"image": pixels[:10]}).write_parquet(tmp_path, mode="overwrite").files == (
        "part-00000.parquet",
    )
    assert ld.read_parquet(tmp_path).count() == 10
    assert (tmp_path / "notes.txt").read_text() == "mine"
