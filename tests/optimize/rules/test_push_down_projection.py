"""What nobody reads is not made."""

from dataclasses import replace

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.io.memory import MemorySource
from lightdata.io.source import Pushdowns
from lightdata.optimize.rewrite import rewrite
from lightdata.optimize.rules.push_down_projection import push_down_projection
from lightdata.optimize.stages import optimize as optimized
from lightdata.plan.node import DecodeImages, Drop, ReadFiles, Rename, Scan, Select, SplitFrames, WithColumns
from lightdata.plan.schema import schema_of


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=True)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


def same(row):
    """Give back what came."""
    return row


SCAN = Scan(source=MemorySource(pa.table({"path": ["a", "b"], "n": [1, 2], "m": [3, 4]})))
READ = ReadFiles(input=SCAN, path="path", column="image")
DECODE = DecodeImages(input=READ, column="image")
IMAGES = ld.Dataset(DECODE)


def settled(ds):
    plan, _ = rewrite(ds._plan, (push_down_projection,))
    assert schema_of(plan) == schema_of(ds._plan)
    return plan


def kinds(plan):
    return [type(step).__name__ for step in plan.walk()]


def test_a_source_gives_only_what_is_read():
    """A drop on a source becomes the columns it produces."""
    assert push_down_projection(Drop(input=SCAN, columns=("n",))) == replace(
        SCAN, pushdowns=Pushdowns(columns=("path", "m"))
    )


def test_a_source_always_gives_a_column():
    """Dropping all columns stays above the source: rows without columns have no number there."""
    kept = push_down_projection(Drop(input=SCAN, columns=("path", "n", "m")))
    assert (kept.columns, kept.input.pushdowns.columns) == (("n",), ("n",))
    assert push_down_projection(kept) is None


def test_drops_merge():
    """Two drops are one."""
    plan = Drop(input=Drop(input=DECODE, columns=("n",)), columns=("m",))
    assert push_down_projection(plan) == Drop(input=DECODE, columns=("n", "m"))


def test_reads_and_decodes_that_nobody_needs_are_left_out():
    """Selecting other columns leaves the read and the decode out."""
    assert kinds(settled(IMAGES.select("n"))) == ["Select", "Scan"]
    assert kinds(settled(IMAGES.drop("image"))) == ["Scan"]
    assert kinds(settled(IMAGES.filter(pl.col("n") > 1).limit(1).select("path"))) == [
        "Select",
        "Limit",
        "Drop",
        "Filter",
        "Scan",
    ]


def test_a_split_into_frames_makes_rows_that_count():
    """A drop of all that the split makes moves what else is dropped below it, and leaves the split."""
    split = SplitFrames(input=READ, column="image")
    plan = Drop(input=split, columns=("image", "frame", "n"))
    assert push_down_projection(plan) == Drop(
        input=replace(split, input=Drop(input=READ, columns=("n",))), columns=("frame", "image")
    )
    assert push_down_projection(Drop(input=split, columns=("image", "frame"))) is None


def test_rows_that_are_skipped_must_be_tried():
    """Where failing rows are dropped the read and the decode stay."""
    for step in (replace(DECODE, on_error="skip"), replace(DECODE, input=replace(READ, on_error="skip"))):
        assert {"ReadFiles"} <= set(kinds(settled(ld.Dataset(step).select("n"))))
    assert "DecodeImages" in kinds(settled(ld.Dataset(replace(DECODE, on_error="skip")).select("n")))


def test_values_that_become_null_need_not_be_tried():
    """Where failing values become null and nobody reads them, they are left out."""
    assert kinds(settled(ld.Dataset(replace(DECODE, on_error="null")).select("n"))) == ["Select", "Scan"]


def test_expressions_that_nobody_reads_are_left_out():
    """Of several new columns only those that are read are made."""
    ds = ld.Dataset(SCAN).with_columns(a=pl.col("n") + 1, b=pl.col("m") + 1)
    plan = settled(ds.select("a"))
    made = next(step for step in plan.walk() if isinstance(step, WithColumns))
    assert [one.name for one in made.expressions] == ["a"]
    assert schema_of(SCAN).names == ["path", "n", "m"]
    assert next(step for step in plan.walk() if isinstance(step, Scan)).pushdowns.columns == ("n",)


def test_a_replaced_column_is_still_read_by_its_step():
    """A column that is made anew and then dropped is kept for the others that read the old one."""
    ds = ld.Dataset(SCAN).with_columns(n=pl.col("n") * 10, a=pl.col("n") + 1).drop("n", "path")
    for plan in (ds, ld.Dataset(settled(ds))):
        assert plan.take_all() == [{"m": 3, "a": 2}, {"m": 4, "a": 3}]


def test_a_select_loses_results_that_nobody_reads():
    """A select below another gives only what is read, as long as its rows stay the same."""
    plan = settled(IMAGES.select("image", "n", "m").select("n"))
    assert kinds(plan) == ["Select", "Select", "Scan"]
    inner = list(plan.walk())[1]
    assert [one.name for one in inner.expressions] == ["n"]


