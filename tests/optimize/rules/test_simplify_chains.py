"""Operations that do nothing are left out of chains."""

import polars as pl
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.io.memory import MemorySource
from lightdata.optimize.rules.simplify_chains import simplify_chains
from lightdata.plan.node import DecodeImages, Filter, Scan
from lightdata.plan.schema import schema_of

SCAN = Scan(source=MemorySource(pa.table({"image": pa.array([], pa.large_binary()), "n": pa.array([], pa.int64())})))
IMAGES = ld.Dataset(DecodeImages(input=SCAN, column="image"))
FIXED = ld.Dataset(DecodeImages(input=SCAN, column="image", mode="RGB", size=(6, 8)))
IMAGE = pl.col("image").image


@pytest.mark.parametrize("images", [IMAGES, FIXED])
@pytest.mark.parametrize("verb", ["select", "with_columns"])
def test_the_rule_changes_steps_and_keeps_their_types(images, verb):
    """A chain in a select, a new column or an expression becomes the simpler one."""
    ds = getattr(images, verb)(
        a=IMAGE.flip_up_down().image.flip_up_down().image.to_tensor(),
        b=IMAGE.rotate(360).image.width() + 1,
        n="n",
    )
    simpler = getattr(images, verb)(a=IMAGE.decode().image.to_tensor(), b=IMAGE.decode().image.width() + 1, n="n")
    plan = simplify_chains(ds._plan)
    assert [one.name for one in plan.expressions] == ["a", "b", "n"]
    assert [one.chains for one in plan.expressions][1:] == [one.chains for one in simpler._plan.expressions][1:]
    assert schema_of(plan) == schema_of(ds._plan)


def test_a_filter_is_simplified():
    """A predicate asks the simpler chain."""
    plan = IMAGES.filter(IMAGE.resize(4, 4).image.resize(4, 4).image.width() > 3)._plan
    simpler = simplify_chains(plan)
    assert isinstance(simpler, Filter)
    assert str(simpler.predicate) == str(IMAGES.filter(IMAGE.resize(4, 4).image.width() > 3)._plan.predicate)


@pytest.mark.parametrize(
    "ds",
    [
        IMAGES.select(IMAGE.resize(4, 4)),
        IMAGES.select("n"),
        IMAGES.map(lambda row: row).with_columns(image=IMAGE.rotate(0)),
        IMAGES.select(pl.when(pl.col("n") > 1).then(float("inf")).otherwise(IMAGE.rotate(0).image.width())),
    ],
)
def test_what_cannot_be_simpler_stays(ds):
    """A chain without waste, one of an unknown column, and one that cannot be written down again stay."""
    assert simplify_chains(ds._plan) is None
