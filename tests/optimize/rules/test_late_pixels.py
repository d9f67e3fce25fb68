"""Sorts, shuffles and other steps over all rows hold paths; pixels are made after them."""

import polars as pl
import pytest
from PIL import Image

import lightdata as ld
from lightdata.optimize.rules.late_pixels import late_pixels
from lightdata.optimize.stages import optimize
from lightdata.plan.node import DecodeImages, Filter, Infer, ReadFiles, Select, WithColumns
from lightdata.plan.relational import RandomShuffle, Sort, Unique


@pytest.fixture
def photos(tmp_path):
    """Six images of rising width; every second one has label 1."""
    for number in range(6):
        Image.new("RGB", (number + 1, 2), (number * 40, 0, 0)).save(tmp_path / f"{number}.png")
    paths = ld.col("path").str.slice(-5, 1).cast(pl.Int64)
    return ld.read_images(tmp_path, include_paths=True).with_columns(label=paths % 2, number=paths)


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers, optimize=before.optimize)


def rows(query):
    """Give the numbers and the widths of a result, in order."""
    return [(row["number"], row["image"].shape[1]) for row in query.take_all()]


def kinds(plan):
    """Name the steps, the last first."""
    return [type(step) for step in plan.walk()]


QUERIES = [
    lambda ds: ds.sort("label", "path"),
    lambda ds: ds.sort("number", descending=True).with_columns(twice=pl.col("number") * 2),
    lambda ds: ds.random_shuffle(seed=3),
    lambda ds: ds.sample(3, seed=1),
    lambda ds: ds.sample(fraction=0.5, seed=1, shuffle=True),
    lambda ds: ds.sample(9, with_replacement=True, seed=1),
    lambda ds: ds.unique("label", keep="last"),
    lambda ds: ds.with_row_index(),
    lambda ds: ds.tail(2),
    lambda ds: ds.filter(pl.col("number") > pl.col("number").mean()),
    lambda ds: ds.with_columns(rank=pl.col("number").rank("ordinal").over("label")),
    lambda ds: ds.drop("path").sort("label"),
    lambda ds: ds.select("image", "number", key=pl.col("label") * 2).sort("key"),
    lambda ds: ds.rename({"label": "class"}).sort("class"),
    lambda ds: ds.with_columns(pl.col("image").image.resize(2, 3)).sort("number", descending=True),
    lambda ds: ds.with_columns(small=pl.col("image").image.resize(2, 3)).drop("path").random_shuffle(seed=0),
    lambda ds: ds.sort("label").with_columns(pl.col("image").image.resize(2, 3)).sort("number"),
    lambda ds: ds.random_shuffle(seed=0).with_row_index().filter(pl.col("index") % 2 == 0).sort("number").head(2),
]

MADE_ANEW = [
    lambda ds: ds.drop("path").rename({"label": "path"}).sort("number", descending=True),
    lambda ds: ds.drop("number").with_row_index("number").sort("path", descending=True),
    lambda ds: ds.drop("label").with_row_index("label").filter(pl.col("number") > pl.col("number").mean()),
    lambda ds: ds.select("image", "path", number="label").with_row_index("label").sort("path", descending=True),
]
"""What was dropped has a successor of the same name, so that the two must not meet."""


@pytest.mark.parametrize("query", [*QUERIES, *MADE_ANEW])
def test_rows_and_schema_are_the_same(photos, query):
    """A query whose pixels are made late gives the rows, columns and order that it would have given."""
    late = query(photos)
    found = rows(late)
    ld.config(optimize=False)
    assert found == rows(query(photos))
    assert late.schema() == query(photos).schema()
    assert late.collect().columns == late.columns


@pytest.mark.parametrize("query", QUERIES)
def test_files_are_read_after_what_needs_all_rows(photos, query):
    """Nothing below the first step that Polars runs reads a file."""
    plan, fired = optimize(query(photos)._plan)
    below = [step for step in plan.walk() if isinstance(step, ReadFiles)]
    assert len(below) == 1
    assert not any(isinstance(step, Sort | RandomShuffle | Unique) for step in _above(plan, below[0]))
    assert {"late_pixels", "push_down_limit", "push_down_filter"} & {one.rule for one in fired}


def _above(plan, step):
    steps = list(plan.walk())
    return steps[: steps.index(step)]


def test_only_the_files_that_are_kept_are_opened(photos):
    """The first two of a sorted folder cost two files; sorting alone costs none."""
    two = photos.sort("label", "path").head(2)
    two.take_all()
    assert two.stats().files_opened == 2
    names = photos.sort("label").select("path")
    names.collect()
    assert names.stats().files_opened == 0


@pytest.mark.parametrize(
    "query",
    [
        lambda ds: ds.sort(pl.col("image").image.width()),
        lambda ds: ds.unique(),
        lambda ds: ds.with_columns(n=pl.col("image").image.width().max()),
        lambda ds: ds.with_columns(pl.col("image").image.width().alias("w")).sort("w"),
    ],
)
def test_it_stays_where_images_are_looked_at(photos, query):
    """A step that asks for an image, or for what was made of one, stays after it."""
    plan, _ = optimize(query(photos)._plan)
    assert not any(isinstance(step, Sort | Unique) for step in _below(plan, ReadFiles))


def _below(plan, kind):
    steps = list(plan.walk())
    place = next(number for number, step in enumerate(steps) if isinstance(step, kind))
    return steps[place:]


def test_steps_that_skip_failing_rows_stay(photos, tmp_path):
    """Reading that drops rows comes before what counts them."""
    (tmp_path / "7.png").write_bytes(b"broken")
    query = ld.read_images(tmp_path, on_error="skip", include_paths=True).sort("path", descending=True).with_row_index()
    plan, _ = optimize(query._plan)
    assert kinds(plan).index(Sort) < kinds(plan).index(DecodeImages)
    assert query.count() == 6


def test_a_new_column_never_meets_a_hidden_one(photos):
    """A row index may have the name of a column that was dropped before it."""
    query = photos.drop("path").with_row_index("path")
    assert [row["path"] for row in query.take_all()] == [0, 1, 2, 3, 4, 5]


def test_one_application_moves_all_pixel_work(photos):
    """Reading, decoding and resizing go above a sort together, and the columns keep their order."""
    query = photos.with_columns(small=pl.col("image").image.resize(2, 3)).drop("path").sort("number")
    moved = late_pixels(query._plan)
    assert kinds(moved)[:5] == [Select, WithColumns, DecodeImages, ReadFiles, Sort]
    assert [one.name for one in moved.expressions] == query.columns
    assert Infer not in kinds(moved)
    assert Filter not in kinds(moved)
