"""Chains that continue one another are one chain."""

import re

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.expr.deferred import Chain
from lightdata.io.memory import MemorySource
from lightdata.optimize.rules.filter_before_chains import filter_before_chains
from lightdata.optimize.rules.fuse_chains import fuse_chains
from lightdata.optimize.stages import optimize
from lightdata.plan.node import DecodeImages, Drop, Scan, Select, WithColumns
from lightdata.plan.schema import schema_of
from lightdata.types import operation as ops

SCAN = Scan(source=MemorySource(pa.table({"image": pa.array([], pa.large_binary()), "n": pa.array([], pa.int64())})))
DECODE = DecodeImages(input=SCAN, column="image")
IMAGES = ld.Dataset(DECODE)
FILES = ld.Dataset(SCAN)
IMAGE = pl.col("image").image
SMALL = pl.col("small").image
FORGOTTEN = pl.col(Chain("image", (ops.AsImage(),)).name).alias("image")


def said(plan):
    """List the steps and what they compute, however often it was given a name."""
    return [
        (type(step).__name__, [(one.name, re.sub(r"\.alias\([^)]*\)", "", str(one))) for one in made])
        for step in plan.walk()
        for made in [getattr(step, "expressions", ())]
    ]


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=True)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


def fused(ds):
    """Apply the rule once; the schema must stay."""
    plan = fuse_chains(ds._plan)
    assert plan is not None
    assert list(schema_of(plan).items()) == list(schema_of(ds._plan).items())
    return plan


def test_operations_on_one_column_are_one_chain():
    """A column that is changed twice is changed once."""
    ds = IMAGES.with_columns(image=IMAGE.resize(4, 4)).with_columns(image=IMAGE.center_crop(2))
    assert said(fused(ds)) == said(IMAGES.with_columns(image=IMAGE.resize(4, 4).image.center_crop(2))._plan)


def test_a_column_that_is_still_seen_stays():
    """What others may read is kept beside the longer chain, which shares its beginning."""
    ds = IMAGES.with_columns(small=IMAGE.resize(4, 4)).with_columns(t=SMALL.to_tensor(), w=SMALL.width() + pl.col("n"))
    small = IMAGE.resize(4, 4).image
    both = IMAGES.with_columns(
        small=IMAGE.resize(4, 4), t=small.to_tensor().alias("small"), w=small.width().alias("small") + pl.col("n")
    )
    assert said(fused(ds)) == said(both._plan)


def test_another_name_is_seen_through():
    """A column under another name is the column."""
    ds = IMAGES.with_columns(small="image").with_columns(t=SMALL.resize(2, 2))
    assert said(fused(ds)) == said(IMAGES.with_columns(small="image", t=IMAGE.resize(2, 2))._plan)


def test_a_type_never_says_more_than_before():
    """Where the longer chain would know its images' size, it forgets it as the column between did."""
    ds = IMAGES.with_columns(image=IMAGE.resize(4, 4)).with_columns(image=IMAGE.to_mode("L"))
    resized, grey = ops.Resize(height=4, width=4), ops.ToMode(mode="L")
    assert fused(ds).expressions[0].chains == (Chain("image", (resized, ops.AsImage(), grey)),)
    fixed = IMAGES.with_columns(image=IMAGE.resize(4, 4).image.to_mode("L")).with_columns(t=IMAGE.to_tensor())
    assert fused(fixed).expressions[1].chains[0].operations == (
        IMAGES.select(IMAGE.resize(4, 4).image.to_mode("L").image.to_tensor())._plan.expressions[0].chains[0].operations
    )


def test_a_select_takes_the_place_of_both():
    """A select of changed images needs no step before it, and passes on what that step made."""
    ds = IMAGES.with_columns(small=IMAGE.resize(4, 4), m=pl.col("n") + 1).select("n", "m", flat=SMALL.to_tensor())
    chain = IMAGE.resize(4, 4).image.to_tensor().alias("flat")
    assert said(fused(ds)) == said(IMAGES.select("n", (pl.col("n") + 1).alias("m"), chain)._plan)


