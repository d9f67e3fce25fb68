"""Filters move towards the source, past steps they do not read."""

from dataclasses import replace

import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.io.memory import MemorySource
from lightdata.optimize.rules.push_down_filter import push_down_filter
from lightdata.plan.node import DecodeImages, Filter, ReadFiles, Scan, SplitFrames


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=True)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


def same(row):
    """Give back what came."""
    return row


TABLE = pa.table({"path": ["a", "b"], "n": [1, 2]})
SCAN = Scan(source=MemorySource(TABLE))
READ = ReadFiles(input=SCAN, path="path", column="image")
DECODE = DecodeImages(input=READ, column="image")


def test_it_passes_reads_and_decodes():
    """A filter on another column goes below the read and the decode."""
    for step in (READ, DECODE, replace(READ, on_error="null"), replace(DECODE, on_error="null")):
        plan = ld.Dataset(step).filter(pl.col("n") > 1)._plan
        assert push_down_filter(plan) == replace(step, input=replace(plan, input=step.input))


def test_it_passes_the_split_into_frames():
    """A filter on a column of the file goes below the split; one on what the split makes, or below a skip, does not."""
    split = SplitFrames(input=READ, column="image")
    plan = ld.Dataset(split).filter(pl.col("n") > 1)._plan
    assert push_down_filter(plan) == replace(split, input=replace(plan, input=READ))
    for step, predicate in [
        (split, pl.col("frame") > 1),
        (split, pl.col("n") > pl.col("n").mean()),
        (replace(split, on_error="skip"), pl.col("n") > 1),
    ]:
        assert push_down_filter(ld.Dataset(step).filter(predicate)._plan) is None


@pytest.mark.parametrize(
    "verb",
    [
        lambda ds: ds.with_columns(x=pl.col("n") + 1, y=pl.lit(3)),
        lambda ds: ds.with_columns(pl.col("image").image.resize(2, 2)),
        lambda ds: ds.drop("image"),
        lambda ds: ds.rename({"image": "picture"}),
    ],
)
def test_it_passes_steps_it_does_not_read(verb):
    """A filter goes below a step that makes none of its columns."""
    step = verb(ld.Dataset(DECODE))._plan
    plan = ld.Dataset(step).filter(pl.col("n") > 1)._plan
    assert push_down_filter(plan) == replace(step, input=replace(plan, input=DECODE))


@pytest.mark.parametrize(
    ("verb", "predicate"),
    [
        (lambda ds: ds.with_columns(n=pl.col("n") + 1), pl.col("n") > 2),
        (lambda ds: ds.with_columns(x=pl.col("n") + 1), pl.col("x") > 2),
        (lambda ds: ds.with_columns(pl.col("image").image.resize(2, 2)), pl.col("image").image.width() > 2),
        (lambda ds: ds.with_columns(image=pl.col("n")), pl.col("image") > 2),
        (lambda ds: ds.with_columns(x=pl.col("n").cum_sum()), pl.col("n") > 1),
        (lambda ds: ds.with_columns(x=pl.col("n").max()), pl.col("n") > 1),
        (lambda ds: ds.with_columns(x=pl.int_range(pl.len())), pl.col("n") > 1),
        (lambda ds: ds.limit(1), pl.col("n") > 1),
        (lambda ds: ds.map(lambda row: row), pl.col("n") > 1),
        (lambda ds: ds.map(lambda row: row, schema={"n": int}), pl.col("n") > 1),
        (lambda ds: ds.map_batches(same), pl.col("n") > 1),
        (lambda ds: ds.map_batches(same, schema={"n": int}), pl.col("n") > 1),
        (lambda ds: ds.flat_map(same, schema={"n": int}), pl.col("n") > 1),
    ],
)
def test_it_stays_where_moving_would_change_rows(verb, predicate):
    """A filter stays above what it reads, above steps that look at all rows, limits and functions."""
    plan = verb(ld.Dataset(DECODE)).filter(predicate)._plan
    assert push_down_filter(plan) is None


@pytest.mark.parametrize("step", [DECODE, READ])
def test_it_stays_above_rows_that_are_skipped(step):
    """A step that drops failing rows keeps what was written after it above it."""
    assert push_down_filter(ld.Dataset(replace(step, on_error="skip")).filter(pl.col("n") > 1)._plan) is None


def test_it_stays_above_the_column_it_reads():
    """A filter on the decoded column is not this rule's."""
    assert push_down_filter(ld.Dataset(DECODE).filter(pl.col("image").image.width() > 1)._plan) is None
    assert push_down_filter(ld.Dataset(DECODE).filter(pl.col("image").is_null())._plan) is None


def test_it_starts_at_filters_only():
    """Other steps are left alone."""
    assert push_down_filter(DECODE) is None
    assert push_down_filter(Filter(input=SCAN, predicate=ld.Dataset(SCAN).filter(n=1)._plan.predicate)) is None


def test_files_of_dropped_rows_are_not_opened(tmp_path):
    """A filter on the path comes before reading: files that do not exist are not missed."""
    Image.new("RGB", (5, 4)).save(tmp_path / "a.png")
    paths = pa.table({"path": [str(tmp_path / "a.png"), str(tmp_path / "missing.png")], "n": [1, 2]})
    plan = ReadFiles(input=Scan(source=MemorySource(paths)), path="path", column="image")
    ds = ld.Dataset(DecodeImages(input=plan, column="image")).with_columns(pl.col("image").image.resize(2, 2))
    kept = ds.filter(pl.col("path").str.ends_with("a.png"))
    assert [row["image"].shape for row in kept.take_all()] == [(2, 2, 3)]
    ld.config(optimize=False)
    with pytest.raises(ld.ReadError):
        kept.take_all()


