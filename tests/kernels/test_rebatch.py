"""Batches are cut anew by rows, and by bytes where nobody asked for rows."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from lightdata.kernels.rebatch import rebatch


def batches(sizes):
    start = 0
    for size in sizes:
        yield pa.record_batch({"id": np.arange(start, start + size)})  # 8 bytes a row
        start += size


def ids(found):
    return [number for batch in found for number in batch["id"].to_pylist()]


@given(st.lists(st.integers(0, 20)), st.integers(1, 9))
def test_rows_that_were_asked_for_are_exact(sizes, rows):
    """All batches but the last have the rows that were asked for, and no row is lost."""
    found = list(rebatch(batches(sizes), rows))
    assert ids(found) == list(range(sum(sizes)))
    assert all(batch.num_rows == rows for batch in found[:-1])


@given(st.lists(st.integers(0, 20)), st.integers(1, 9), st.integers(1, 200), st.integers(1, 4))
def test_large_rows_come_fewer_at_a_time(sizes, times, most_bytes, multiple_of):
    """Batches stay below the bytes where a multiple of the rows does, and but for the last are such multiples."""
    rows = times * multiple_of
    found = list(rebatch(batches(sizes), rows, most_bytes, multiple_of))
    assert ids(found) == list(range(sum(sizes)))
    assert all(batch.num_rows % multiple_of == 0 for batch in found[:-1])
    assert all(batch.num_rows <= max(min(rows, most_bytes // 8), multiple_of) for batch in found)
