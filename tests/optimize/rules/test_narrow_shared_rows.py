"""Shared rows hold no column that no place reads."""

import polars as pl

import lightdata as ld
from lightdata.optimize.rules.narrow_shared_rows import narrow_shared_rows
from lightdata.optimize.stages import optimize
from lightdata.plan.node import Drop, MapRows
from lightdata.plan.relational import Cache


def mapped():
    return ld.range(9).map(lambda row: row, schema={"id": int, "a": int, "b": int, "c": int})


def test_columns_that_nobody_reads_are_dropped_before_they_are_kept():
    """What one place reads is kept for both; what neither reads is not."""
    ds = mapped()
    query = ds.select("id", "a").join(ds.select("id", "b"), on="id")
    plan, fired = optimize(query._plan)
    caches = [step for step in plan.walk() if isinstance(step, Cache)]
    assert len(caches) == 2
    assert caches[0] == caches[1]
    assert isinstance(caches[0].input, Drop)
    assert caches[0].input.columns == ("c",)
    assert isinstance(caches[0].input.input, MapRows)
    assert "narrow_shared_rows" in {one.rule for one in fired}


def test_all_columns_stay_where_a_place_reads_all():
    """A place without a projection reads everything."""
    ds = mapped()
    assert narrow_shared_rows(ds.join(ds.select("id"), on="id")._plan) is None
    plan, _ = optimize(ds.join(ds.select("id", b2="b"), on="id")._plan)
    assert not any(isinstance(step.input, Drop) for step in plan.walk() if isinstance(step, Cache))


def test_rows_are_counted_with_one_column():
    """Counting a self-join keeps the key."""
    ds = ld.range(9).map(lambda row: {"id": row["id"], "a": 1}, schema={"id": int, "a": int})
    assert ds.join(ds, on="id").count() == 9
    assert ds.join(ds.group_by("id").agg(pl.len()), on="id").count() == 9
