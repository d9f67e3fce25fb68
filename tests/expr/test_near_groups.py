"""Groups of rows that are nearly alike."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lightdata as ld
from lightdata.expr import near_groups as module
from lightdata.expr.near_groups import near_groups


def by_hand(vectors, threshold):
    """Follow every chain of similar rows."""
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    similar = units @ units.T >= threshold
    groups = list(range(len(vectors)))
    for row in range(len(vectors)):
        seen, todo = {row}, [row]
        while todo:
            for other in np.flatnonzero(similar[todo.pop()]).tolist():
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        groups[row] = min(seen)
    return groups


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 40), st.integers(0, 10**6), st.sampled_from([0.5, 0.8, 0.95]), st.sampled_from([1, 7, 1024]))
def test_groups_are_those_of_every_chain(rows, seed, threshold, block):
    """Rows of a group are linked by similar rows, whatever the size of the blocks that are compared."""
    vectors = np.random.default_rng(seed).normal(size=(rows, 3))
    before = module._BLOCK
    try:
        module._BLOCK = block
        found = near_groups(vectors, threshold).tolist()
    finally:
        module._BLOCK = before
    assert found == by_hand(vectors, threshold)


@pytest.mark.parametrize("workers", [0, 2])
def test_copies_are_grouped_over_all_rows(workers):
    """Rows of different tasks share a group; a zero vector is like none, a null in no group."""
    before = ld.config()
    ld.config(workers=workers)
    try:
        draw = np.random.default_rng(0).normal(size=(50, 8))
        rows = [{"v": row} for row in [*draw, *(draw * 3), np.zeros(8)]] + [{"v": None}]
        groups = ld.from_items(rows).with_columns(group=ld.col("v").tensor.near_groups(0.99)).take_all()
    finally:
        ld.config(workers=before.workers)
    assert [row["group"] for row in groups] == [*range(50), *range(50), 100, None]


def test_a_threshold_is_a_cosine():
    """More than 1 would group nothing, and is a mistake."""
    with pytest.raises(ld.ArgumentError, match="threshold"):
        ld.col("v").tensor.near_groups(95)