def test_a_drop_between_waits():
    """Columns that are left out between two steps are left out after them."""
    ds = FILES.with_columns(small=IMAGE.resize(4, 4)).drop("image").with_columns(small=SMALL.flip_up_down())
    plan = fused(ds)
    assert isinstance(plan, Drop)
    assert said(plan.input) == said(FILES.with_columns(small=IMAGE.resize(4, 4).image.flip_up_down())._plan)
    assert fuse_chains(ds.select("small")._plan) is not None
    again = FILES.with_columns(small=IMAGE.resize(4, 4)).drop("image").with_columns(image=SMALL.flip_up_down())
    assert fuse_chains(again._plan) is None


@pytest.mark.parametrize(
    "ds",
    [
        IMAGES.with_columns(small=IMAGE.resize(4, 4)).with_columns(t=IMAGE.to_tensor()),
        IMAGES.with_columns(t=IMAGE.resize(4, 4).image.to_tensor()).with_columns(m=pl.col("t").tensor.mean()),
        IMAGES.with_columns(b=IMAGE.encode("png")).with_columns(i=pl.col("b").image.decode()),
        IMAGES.with_columns(small=pl.coalesce(IMAGE.resize(4, 4), "image")).with_columns(t=SMALL.to_tensor()),
        IMAGES.with_columns(m=IMAGE.width() + 1).with_columns(k=pl.col("m") + 1),
        IMAGES.with_columns(small=IMAGE.decode(exif_transpose=False)).with_columns(k=SMALL.exif_transpose()),
        FILES.with_columns(small=FORGOTTEN).with_columns(k=SMALL.format()),
        IMAGES.with_columns(small=IMAGE.resize(4, 4)).with_columns(k=SMALL.width().cum_sum()),
        IMAGES.with_columns(small=IMAGE.resize(4, 4), k=pl.col("n").cum_sum()).select("small"),
        IMAGES.with_columns(small=IMAGE.resize(4, 4)).select(SMALL.width().sum()),
        IMAGES.with_columns(small=IMAGE.resize(4, 4), k=pl.lit(1)).select("k"),
        IMAGES.with_columns(m=pl.col("n") + 1).select("m"),
        IMAGES.with_columns(m=IMAGE.width() + 1).select(a="m", b="m"),
        IMAGES.map(lambda row: row).with_columns(image=IMAGE.resize(4, 4)).with_columns(image=IMAGE.to_tensor()),
    ],
)
def test_what_is_not_one_chain_stays(ds):
    """Other kinds of results, and steps that need all rows, are computed before they are read."""
    assert isinstance(ds._plan, Select | WithColumns)
    assert fuse_chains(ds._plan) is None


def test_selectors_of_unknown_columns_wait():
    """Where only the first batch tells the columns, steps that name them all stay as they are."""
    ds = ld.range(2).map(lambda row: row).with_columns(pl.all() * 10).with_columns(pl.all() + 1)
    assert fuse_chains(ds._plan) is None
    assert fuse_chains(ds.drop("id").with_columns(pl.all() + 1)._plan) is None
    assert filter_before_chains(ds.filter(pl.col("id") > 1)._plan) is None


def test_five_steps_are_one(tmp_path):
    """A pipeline written step by step is one chain, with the pixels that the steps give."""
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    ds = ld.read_images(tmp_path).with_columns(image=IMAGE.resize_shortest(8)).with_columns(w=IMAGE.width())
    ds = ds.with_columns(image=IMAGE.center_crop(6)).with_columns(image=IMAGE.to_mode("L"))
    ds = ds.with_columns(image=IMAGE.flip_left_right())
    plan, fired = optimize(ds._plan)
    assert [type(step).__name__ for step in plan.walk()][:2] == ["WithColumns", "DecodeImages"]
    assert {"fuse_chains", "push_down_projection"} <= {one.rule for one in fired}
    found = ds.take_all()
    ld.config(optimize=False)
    (expected,) = ds.take_all()
    assert found[0]["w"] == expected["w"] == 10
    np.testing.assert_array_equal(found[0]["image"], expected["image"])
