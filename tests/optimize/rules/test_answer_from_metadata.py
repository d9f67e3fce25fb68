"""Aggregates that metadata know."""

import datetime as dt

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lightdata as ld
from lightdata.io.memory import MemorySource
from lightdata.io.source import Pushdowns
from lightdata.optimize.rules.answer_from_metadata import answer_from_metadata
from lightdata.optimize.stages import optimize
from lightdata.plan.node import Scan

TABLE = pa.table(
    {
        "i": pa.array([3, None, -5, 7], pa.int8()),
        "u": pa.array([2**64 - 1, 1, 5, 2**63], pa.uint64()),
        "day": pa.array([0, 1, None, -800_000], pa.date32()),
        "time": pa.array([5, 2**62 + 1, 7, 9], pa.timestamp("ns")),
        "zone": pa.array([5, 6, 7, 9], pa.timestamp("ms", "UTC")),
        "true": [True, True, False, None],
        "none": pa.array([None] * 4, pa.int64()),
        "a.b": [4, 3, 2, 1],
    }
)
INEXACT = pa.table({"f": [1.0, float("nan")], "s": ["a", "b" * 999]})


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=True)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


def spoil(path):
    """Overwrite all pages, so that only the footer can be read."""
    content = bytearray(path.read_bytes())
    start = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[4:start] = b"\xff" * (start - 4)
    path.write_bytes(content)


def all_numbers(columns):
    named = [(name, pl.col(name)) for name in columns]
    numbers = [one for name, col in named for one in (col.min().alias(f"{name} min"), col.max().alias(f"{name} max"))]
    counts = [one for name, col in named for one in (col.count().alias(f"{name} n"), col.len().alias(f"{name} rows"))]
    return [*numbers, *counts, *(col.null_count().alias(f"{name} nulls") for name, col in named), pl.len()]


def is_answered(ds):
    """Whether the optimized plan is one row in memory."""
    plan, fired = optimize(ds._plan)
    assert ("answer_from_metadata" in [one.rule for one in fired]) == isinstance(plan, Scan)
    return isinstance(plan, Scan) and isinstance(plan.source, MemorySource) and plan.source.table.num_rows == 1


def test_the_answer_is_polars_and_no_page_is_read(tmp_path):
    """Bounds and counts of several files with several row groups are those Polars gives, though their data are gone."""
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=2)
    pq.write_table(TABLE.slice(1, 2), tmp_path / "b.parquet")
    expected = pl.DataFrame(pl.from_arrow(pa.concat_tables([TABLE, TABLE.slice(1, 2)])))
    ds = ld.read_parquet(tmp_path).select(all_numbers(TABLE.column_names))
    for path in tmp_path.iterdir():
        spoil(path)
    assert is_answered(ds)
    assert ds.collect().equals(expected.select(all_numbers(TABLE.column_names)))
    assert ds.collect().schema == ds.schema().to_polars()
    with pytest.raises(ld.DecodeError):
        ld.read_parquet(tmp_path).collect()


def test_files_without_rows(tmp_path):
    """The bounds of no rows are null."""
    pq.write_table(TABLE.slice(0, 0), tmp_path / "a.parquet")
    ds = ld.read_parquet(tmp_path).select(pl.col("i").min(), n=pl.len())
    assert is_answered(ds)
    assert ds.take_all() == [{"i": None, "n": 0}]


@pytest.mark.parametrize("column", INEXACT.column_names)
def test_what_is_not_exact_is_computed(tmp_path, column):
    """Floats and text are read, for their statistics leave something out."""
    pq.write_table(INEXACT, tmp_path / "a.parquet")
    ds = ld.read_parquet(tmp_path).select(pl.col(column).max())
    assert answer_from_metadata(ds._plan) is None
    assert ds.collect().equals(pl.DataFrame(pl.from_arrow(INEXACT)).select(pl.col(column).max()))


@pytest.mark.parametrize("options", [{"write_statistics": False}, {"write_statistics": ["u"]}])
def test_files_without_statistics_are_read(tmp_path, options):
    """One file whose footer says nothing of the column is enough to read them all."""
    pq.write_table(TABLE, tmp_path / "a.parquet")
    pq.write_table(TABLE, tmp_path / "b.parquet", **options)
    ds = ld.read_parquet(tmp_path).select(pl.col("i").max())
    assert answer_from_metadata(ds._plan) is None
    assert ds.take_all() == [{"i": 7}]
    assert is_answered(ld.read_parquet(tmp_path).select(pl.len()))