@pytest.mark.parametrize(
    "select",
    [
        lambda ds: ds.select(pl.col("n").sum(), x=pl.col("m").sum()),
        lambda ds: ds.select(n=pl.lit(1), x=pl.col("m")),
        lambda ds: ds.select("n", x=pl.col("m").cum_sum()),
    ],
)
def test_a_select_that_tells_the_number_of_rows_is_kept(select):
    """An aggregate or a lone value decides how many rows there are, so results beside it stay."""
    ds = select(ld.Dataset(SCAN))
    assert [len(step.expressions) for step in settled(ds.select("n")).walk() if isinstance(step, Select)] == [1, 2]
    assert ds.select("n").count() == ds.count()
    assert ds.drop("x").take_all() == [{"n": row["n"]} for row in ds.take_all()]


def test_a_drop_passes_a_rename():
    """A drop below a rename says the old names, also where names are swapped."""
    ds = ld.Dataset(SCAN).rename({"n": "m", "m": "n"}).drop("n")
    assert push_down_projection(ds._plan) == Rename(input=Drop(input=SCAN, columns=("m",)), names=(("n", "m"),))
    assert ds.take_all() == [{"path": "a", "m": 1}, {"path": "b", "m": 2}]
    assert kinds(settled(IMAGES.rename({"image": "picture"}).drop("picture"))) == ["Scan"]


@pytest.mark.parametrize(
    "ds",
    [
        IMAGES.map(same).select("n"),
        IMAGES.map_batches(same).select("n"),
        IMAGES.map(same, schema={"n": int, "m": int}).select("n"),
        IMAGES.filter(lambda row: True).select("n"),
        IMAGES.select("image", "n", pl.col("m").cum_sum()).map(same).drop("n"),
    ],
)
def test_functions_may_read_anything(ds):
    """Nothing is left out below a user's function."""
    assert {"ReadFiles", "DecodeImages"} <= set(kinds(optimized(ds._plan)[0]))


@pytest.mark.parametrize("how", [True, False])
def test_columns_and_order_are_those_that_were_asked_for(how):
    """Optimized or not, the same columns come in the same order."""
    ld.config(optimize=how)
    ds = ld.Dataset(SCAN).with_columns(a=pl.col("n") + pl.col("m"), n=pl.col("m")).drop("m")
    assert ds.take_all() == [{"path": "a", "n": 3, "a": 4}, {"path": "b", "n": 4, "a": 6}]
    assert ds.select("a", "path").take_all() == [{"a": 4, "path": "a"}, {"a": 6, "path": "b"}]
    assert ds.select(pl.len()).take_all() == [{"len": 2}]
    assert ds.select(x=pl.lit(1)).take_all() == [{"x": 1}]
    assert ds.with_columns(x=pl.lit(1)).select("x").take_all() == [{"x": 1}, {"x": 1}]
    assert ds.filter(pl.col("a") > 4).select("path").take_all() == [{"path": "b"}]
    assert ds.drop().columns == ["path", "n", "a"]
    assert ds.drop("a", "n", "path").take_all() == [{}, {}]
    assert ds.drop("a", "n", "path").select(pl.len(), x=pl.int_range(pl.len()).sum()).take_all() == [{"len": 2, "x": 1}]
    assert ds.drop("a", "n", "path").with_columns(x=pl.lit(7)).take_all() == [{"x": 7}, {"x": 7}]


@pytest.fixture
def broken(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(b"no image")
    return tmp_path


def test_counting_opens_no_file(broken):
    """A folder of broken files is counted, however its images were renamed, resized or chosen."""
    for ds in (ld.read_images(broken), ld.read_images(broken, include_paths=True)):
        assert ds.count() == 3
        assert ds.rename({"image": "picture"}).count() == 3
        assert ds.with_columns(pl.col("image").image.resize(2, 2)).select("image").count() == 3
        assert ds.limit(2).count() == 2
    assert ld.read_images(broken, on_error="null").count() == 3


def test_a_count_that_depends_on_the_files_opens_them(broken):
    """Rows that fail and are skipped do not count, and a filter on images looks at them."""
    Image.new("RGB", (3, 4)).save(broken / "d.png")
    assert ld.read_images(broken, on_error="skip").count() == 1
    assert ld.read_images(broken, on_error="null").filter(pl.col("image").is_null()).count() == 3
    with pytest.raises(ld.DecodeError):
        ld.read_images(broken).filter(pl.col("image").image.width() > 1).count()


def test_missing_files_are_not_missed():
    """Without the image column no file is opened, so it need not exist."""
    assert IMAGES.select("path", pl.col("n") * 2).take_all() == [{"path": "a", "n": 2}, {"path": "b", "n": 4}]
    with pytest.raises(ld.ReadError):
        IMAGES.take_all()


def test_a_write_of_one_column_reads_no_other(tmp_path):
    """Writing a column that does not need the images opens none."""
    IMAGES.write_numpy(tmp_path / "out", "n")
    assert np.load(next((tmp_path / "out").glob("*.npy"))).tolist() == [1, 2]
