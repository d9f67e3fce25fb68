"""Failing rows, under every policy, with limits and filters."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.io.memory import MemorySource
from lightdata.physical import builder
from lightdata.plan.node import DecodeImages, ReadFiles, Scan

IMAGE = pl.col("image").image


@pytest.fixture(autouse=True, params=[True, False], ids=["optimized", "as written"])
def _inline(request):
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=request.param)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


@pytest.fixture(params=[1, 2, 32])
def task_rows(request, monkeypatch):
    monkeypatch.setattr(builder, "TASK_ROWS", request.param)
    return request.param


@pytest.fixture
def table(tmp_path):
    """Good, broken, good, missing, good, null."""
    for number in (0, 2, 4):
        Image.new("RGB", (3 + number, 4), (number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"no image")
    paths = [str(tmp_path / f"{number}.png") for number in range(5)]
    return pa.table({"path": [*paths, None], "n": range(6)})


def images(table, on_error):
    plan = ReadFiles(input=Scan(source=MemorySource(table)), path="path", column="image", on_error=on_error)
    return ld.Dataset(DecodeImages(input=plan, column="image", on_error=on_error))


def numbers(ds):
    return ds.collect()["n"].to_list()


@pytest.mark.usefixtures("task_rows")
def test_null_keeps_rows(table):
    """Rows that fail stay with a null image, which every later step sees."""
    ds = images(table, "null")
    assert numbers(ds) == [0, 1, 2, 3, 4, 5]
    assert ds.count() == 6
    assert numbers(ds.filter(pl.col("image").is_null())) == [1, 3, 5]
    assert numbers(ds.filter(pl.col("image").is_not_null()).limit(2)) == [0, 2]
    assert numbers(ds.filter(IMAGE.width().is_null())) == [1, 3, 5]
    assert numbers(ds.filter(IMAGE.width() > 3)) == [2, 4]
    assert ds.filter(pl.col("image").is_null()).count() == 3
    assert numbers(ds.limit(3).filter(pl.col("image").is_null())) == [1]
    widths = ds.select("n", w=IMAGE.width(), p=IMAGE.resize(2, 2).image.to_tensor().tensor.mean()).collect()
    assert widths["w"].to_list() == [3, None, 5, None, 7, None]
    assert widths["p"].null_count() == 3
    assert [row["image"] is None for row in ds.take_all()] == [False, True, False, True, False, True]
    assert ds.select(IMAGE.width().sum()).take_all() == [{"image": 15}]


@pytest.mark.usefixtures("task_rows")
def test_skip_drops_rows(table):
    """Rows that fail are dropped, and rows whose image is null on purpose are not."""
    ds = images(table, "skip")
    assert numbers(ds) == [0, 2, 4, 5]
    assert ds.count() == 4
    for n in range(6):
        assert numbers(ds.limit(n)) == [0, 2, 4, 5][:n]
        assert numbers(ds.filter(pl.col("n") > 0).limit(n)) == [2, 4, 5][:n]
        assert ds.limit(n).select("n").count() == min(n, 4)
    assert numbers(ds.filter(pl.col("image").is_null())) == [5]
    assert ds.select("n").count() == 4
    assert numbers(ds.drop("image")) == [0, 2, 4, 5]
    assert ds.select(pl.col("n").sum(), c=pl.len()).take_all() == [{"n": 11, "c": 4}]
    assert numbers(ds.with_columns(s=pl.col("n").cum_sum()).filter(pl.col("s") > 2)) == [4, 5]
    assert ds.map_batches(lambda b: {"k": [len(b["n"])]}, batch_size=3).take_all() == [{"k": 3}, {"k": 1}]


def test_raise_names_the_file(table, monkeypatch):
    """The first row that fails ends the run, with its file in the message."""
    monkeypatch.setattr(builder, "TASK_ROWS", 1)
    with pytest.raises(ld.DecodeError, match=r"1\.png"):
        images(table, "raise").take_all()
    with pytest.raises(ld.ReadError, match=r"3\.png"):
        images(table.slice(2), "raise").take_all()


def test_a_limit_is_not_hurt_by_what_comes_after(table, monkeypatch):
    """An image after the limit is never touched, however many other steps there are."""
    monkeypatch.setattr(builder, "TASK_ROWS", 1)  # as written, the limit only stops whole tasks
    ds = images(table, "raise")
    assert numbers(ds.limit(1)) == [0]
    assert numbers(ds.with_columns(IMAGE.resize(2, 2), w=IMAGE.width()).limit(1)) == [0]
    assert [row["w"] for row in ds.map(lambda row: {"w": row["image"].shape[1]}).limit(1).take_all()] == [3]
    assert ds.first()["n"] == 0
    assert numbers(ds.filter(pl.col("n") % 2 == 0).limit(1)) == [0]
    assert numbers(ds.filter(IMAGE.width() == 3).limit(1)) == [0]


def test_cut_pixels_fail_under_every_policy(tmp_path):
    """A file whose header is whole and whose pixels are not is found where pixels are promised."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:900])
    Image.new("RGB", (2, 2)).save(tmp_path / "b.jpg")
    assert ld.read_images(tmp_path, on_error="skip").count() == 1
    assert [row["image"] is None for row in ld.read_images(tmp_path, on_error="null").take_all()] == [True, False]
    assert ld.read_images(tmp_path, on_error="null").filter(IMAGE.width().is_null()).count() == 1
    with pytest.raises(ld.DecodeError, match=r"a\.jpg"):
        ld.read_images(tmp_path).take_all()


def test_a_mistake_in_a_function_is_the_users_own():
    """An exception of a user's function comes through, with a note of where."""

    def fail(row):
        raise ZeroDivisionError("mine")

    for ds in (ld.range(3).map(fail), ld.range(3).filter(fail), ld.range(3).map_batches(fail)):
        with pytest.raises(ZeroDivisionError, match="mine") as caught:
            ds.take_all()
        assert "fail" in caught.value.__notes__[0]
    over_all = ld.range(3).map(fail, schema={"a": int}).select(pl.col("a").sum())
    with pytest.raises(ZeroDivisionError, match="mine"):
        over_all.take_all()