@pytest.mark.parametrize(
    ("told", "untrue"),
    [
        (b"\x16\x00", b"\x16\x01"),  # of nulls, -1
        (b"\x16\x00", b"\x16\x7e"),  # 63
        (b"\x09\0\0\0", b"\0\0\1\0"),
        (b"\x09\0\0\0", b"\1\0\0\0"),  # below the minimum
    ],
)
def test_statistics_that_cannot_be_true_are_not_believed(tmp_path, told, untrue):
    """A number of nulls below none or above all rows, and bounds that no value can have, are computed anew."""
    pq.write_table(pa.table({"n": pa.array([7, 9], pa.int8())}), tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    start = content.index(b"\x18\x04\x09\0\0\0\x18\x04\x07\0\0\0\x16\x00")
    (tmp_path / "a.parquet").write_bytes(content[:start] + content[start:].replace(told, untrue))
    answer = ld.read_parquet(tmp_path).select(pl.col("n").max(), nulls=pl.col("n").null_count())
    assert answer.take_all() == [{"n": 9, "nulls": 0}]


def test_a_field_that_looks_like_a_column(tmp_path):
    """A column named ``a.b`` beside a struct ``a`` with a field ``b`` is read."""
    pq.write_table(pa.table({"a": [{"b": 9}], "a.b": [1]}), tmp_path / "a.parquet")
    ds = ld.read_parquet(tmp_path).select(pl.col("a.b").max())
    assert answer_from_metadata(ds._plan) is None
    assert ds.take_all() == [{"a.b": 1}]


@pytest.mark.parametrize(
    "verb",
    [
        lambda ds: ds.select(pl.col("id").sum()),
        lambda ds: ds.select(pl.col("id").max() + 1),
        lambda ds: ds.select((pl.col("id") + 1).max()),
        lambda ds: ds.select(pl.col("id").max(), pl.lit(1)),
        lambda ds: ds.select("id"),
        lambda ds: ds.select(pl.col("id").max().over(pl.col("id"))),
        lambda ds: ds.filter(pl.col("id") > 1).select(pl.len()),
        lambda ds: ds.group_by("id").agg(pl.len()),
    ],
)
def test_other_queries_are_left_alone(verb):
    """The rule takes plain statistics of a whole source, and nothing else."""
    ds = verb(ld.range(5))
    assert answer_from_metadata(ds._plan) is None


def test_a_scan_that_stops_is_left_alone():
    """What a source says of all its rows is not said of the first."""
    scan = Scan(source=ld.range(5)._plan.source, pushdowns=Pushdowns(n_rows=2))
    assert answer_from_metadata(ld.Dataset(scan).select(pl.col("id").max())._plan) is None
    assert ld.range(5).limit(2).select(pl.col("id").max(), n=pl.len()).take_all() == [{"id": 1, "n": 2}]


def test_columns_that_were_dropped_do_not_matter():
    """A drop between the numbers and the source is looked through, and its columns stay away."""
    ds = ld.from_items([{"a": 1, "b": 2}]).drop("a").select(pl.len())
    assert answer_from_metadata(ds._plan) is not None
    assert is_answered(ds)


def test_ranges_and_listings(tmp_path):
    """A range knows its ends, a listing its files, and memory its rows."""
    (tmp_path / "a.bin").write_bytes(b"x")
    for ds, row in (
        (ld.range(5).select(pl.col("id").min(), most=pl.col("id").max()), {"id": 0, "most": 4}),
        (ld.range(0).select(pl.col("id").max()), {"id": None}),
        (ld.read_binary_files(tmp_path).select(pl.len()), {"len": 1}),
        (ld.from_items([1, 2]).select(pl.len()), {"len": 2}),
    ):
        assert ds.take_all() == [row]
    assert is_answered(ld.range(5).select(pl.col("id").min()))
    assert is_answered(ld.from_items([1, 2]).select(pl.len()))
    assert answer_from_metadata(ld.from_items([1, 2]).select(pl.col("item").max())._plan) is None


def test_files_that_are_gone_are_told_by_the_run(tmp_path):
    """Planning does not fail for files; the run does."""
    pq.write_table(TABLE, tmp_path / "a.parquet")
    ds = ld.read_parquet(tmp_path).select(pl.len())
    (tmp_path / "a.parquet").unlink()
    assert answer_from_metadata(ds._plan) is None
    with pytest.raises(ld.ReadError):
        ds.collect()


def test_dates_before_python_has_any():
    """The date in the first test is one that Python cannot hold."""
    with pytest.raises(OverflowError):
        dt.date(1970, 1, 1) + dt.timedelta(days=-800_000)
