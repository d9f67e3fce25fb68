"""Joins hold paths; pixels are made after them."""

import polars as pl
import pytest
from PIL import Image

import lightdata as ld
from lightdata.optimize.stages import optimize
from lightdata.plan.node import ReadFiles
from lightdata.plan.relational import Join, JoinAsof

LABELS = pl.DataFrame({"number": [0, 2, 2, 9], "label": ["zero", "two", "deux", "nine"], "image": ["a", "b", "c", "d"]})


@pytest.fixture
def photos(tmp_path):
    """Four images of rising width."""
    for number in range(4):
        Image.new("RGB", (number + 1, 2), (number * 40, 0, 0)).save(tmp_path / f"{number}.png")
    number = ld.col("path").str.slice(-5, 1).cast(pl.Int64)
    return ld.read_images(tmp_path, include_paths=True).with_columns(number=number)


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers, optimize=before.optimize)


def seen(query):
    """Give all rows, an image as its size."""
    return [{name: getattr(value, "shape", value) for name, value in row.items()} for row in query.take_all()]


QUERIES = [
    lambda ds: ds.join(LABELS.drop("image"), on="number"),
    lambda ds: ds.join(LABELS.drop("image"), on="number", how="left"),
    lambda ds: ds.join(LABELS, on="number", how="left"),
    lambda ds: ds.join(LABELS, on="number", how="semi"),
    lambda ds: ds.join(LABELS, on="number", how="anti"),
    lambda ds: ds.drop("path").join(LABELS.rename({"image": "path"}), on="number"),
    lambda ds: ld.from_polars(LABELS.drop("image")).join(ds, on="number"),
    lambda ds: ld.from_polars(LABELS).join(ds, on="number", how="left"),
    lambda ds: ld.from_polars(LABELS).join(ds.drop("path"), on="number", how="left"),
    lambda ds: ds.join(ds.drop("path"), on="number"),
    lambda ds: ds.drop("path").join(ds.drop("path"), on="number", suffix="_2"),
    lambda ds: ds.join(ds, on="path"),
    lambda ds: ds.join(ds.rename({"path": "file"}), left_on="path", right_on="file"),
    lambda ds: ds.join(ds.drop("path"), left_on=pl.col("number") % 2, right_on="number", how="left"),
    lambda ds: ds.join(ds, left_on=pl.col("path").str.slice(-5), right_on=pl.col("path").str.slice(-5)),
    lambda ds: ds.join(ds, left_on=pl.col("number") + 1, right_on=pl.col("number") + 1, how="left"),
    lambda ds: ds.with_columns(pl.col("image").image.resize(3, 3)).join(LABELS, on="number", how="left"),
    lambda ds: ld.from_polars(LABELS).join(
        ds.with_columns(pl.col("image").image.resize(3, 3)), on="number", how="left"
    ),
    lambda ds: ds.select("number", small=pl.col("image").image.resize(3, 3)).join(ds.drop("path"), on="number"),
    lambda ds: ds.join_asof(LABELS.sort("number"), on="number"),
    lambda ds: ld.from_polars(LABELS.sort("number")).join_asof(ds, on="number", strategy="nearest"),
    lambda ds: ds.join(LABELS.drop("image"), on="number").join(ds.drop("path"), on="number").sort("label"),
]


@pytest.mark.parametrize("query", QUERIES)
def test_rows_and_columns_are_the_same(photos, query):
    """A join whose images are read after it gives the rows, names and order that it would have given."""
    late = query(photos)
    found = seen(late)
    ld.config(optimize=False)
    assert found == seen(query(photos))
    assert found
    assert late.columns == late.collect().columns


@pytest.mark.parametrize("query", QUERIES)
def test_no_file_is_read_below_a_join(photos, query):
    """What goes into a join is paths."""
    plan, fired = optimize(query(photos)._plan)
    joins = [step for step in plan.walk() if isinstance(step, Join | JoinAsof)]
    assert not any(isinstance(step, ReadFiles) for join in joins for step in join.walk())
    assert "late_pixels_in_join" in {one.rule for one in fired}


@pytest.mark.parametrize("how", ["right", "full", "cross"])
def test_other_joins_are_left_alone(photos, how):
    """Where the left may be missing, or rows multiply, images are read before the join."""
    query = photos.join(LABELS.drop("image"), on=None if how == "cross" else "number", how=how)
    plan, _ = optimize(query._plan)
    join = next(step for step in plan.walk() if isinstance(step, Join))
    assert any(isinstance(step, ReadFiles) for step in join.walk())
    found = seen(query)
    ld.config(optimize=False)
    assert found == seen(query)


def test_only_partners_are_read(photos):
    """A join with a short table opens the files of its rows."""
    query = photos.join(LABELS.head(1).drop("image"), on="number")
    assert seen(query) == [{"path": query.collect()["path"][0], "image": (2, 1, 3), "number": 0, "label": "zero"}]
    assert query.stats().files_opened == 1
