"""A grouping that keeps one image of each group opens one file for each group."""

import polars as pl
import pytest
from PIL import Image

import lightdata as ld
from lightdata.optimize.stages import optimize
from lightdata.plan.node import ReadFiles
from lightdata.plan.relational import GroupBy


@pytest.fixture
def photos(tmp_path):
    """Six images of rising width in two groups."""
    for number in range(6):
        Image.new("RGB", (number + 1, 2)).save(tmp_path / f"{number}.png")
    number = ld.col("path").str.slice(-5, 1).cast(pl.Int64)
    return ld.read_images(tmp_path, include_paths=True).with_columns(group=number % 2, number=number)


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers, optimize=before.optimize)


@pytest.mark.parametrize(
    "aggs",
    [
        [pl.col("image").first()],
        [pl.col("image").last(), pl.len()],
        [pl.col("number").sum(), pl.col("image").first().alias("cover")],
        [pl.col("image").first(), pl.col("path").last()],
    ],
)
def test_one_file_is_opened_for_each_group(photos, aggs):
    """The first or last image of each group is read after grouping; the result is the same."""
    query = photos.group_by("group").agg(*aggs)
    found = [{k: getattr(v, "shape", v) for k, v in row.items()} for row in query.take_all()]
    assert query.stats().files_opened == 2
    ld.config(optimize=False)
    assert found == [{k: getattr(v, "shape", v) for k, v in row.items()} for row in query.take_all()]
    assert query.stats().files_opened == 6


@pytest.mark.parametrize(
    "aggs",
    [
        [pl.col("image")],
        [pl.col("image").first(), pl.col("image").last().alias("other")],
        [pl.col("image").first(ignore_nulls=True)],
        [pl.col("image").image.width().max()],
    ],
)
def test_it_stays_where_a_group_looks_at_more(photos, aggs):
    """Lists of images, two images of a group, and questions about images need them before."""
    query = photos.group_by("group").agg(*aggs)
    plan, _ = optimize(query._plan)
    assert not isinstance(plan, ReadFiles)
    group = next(step for step in plan.walk() if isinstance(step, GroupBy))
    assert any(isinstance(step, ReadFiles) for step in group.walk())
