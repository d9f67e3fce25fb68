"""Files and row groups that metadata rule out are not read."""

from __future__ import annotations

import polars as pl
import pytest

import lightdata as ld
from lightdata.optimize.stages import optimize
from lightdata.plan.node import Scan


@pytest.fixture
def numbers(tmp_path):
    """Three files of ten row groups of ten rows, in folders that name them."""
    for label in "abc":
        folder = tmp_path / f"label={label}"
        folder.mkdir()
        frame = pl.DataFrame({"n": range(100), "f": [float(i) for i in range(99)] + [float("nan")]})
        frame.write_parquet(folder / "x.parquet", row_group_size=10)
    return tmp_path


def told(ds):
    """Give what the scan of a query is told, after optimization."""
    (scan,) = (step for step in optimize(ds._plan)[0].walk() if isinstance(step, Scan))
    return scan.pushdowns.predicate


def opened(ds):
    """Run a query, and count the row groups that were opened."""
    rows = ds.take_all()
    return len(rows), ds.stats().files_opened


@pytest.mark.parametrize(
    ("predicate", "rows", "groups"),
    [
        (pl.col("n") >= 95, 15, 3),
        ((pl.col("label") == "b") & (pl.col("n") < 15), 15, 2),
        (pl.col("label").is_in(["a", "c"]) & (pl.col("n") == 7), 2, 2),
        (pl.col("label").str.starts_with("b"), 100, 10),
        ((pl.col("n") < 5) | (pl.col("n") > 97), 21, 6),
        (pl.col("n").is_null(), 0, 0),
        (pl.col("f") > 95, 12, 30),  # NaN is above all numbers, and in no statistics
        (pl.col("n") % 50 == 3, 6, 30),
    ],
)
def test_only_parts_that_may_pass_are_opened(numbers, predicate, rows, groups):
    """Statistics leave out row groups and folders leave out files, and no row that passes is lost."""
    ds = ld.read_parquet(numbers, partitioning="hive").filter(predicate)
    assert opened(ds) == (rows, groups)


def test_filters_below_one_another_are_told_together(numbers):
    """Two filters, with columns left out between them, become one predicate of the scan; they stay where they are."""
    ds = ld.read_parquet(numbers).filter(pl.col("n") > 10).drop("f").filter(pl.col("n") < 20)
    plan, fired = optimize(ds._plan)
    assert "skip_by_metadata" in {one.rule for one in fired}
    assert "filter" in repr(ld.Dataset(plan))
    assert str(told(ds)).count("col") == 2
    assert opened(ds) == (27, 3)


@pytest.mark.parametrize("limit_first", [True, False])
def test_a_limit_below_a_filter_counts_all_rows(numbers, limit_first):
    """A scan that stops after some rows is told nothing: the rows it stops after would be others."""
    ds = ld.read_parquet(numbers)
    ds = ds.limit(30).filter(pl.col("n") >= 25) if limit_first else ds.filter(pl.col("n") >= 25).limit(30)
    assert [row["n"] for row in ds.take_all()] == ([*range(25, 30)] if limit_first else [*range(25, 55)])
    assert (told(ds) is None) == limit_first


def test_a_predicate_of_all_rows_is_not_told(numbers):
    """What compares a row with others says nothing of a row group."""
    assert told(ld.read_parquet(numbers).filter(pl.col("n") > pl.col("n").mean())) is None


def test_a_branch_that_is_not_filtered_reads_everything(numbers):
    """A scan that is read twice is told only where it is filtered."""
    ds = ld.read_parquet(numbers)
    both = ld.concat([ds.filter(pl.col("n") > 98), ds])
    assert len(both.take_all()) == 303