def test_a_filter_reads_the_image_of_its_own_step(tmp_path):
    """After an image is made anew, its width is the new one; before, the old one."""
    for width in (3, 9):
        Image.new("RGB", (width, 4)).save(tmp_path / f"{width}.png")
    width = pl.col("image").image.width()
    for optimize in (True, False):
        ld.config(optimize=optimize)
        ds = ld.read_images(tmp_path).with_columns(before=width, image=pl.col("image").image.resize(6, 6))
        assert [row["before"] for row in ds.filter(width == 6).take_all()] == [3, 9]
        assert ds.filter(width == 9).take_all() == []
        assert ld.read_images(tmp_path).filter(width == 9).with_columns(pl.col("image").image.resize(6, 6)).count() == 1
        swapped = ds.with_columns(other=pl.col("image").image.resize(2, 2)).rename({"other": "image", "image": "other"})
        assert swapped.filter(width == 2).count() == 2


@pytest.mark.parametrize(
    ("verb", "predicate", "below"),
    [
        (lambda ds: ds.rename({"n": "m"}), pl.col("m") > 1, "n"),
        (lambda ds: ds.rename({"n": "path", "path": "n"}), pl.col("path") > 1, "n"),
        (lambda ds: ds.rename({"image": "n", "n": "image"}), pl.col("n").image.width() > 1, "image"),
        (lambda ds: ds.select(m="n"), pl.col("m") > 1, "n"),
        (lambda ds: ds.sort("path"), pl.col("n") > 1, "n"),
        (lambda ds: ds.unique("n"), pl.col("n") > 1, "n"),
        (lambda ds: ds.unique("n", keep="none"), pl.col("n") > 1, "n"),
        (lambda ds: ds.group_by(m="n").len(), pl.col("m") > 1, "n"),
        (lambda ds: ds.filter(lambda row: True), pl.col("n") > 1, "n"),
        (lambda ds: ds.drop("image"), pl.col("n") == pl.col("n").max(), "n"),
        (lambda ds: ds.select("n"), pl.col("n").shift(1) > 1, "n"),
        (lambda ds: ds.map(same), pl.int_range(pl.len()) > 1, None),
    ],
)
def test_it_reads_the_columns_that_are_below(verb, predicate, below):
    """A filter that passes a step reads the columns by the names they have before it."""
    step = verb(ld.Dataset(DECODE))._plan
    moved = push_down_filter(ld.Dataset(step).filter(predicate)._plan)
    assert isinstance(moved, type(step))
    assert isinstance(moved.input, Filter)
    assert moved.input.predicate.inputs == (set() if below is None else {below})


@pytest.mark.parametrize(
    ("verb", "predicate"),
    [
        (lambda ds: ds.unique("n"), pl.col("path") > "a"),
        (lambda ds: ds.group_by("n").agg(pl.len().alias("path")), pl.col("path") > 1),
        (lambda ds: ds.group_by(m=pl.col("n") + 1).len(), pl.col("m") > 1),
        (lambda ds: ds.group_by("n", k=pl.col("n").rank()).len(), pl.col("n") > 1),
        (lambda ds: ds.sort("path"), pl.col("n") == pl.col("n").first()),
        (lambda ds: ds.with_row_index(), pl.col("n") > 1),
        (lambda ds: ds.sample(1, seed=0), pl.col("n") > 1),
        (lambda ds: ds.random_shuffle(seed=0), pl.col("n") > 1),
        (lambda ds: ds.slice(1), pl.col("n") > 1),
    ],
)
def test_it_stays_above_steps_whose_rows_depend_on_others(verb, predicate):
    """A filter stays above groups it would cut, and above what counts, draws or mixes rows."""
    assert push_down_filter(verb(ld.Dataset(DECODE)).filter(predicate)._plan) is None


OTHER = pl.DataFrame({"n": [1, 2], "path": ["b", "c"], "label": ["x", "y"]})


@pytest.mark.parametrize(
    ("how", "predicate", "side", "reads"),
    [
        ("inner", pl.col("path") == "a", "left", "path"),
        ("left", pl.col("path") == "a", "left", "path"),
        ("semi", pl.col("path") == "a", "left", "path"),
        ("anti", pl.col("path") == "a", "left", "path"),
        ("cross", pl.col("path") == "a", "left", "path"),
        ("inner", pl.col("label") == "x", "right", "label"),
        ("inner", pl.col("path_right") == "x", "right", "path"),
        ("right", pl.col("label") == "x", "right", "label"),
        ("left", pl.col("label") == "x", None, None),
        ("full", pl.col("path") == "a", None, None),
        ("inner", pl.col("label") == pl.col("path"), None, None),
    ],
)
def test_it_goes_to_the_side_of_a_join_that_it_reads(how, predicate, side, reads):
    """A filter goes into the input whose columns it reads, unless rows without a partner stay on that side."""
    on = None if how == "cross" else "n"
    step = ld.Dataset(DECODE).join(OTHER, on=on, how=how)._plan
    moved = push_down_filter(ld.Dataset(step).filter(predicate)._plan)
    if side is None:
        assert moved is None
    else:
        assert getattr(moved, side).predicate.inputs == {reads}


def test_it_goes_into_every_part_of_a_concat():
    """A filter is applied to each of the inputs that are put one after another."""
    moved = push_down_filter(ld.Dataset(DECODE).union(ld.Dataset(DECODE)).filter(pl.col("n") > 1)._plan)
    assert [type(part) for part in moved.parts] == [Filter, Filter]
