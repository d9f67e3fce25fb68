"""Counting without running."""

import os

import polars as pl
import pyarrow.parquet as pq
import pytest

import lightdata as ld
from lightdata.dataset.run import executed_by, rows_known


class RaiseIfExecuted:
    """An executor that must not be asked."""

    def run(self, pipeline, /):
        """Refuse."""
        raise AssertionError("a query ran")


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=True)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


@pytest.fixture
def folder(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(b"no image")
    pq.write_table(ld.range(10).to_arrow(), tmp_path / "ten.parquet", row_group_size=3)
    return tmp_path


def counted(ds):
    with executed_by(lambda plan, failures: RaiseIfExecuted()):
        return ds.count()


def test_a_folder_of_images_is_listed_only(folder):
    """Images are counted by their names, also after steps that give each its row."""
    files = ld.read_images(folder, include_paths=True)
    assert counted(files) == 3
    assert counted(files.with_columns(pl.col("image").image.resize(2, 2)).rename({"image": "x"})) == 3
    assert counted(files.limit(2)) == 2
    assert counted(files.sort("path").slice(1)) == 2
    assert counted(files.union(files).with_row_index()) == 6


def test_parquet_is_counted_by_its_footers(folder):
    """Footers, limits and slices add up."""
    ds = ld.read_parquet(folder / "ten.parquet")
    assert [counted(one) for one in (ds, ds.limit(4), ds.limit(40), ds.slice(-3, 2), ds.union(ds).limit(15))] == [
        10,
        4,
        10,
        2,
        15,
    ]


def test_aggregates_are_one_row():
    """A query of statistics has one row, whatever they are."""
    assert counted(ld.range(9).select(pl.len())) == 1


@pytest.mark.parametrize(
    ("verb", "rows"),
    [
        (lambda ds: ds.filter(pl.col("id") > 3), 5),
        (lambda ds: ds.unique(), 9),
        (lambda ds: ds.flat_map(lambda row: [row, row]), 18),
        (lambda ds: ds.union(ds.filter(pl.col("id") > 3)), 14),
    ],
)
def test_other_queries_are_run(verb, rows):
    """Where the rows must be looked at, they are."""
    ds = verb(ld.range(9))
    assert rows_known(ds._plan) is None
    assert ds.count() == rows


def test_functions_are_called_for_a_count():
    """A function may be what a query is run for, so that counting calls it."""
    seen = []
    ds = ld.range(3).map(lambda row: seen.append(row["id"]) or row, schema={"id": int})
    assert ds.count() == 3
    assert seen == [0, 1, 2]


def test_a_query_as_written_is_run(folder):
    """With the optimizer off a count looks at every row."""
    ld.config(optimize=False)
    assert rows_known(ld.range(3)._plan) is None
    assert ld.range(3).count() == 3


def test_a_zip_of_different_lengths_is_still_an_error():
    """An error that only running finds is not counted away."""
    other = ld.range(4).rename({"id": "other"})
    with pytest.raises(ld.SchemaError):
        ld.range(3).zip(other).count()


@pytest.mark.parametrize(("workers", "is_here"), [(None, False), (1, False), (0, True)])
def test_workers_run_functions_unless_there_are_to_be_none(workers, is_here):
    """By default, and with any number of workers, functions run in other processes; with none, in this one."""
    before = ld.config()
    ld.config(workers=workers)
    try:
        rows = ld.range(9000).map(lambda row: {"pid": os.getpid()}).take_all()
    finally:
        ld.config(workers=before.workers)
    assert ({row["pid"] for row in rows} == {os.getpid()}) is is_here
