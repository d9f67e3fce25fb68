"""Rows and bytes of steps before they run."""

import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.io.memory import MemorySource
from lightdata.io.source import Extent
from lightdata.plan.estimate import Estimate, estimate
from lightdata.plan.node import DecodeImages, Limit, ReadFiles, Scan
from lightdata.plan.relational import Cache
from lightdata.types.image import ImageType


def same(row):
    """Give back what came."""
    return row


NINE = ld.from_arrow(pa.table({"id": range(9), "key": [0, 1, 2] * 3}))
TWO = ld.from_arrow(pa.table({"id": [1, 2], "name": ["a", "b"]}))
OTHER = ld.from_arrow(pa.table({"other": range(4)}))


@pytest.mark.parametrize(
    "ds",
    [
        NINE,
        NINE.select("id"),
        NINE.select(pl.col("id") + 1, one=pl.lit(1)),
        NINE.select(pl.col("id").max(), n=pl.len()),
        NINE.with_columns(share=pl.col("id") / pl.col("id").max()),
        NINE.drop("id"),
        NINE.rename({"id": "n"}),
        NINE.limit(4),
        NINE.limit(40),
        NINE.map(same, schema={"id": int, "key": int}),
        NINE.sort("key"),
        NINE.with_row_index(),
        NINE.random_shuffle(seed=1),
        NINE.slice(2, 4),
        NINE.slice(7, 4),
        NINE.slice(-3),
        NINE.slice(-12, 5),
        NINE.slice(20),
        NINE.unpivot(["id", "key"]),
        NINE.union(NINE.limit(2)),
        NINE.join(OTHER, how="cross"),
        NINE.join_asof(TWO, on="id"),
        ld.range(5),
        ld.Dataset(Cache(input=NINE._plan, number=1)),
    ],
)
def test_rows_are_known_exactly(ds):
    """Where a step's rows follow from those before, the estimate is what comes."""
    known = estimate(ds._plan)
    assert known.is_exact
    assert known.rows == ds.collect().height


@pytest.mark.parametrize(
    "ds",
    [
        NINE.filter(pl.col("id") > 4),
        NINE.filter(lambda row: row["id"] > 4),
        NINE.filter(pl.col("id") > 4).limit(3),
        NINE.filter(pl.col("id") > 4).slice(1, 3),
        NINE.unique("key"),
        NINE.group_by("key").agg(pl.len()),
        NINE.join(TWO, on="id", how="semi"),
        NINE.join(TWO, on="id", how="anti"),
        NINE.join(TWO, on="id", how="left", validate="m:1"),
        NINE.union(NINE.filter(pl.col("id") > 4)),
    ],
)
def test_rows_have_an_upper_bound(ds):
    """Where rows may be left out, no more come than were estimated."""
    known = estimate(ds._plan)
    assert not known.is_exact
    assert known.rows >= ds.collect().height
    assert str(known).startswith("<= ")


@pytest.mark.parametrize(
    "ds",
    [
        NINE.join(TWO, on="id"),
        NINE.join(TWO, on="id", how="full"),
        NINE.flat_map(lambda row: [row, row]),
        NINE.map_batches(same),
        NINE.select(pl.col("id").filter(pl.col("id") > 4)),
        ld.from_arrow(pa.table({"a": [[1, 2]]})).explode("a"),
    ],
)
def test_rows_may_be_unknown(ds):
    """A step that may give any number of rows has no estimate; a limit on it has a bound."""
    assert str(estimate(ds._plan)) == "?"
    limited = estimate(ds.limit(3)._plan)
    assert (limited.rows, limited.is_exact) == (3, False)


def test_bytes_follow_the_types():
    """Fixed types count by width, text by what is in memory, and a batch function's declared columns by both."""
    scan = Scan(source=MemorySource(pa.table({"n": pa.array([1, 2], pa.int16()), "s": pa.array(["ab", "c"])})))
    text = MemorySource(pa.table({"s": pa.array(["ab", "c"])})).table["s"].nbytes / 2
    assert estimate(scan).row_bytes == 2 + text
    renamed = ld.Dataset(scan).rename({"s": "t"}).select("t", u=pl.col("t"))
    assert estimate(renamed._plan).row_bytes == 2 * text
    assert estimate(ld.Dataset(scan).map(same)._plan).row_bytes is None


def test_bytes_of_images(tmp_path):
    """Encoded images weigh what their files do, pixels height by width by channels, after decoding to one size."""
    for name, size in (("a", 5), ("b", 50)):
        Image.new("RGB", (size, size)).save(tmp_path / f"{name}.png")
    mean = sum(path.stat().st_size for path in tmp_path.iterdir()) / 2
    files = ld.read_images(tmp_path)
    assert estimate(files._plan) == Estimate(
        rows=2, row_bytes=mean, widths=estimate(files._plan).widths, file_bytes=mean
    )
    assert estimate(ld.read_images(tmp_path, mode="L", size=(4, 6))._plan).row_bytes == 24
    assert estimate(ld.read_images(tmp_path, mode="RGB", size=(4, 6))._plan).row_bytes == 72
    assert isinstance(files.schema()["image"], ImageType)
    assert not estimate(ld.read_images(tmp_path, on_error="skip")._plan).is_exact


def test_a_user_filter_of_folders_is_not_called(tmp_path):
    """A listing with a filter of the user's is bounded by the files that there are."""
    (tmp_path / "label=a").mkdir()
    (tmp_path / "label=a" / "x.png").write_bytes(b"")

    def never(values):
        raise AssertionError("called")

    ds = ld.read_binary_files(tmp_path, partitioning="hive", partition_filter=never)
    assert str(estimate(ds._plan)).startswith("<= 1 row")


def test_a_folder_that_is_gone_is_unknown(tmp_path):
    """What cannot be listed is not estimated; running says why."""
    (tmp_path / "x.bin").write_bytes(b"")
    ds = ld.read_binary_files(tmp_path)
    (tmp_path / "x.bin").unlink()
    assert estimate(ds._plan).rows is None


def test_a_remote_folder_is_not_asked():
    """Nothing remote is listed for an estimate."""
    assert estimate(ld.read_binary_files("memory://nowhere/at/all")._plan).rows is None


def test_each_source_is_asked_once():
    """A source that stands in a plan twice is sized once."""
    asked = []

    def extent(scan):
        asked.append(scan)
        return Extent(rows=3)

    scan = NINE._plan
    assert estimate(ld.Dataset(scan).union(ld.Dataset(scan))._plan, extent).rows == 6
    assert asked == [scan]


def test_large_numbers_in_words():
    """Rows have separators, bytes three digits."""
    assert str(Estimate(rows=1_234_567, row_bytes=1000.0)) == "1,234,567 rows, 1.23 GB"
    assert str(Estimate(rows=1, row_bytes=0.0, is_exact=False)) == "<= 1 row, <= 0 B"
    assert str(estimate(Limit(input=DecodeImages(input=_READ, column="image"), n=0))) == "0 rows, 0 B"


_READ = ReadFiles(input=Scan(source=MemorySource(pa.table({"path": ["a"]}))), path="path", column="image")
