"""Queries over no rows."""

import polars as pl
import pyarrow as pa
import pytest
from polars.testing import assert_frame_equal

import lightdata as ld

EMPTY = pl.DataFrame(schema={"a": pl.Int64, "s": pl.String})


@pytest.fixture(autouse=True, params=[True, False])
def _inline(request):
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=request.param)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


WAYS = {
    "no rows at all": lambda: ld.from_polars(EMPTY),
    "filtered away": lambda: ld.from_polars(pl.DataFrame({"a": [1], "s": ["x"]})).filter(pl.col("a") > 1),
    "limited away": lambda: ld.from_polars(pl.DataFrame({"a": [1], "s": ["x"]})).limit(0),
    "mapped away": lambda: ld.range(2).flat_map(lambda row: [], schema={"a": int, "s": str}),
    "batches away": lambda: ld.range(0).map_batches(lambda batch: batch, schema={"a": int, "s": str}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "exprs",
    [
        [pl.col("a").sum()],
        [pl.len()],
        [pl.lit(1)],
        [pl.col("a").max(), pl.col("s").count()],
        [pl.col("a") + 1],
        [pl.col("a").cum_sum()],
        [pl.col("a"), pl.lit(1)],
        [pl.col("a").mean()],
    ],
)
def test_selections_equal_polars(way, exprs):
    """An aggregate of no rows is one row, and a column of no rows is empty, with the types of the plan."""
    got = WAYS[way]().select(exprs)
    assert_frame_equal(got.collect(), EMPTY.select(exprs))
    assert got.count() == EMPTY.select(exprs).height
    assert got.to_arrow().schema == got.schema().to_arrow()


@pytest.mark.parametrize("way", WAYS)
def test_steps_on_no_rows_give_no_rows(way):
    """Every other step keeps its types and gives nothing."""
    ds = WAYS[way]().with_columns(b=pl.col("a") / pl.col("a").max(), c=pl.lit("x")).rename({"a": "z"}).drop("s")
    assert ds.filter(pl.col("z") == pl.col("z").max()).take_all() == []
    assert ds.collect().schema == {"z": pl.Int64, "b": pl.Float64, "c": pl.String}
    assert ds.count() == 0
    assert ds.first() is None


def test_images_of_no_rows(tmp_path):
    """Aggregates of image attributes over no files are null, and chains have their types."""
    paths = pa.table({"path": pa.array([], pa.string())})
    del paths
    (tmp_path / "text.txt").write_text("no image")
    ds = ld.read_images(tmp_path, ignore_missing_paths=True)
    assert ds.select(pl.col("image").image.width().max()).take_all() == [{"image": None}]
    assert ds.select(pl.len()).take_all() == [{"len": 0}]
    assert ds.with_columns(pl.col("image").image.resize(2, 2)).take_all() == []


def test_an_unknown_schema_of_no_rows():
    """A function that is never called leaves the columns open."""
    assert ld.range(0).map(lambda row: row).take_all() == []
    assert ld.range(0).map(lambda row: row).schema().names == []
    assert ld.range(3).map(lambda row: row).filter(pl.col("id") > 5).count() == 0
