"""Building, explaining and showing a query run nothing."""

from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.io.source import Extent
from lightdata.plan.node import DecodeImages, ReadFiles, Scan
from lightdata.types.schema import Schema


@dataclass(frozen=True)
class RaiseIfExecuted:
    """A source that must not be read."""

    rows_are_listed: bool = True
    lets_rows_go: bool = False

    @property
    def schema(self):
        return Schema({"path": pa.large_string(), "n": pa.int64()})

    def tasks(self, pushdowns, *, task_rows):
        raise AssertionError("the source was read")

    def count(self, most=None):
        raise AssertionError("the source was counted")

    def extent(self):
        return Extent()

    def bounds(self, columns):
        raise AssertionError("the source was asked for bounds that nobody wants")

    def __str__(self):
        return "nothing to read"


def never(row):
    """Stand for a user's function."""
    raise AssertionError("the function was called")


class NeverBuilt:
    """Stands for a user's class."""

    def __init__(self):
        raise AssertionError("the class was built")

    def __call__(self, row):
        """Do nothing."""
        return row


def query(listed):
    plan = ReadFiles(input=Scan(source=RaiseIfExecuted(rows_are_listed=listed)), path="path", column="image")
    ds = ld.Dataset(DecodeImages(input=plan, column="image"))
    ds = ds.filter(pl.col("image").image.width() > 3).with_columns(small=pl.col("image").image.resize(2, 2))
    ds = ds.with_columns(share=pl.col("n") / pl.col("n").max()).filter(never).limit(3)
    ds = ds.map(never, schema={"a": int}).map_batches(NeverBuilt, schema={"a": int}).flat_map(never, schema={"a": int})
    return ds.rename({"a": "b"}).select("b", c=pl.col("b") + 1).drop("b")


@pytest.mark.parametrize("listed", [True, False])
def test_nothing_runs_until_rows_are_asked_for(listed):
    """Building, explaining, showing and asking for the schema touch neither source nor functions."""
    ds = query(listed)
    assert repr(ds.schema()) == "c: int64"
    assert ds.columns == ["c"]
    assert "nothing to read" in repr(ds)
    assert "nothing to read" in ds.explain(optimized=False)
    assert "nothing to read" in ds.explain()
    assert "map_batches NeverBuilt" in str(ds.explain())


def test_the_source_would_tell():
    """Asking for rows does read it."""
    with pytest.raises(AssertionError, match="the source was"):
        query(listed=True).take_all()


def test_a_wrong_step_on_it_runs_nothing():
    """A query that is refused has not run either."""
    with pytest.raises(ld.ColumnNotFoundError):
        query(listed=True).select("d")
