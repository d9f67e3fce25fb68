"""Steps that add columns side by side are one step."""

import polars as pl
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.io.memory import MemorySource
from lightdata.optimize.rules.merge_with_columns import merge_with_columns
from lightdata.plan.node import DecodeImages, Scan, WithColumns
from lightdata.plan.schema import schema_of

SCAN = Scan(source=MemorySource(pa.table({"image": pa.array([], pa.large_binary()), "n": pa.array([], pa.int64())})))
DECODE = DecodeImages(input=SCAN, column="image")
IMAGES = ld.Dataset(DECODE)
IMAGE = pl.col("image").image


def test_independent_steps_are_one():
    """Two results of one image are made in one step, constants too."""
    ds = IMAGES.with_columns(small=IMAGE.resize(2, 2), one=pl.lit(1)).with_columns(tall=IMAGE.height() > 2)
    both = IMAGES.with_columns(small=IMAGE.resize(2, 2), one=pl.lit(1), tall=IMAGE.height() > 2)
    assert merge_with_columns(ds._plan) == both._plan


def test_a_result_that_is_replaced_unread_is_not_made():
    """The later of two results of one name stands where the earlier stood."""
    ds = IMAGES.with_columns(a=IMAGE.width(), b=pl.lit(1)).with_columns(c=pl.lit(2), a=IMAGE.height())
    merged = merge_with_columns(ds._plan)
    assert merged == IMAGES.with_columns(a=IMAGE.height(), b=pl.lit(1), c=pl.lit(2))._plan
    assert list(schema_of(merged).items()) == list(schema_of(ds._plan).items())


@pytest.mark.parametrize(
    "ds",
    [
        IMAGES.with_columns(m=pl.col("n") + 1).with_columns(k=pl.col("m") + 1),
        IMAGES.with_columns(n=pl.col("n") + 1).with_columns(k=pl.col("n") + 1),
        IMAGES.with_columns(m=pl.col("n").cum_sum()).with_columns(k=IMAGE.width()),
        IMAGES.with_columns(m=IMAGE.width()).with_columns(k=pl.col("n").cum_sum()),
        IMAGES.with_columns(small=IMAGE.resize(2, 2)).with_columns(k=pl.col("small").image.width()),
        IMAGES.map(lambda row: row).with_columns(a=pl.lit(1)).with_columns(b=pl.lit(2)),
    ],
)
def test_steps_that_need_one_another_stay(ds):
    """Where the later reads what the earlier makes, one needs all rows, or columns are unknown, both stay."""
    assert isinstance(ds._plan, WithColumns)
    assert merge_with_columns(ds._plan) is None
