"""What does it cost to keep the order of rows? Polars' streaming engine, with and without."""

import numpy as np
import polars as pl
import pytest

SIZES = [1_000_000, 10_000_000]


def frames(rows):
    draw = np.random.default_rng(0)
    left = pl.DataFrame({"k": draw.integers(0, rows // 10, rows), "x": np.arange(rows)})
    right = pl.DataFrame({"k": draw.permutation(rows // 10), "y": np.arange(rows // 10)})
    return left.lazy(), right.lazy()


def join(how, order):
    return lambda left, right: left.join(right, on="k", how=how, maintain_order=order)


STEPS = {
    "group_by": {
        order: lambda left, _, order=order: left.group_by("k", maintain_order=order).agg(pl.col("x").sum())
        for order in (False, True)
    },
    "unique": {
        order: lambda left, _, order=order: left.unique("k", keep="first", maintain_order=order)
        for order in (False, True)
    },
    "sort": {order: lambda left, _, order=order: left.sort("k", maintain_order=order) for order in (False, True)},
    "join inner": {order: join("inner", order) for order in ("none", "left", "left_right")},
    "join left": {order: join("left", order) for order in ("none", "left", "left_right")},
    "join right": {order: join("right", order) for order in ("none", "right", "right_left")},
    "join full": {order: join("full", order) for order in ("none", "left_right")},
    "join semi": {order: join("semi", order) for order in ("none", "left")},
}


@pytest.mark.parametrize("rows", SIZES)
@pytest.mark.parametrize(("step", "order"), [(step, order) for step, ways in STEPS.items() for order in ways])
def test_keep_the_order(benchmark, rows, step, order):
    """One step over ten rows for each key."""
    left, right = frames(rows)
    query = STEPS[step][order](left, right)
    benchmark.group = f"{step}, {rows:,} rows"
    benchmark.pedantic(lambda: query.collect(engine="streaming"), rounds=5, iterations=1, warmup_rounds=1)
