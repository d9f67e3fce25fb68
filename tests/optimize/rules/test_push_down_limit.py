"""Limits stop at the source."""

from dataclasses import dataclass, replace

import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.io.memory import MemorySource, RangeSource
from lightdata.io.source import Pushdowns
from lightdata.optimize.rules.push_down_limit import push_down_limit
from lightdata.plan.node import DecodeImages, Limit, ReadFiles, Scan


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=True)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


def same(row):
    """Give back what came."""
    return row


SCAN = Scan(source=MemorySource(pa.table({"path": ["a", "b"], "n": [1, 2]})))
READ = ReadFiles(input=SCAN, path="path", column="image")
DECODE = DecodeImages(input=READ, column="image")


@dataclass(frozen=True)
class Unlisted(RangeSource):
    """A range that does not say where its tasks end."""

    @property
    def rows_are_listed(self):
        return False


def test_limits_merge():
    """Two limits are the smaller one."""
    for outer, inner in ((2, 5), (5, 2), (0, 1)):
        plan = Limit(input=Limit(input=READ, n=inner), n=outer)
        assert push_down_limit(plan) == Limit(input=READ, n=min(outer, inner))


def test_a_listed_source_takes_the_limit():
    """Where rows are listed the source stops exactly, and the limit is gone."""
    assert push_down_limit(Limit(input=SCAN, n=3)) == replace(SCAN, pushdowns=Pushdowns(n_rows=3))
    earlier = replace(SCAN, pushdowns=Pushdowns(n_rows=2, columns=("n",)))
    assert push_down_limit(Limit(input=earlier, n=3)) == earlier


def test_another_source_is_told_and_the_limit_stays():
    """Where rows are not listed the source may give more, so the limit stays; it is told only once."""
    scan = Scan(source=Unlisted(9))
    told = Limit(input=replace(scan, pushdowns=Pushdowns(n_rows=3)), n=3)
    assert push_down_limit(Limit(input=scan, n=3)) == told
    assert push_down_limit(told) is None


@pytest.mark.parametrize(
    "verb",
    [
        lambda ds: ds,
        lambda ds: ds.with_columns(x=pl.col("n") + 1, y=pl.lit(1)),
        lambda ds: ds.select(pl.col("image").image.resize(2, 2), "n"),
        lambda ds: ds.drop("n"),
        lambda ds: ds.rename({"n": "m"}),
        lambda ds: ds.map(same),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "null"])
def test_it_passes_steps_of_one_row_for_one_row(verb, on_error):
    """A limit goes below a step that gives each row one row."""
    step = verb(ld.Dataset(replace(DECODE, on_error=on_error)))._plan
    assert push_down_limit(Limit(input=step, n=1)) == replace(step, input=Limit(input=step.input, n=1))


@pytest.mark.parametrize(
    "verb",
    [
        lambda ds: ds.filter(pl.col("n") > 1),
        lambda ds: ds.filter(lambda row: True),
        lambda ds: ds.flat_map(lambda row: [row, row]),
        lambda ds: ds.map_batches(same),
        lambda ds: ds.map_batches(same, schema={"n": int}),
        lambda ds: ds.with_columns(x=pl.col("n").max()),
        lambda ds: ds.with_columns(x=pl.col("n").shift(-1)),
        lambda ds: ds.select(pl.col("n").sum()),
        lambda ds: ds.select(pl.lit(1)),
        lambda ds: ds.select(pl.col("n").filter(pl.col("n") > 1)),
    ],
)
def test_it_stays_above_other_steps(verb):
    """A limit stays above filters, batch functions, and steps that look at other rows."""
    assert push_down_limit(Limit(input=verb(ld.Dataset(DECODE))._plan, n=1)) is None


@pytest.mark.parametrize("step", [READ, DECODE])
def test_it_stays_above_rows_that_are_skipped(step):
    """A step that drops failing rows must see rows until enough are good."""
    assert push_down_limit(Limit(input=replace(step, on_error="skip"), n=1)) is None


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 9])
def test_the_same_rows_come(optimize, n):
    """However the limit moves, the first rows come."""
    ld.config(optimize=optimize)
    ids = ld.range(5).with_columns(x=pl.col("id") * 2)
    assert [row["id"] for row in ids.limit(n).take_all()] == list(range(5))[:n]
    assert [row["id"] for row in ids.filter(pl.col("id") > 1).limit(n).take_all()] == [2, 3, 4][:n]
    assert [row["id"] for row in ids.limit(n).filter(pl.col("id") > 1).take_all()] == list(range(5))[:n][2:]
    assert ids.limit(n).select(pl.col("id").sum()).take_all() == [{"id": sum(list(range(5))[:n])}]
    assert ids.select(pl.col("id").cum_sum()).limit(n).collect()["id"].to_list() == [0, 1, 3, 6, 10][:n]
    unlisted = ld.Dataset(Scan(source=Unlisted(5)))
    assert unlisted.limit(n).count() == min(n, 5)


def test_files_after_the_limit_are_not_opened(tmp_path):
    """The first two images come although the third is broken and the fourth is missing."""
    for name in "ab":
        Image.new("RGB", (5, 4)).save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes(b"no image")
    paths = [str(tmp_path / f"{name}.png") for name in "abcd"]
    plan = ReadFiles(input=Scan(source=MemorySource(pa.table({"path": paths}))), path="path", column="image")
    ds = ld.Dataset(DecodeImages(input=plan, column="image"))
    assert len(ds.with_columns(pl.col("image").image.resize(2, 2)).head(2).take_all()) == 2
    assert len(ds.take(2)) == 2
    assert ds.head(2).filter(pl.col("image").image.to_tensor().tensor.mean() < 1).count() == 2
    assert len(ld.read_images(tmp_path).head(2).take_all()) == 2
    with pytest.raises(ld.DecodeError):
        ld.read_images(tmp_path).head(3).take_all()


def test_a_function_sees_no_more_rows_than_wanted():
    """A row function is called once for each row that is wanted."""
    seen = []
    ld.range(100).map(lambda row: seen.append(row["id"]) or {"a": 1}, schema={"a": int}).limit(2).take_all()
    assert seen == [0, 1]


def test_files_side_by_side_are_opened_no_further_than_wanted(tmp_path):
    """The first rows of images beside others cost a file each, and come padded where one side ends early."""
    for number in range(9):
        Image.new("RGB", (number + 1, 2)).save(tmp_path / f"{number}.png")
    images = ld.read_images(tmp_path)
    beside = images.zip(ld.range(9)).head(2)
    assert [(row["image"].shape[1], row["id"]) for row in beside.take_all()] == [(1, 0), (2, 1)]
    assert beside.stats().files_opened == 2
    padded = ld.concat([images.head(1), ld.range(9)], how="horizontal_extend").head(3).collect()
    assert padded["id"].to_list() == [0, 1, 2]
    assert padded["image"].null_count() == 2
    with pytest.raises(ld.SchemaError, match="zip"):
        images.zip(ld.range(3)).head(4).take_all()
