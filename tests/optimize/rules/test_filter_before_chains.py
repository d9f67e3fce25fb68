"""Filters on what a header tells of changed images come before the change."""

import re

import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.io.memory import MemorySource
from lightdata.optimize.rules.filter_before_chains import filter_before_chains
from lightdata.plan.node import DecodeImages, Filter, Scan

SCAN = Scan(source=MemorySource(pa.table({"image": pa.array([], pa.large_binary()), "n": pa.array([], pa.int64())})))
IMAGES = ld.Dataset(DecodeImages(input=SCAN, column="image"))
IMAGE = pl.col("image").image
SMALL = pl.col("small").image


def said(plan):
    """List the steps and what they compute, however it was named."""
    return [
        (type(step).__name__, [re.sub(r"\.alias\([^)]*\)", "", str(one)) for one in expressions(step)])
        for step in plan.walk()
    ]


def expressions(step):
    return (step.predicate,) if isinstance(step, Filter) else getattr(step, "expressions", ())


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=True)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


def test_the_size_after_a_resize_is_asked_before_it():
    """The width that an image will have is asked of its header."""
    ds = IMAGES.with_columns(image=IMAGE.resize_shortest(4)).filter((IMAGE.width() > 5) & (pl.col("n") > 1))
    chain = IMAGE.resize_shortest(4).image.width()
    before = IMAGES.filter((chain > 5) & (pl.col("n") > 1)).with_columns(image=IMAGE.resize_shortest(4))
    assert said(filter_before_chains(ds._plan)) == said(before._plan)


def test_a_column_under_another_name_is_asked_itself():
    """A filter passes a step that only gives what it reads another name."""
    ds = IMAGES.with_columns(m="n", small=IMAGE.resize(2, 2)).filter(pl.col("m") > 1)
    before = IMAGES.filter(pl.col("n") > 1).with_columns(m="n", small=IMAGE.resize(2, 2))
    assert said(filter_before_chains(ds._plan)) == said(before._plan)


@pytest.mark.parametrize(
    "predicate",
    [
        SMALL.to_tensor().tensor.mean() > 3,
        pl.col("small").is_not_null(),
        SMALL.exif_transpose().image.width() > 1,
        (SMALL.width() > 1) & (SMALL.to_tensor().tensor.mean() > 3),
        SMALL.width() == SMALL.width().max(),
        pl.col("n") > 1,
        pl.col("sum") > 1,
    ],
)
def test_other_filters_wait(predicate):
    """A filter that needs pixels, all rows or a computed column stays, and one that reads nothing of the step too."""
    ds = IMAGES.with_columns(small=IMAGE.resize(2, 2), sum=pl.col("n") + 1).filter(predicate)
    assert filter_before_chains(ds._plan) is None


def test_a_step_over_all_rows_keeps_the_filter():
    """A running sum must see the rows that the filter drops."""
    ds = IMAGES.with_columns(small=IMAGE.resize_shortest(2), sum=pl.col("n").cum_sum()).filter(SMALL.width() > 3)
    assert filter_before_chains(ds._plan) is None


@pytest.mark.parametrize("optimize", [True, False])
def test_the_rows_are_the_same(tmp_path, optimize):
    """Images are kept by the size they get, whether it is asked before or after."""
    ld.config(optimize=optimize)
    for name, size in {"wide": (12, 4), "tall": (4, 12), "square": (5, 5)}.items():
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    ds = ld.read_images(tmp_path).with_columns(image=IMAGE.resize_shortest(2)).filter(IMAGE.width() > 3)
    assert [row["image"].shape for row in ds.take_all()] == [(2, 6, 3)]


def test_dropped_rows_are_not_resized(tmp_path):
    """A file that is cut after its header is dropped without being decoded."""
    Image.effect_noise((64, 32), 50).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:900])
    assert ld.read_images(tmp_path).with_columns(image=IMAGE.resize_shortest(2)).filter(IMAGE.width() < 3).count() == 0
