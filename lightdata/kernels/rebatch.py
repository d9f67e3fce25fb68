"""Cut a stream of batches anew."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from lightdata.types.plain_array import number_array


def rebatch(
    batches: Iterator[pa.RecordBatch], rows: int, most_bytes: int | None = None, multiple_of: int = 1
) -> Iterator[pa.RecordBatch]:
    """Give batches of exactly ``rows`` rows, the last with what is left.

    Where they would take more than ``most_bytes``, they have fewer rows, but a multiple of some.

    >>> [batch.num_rows for batch in rebatch(iter([pa.record_batch({"a": range(5)})] * 2), 4)]
    [4, 4, 2]
    """
    held: list[pa.RecordBatch] = []
    count, most = 0, rows
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        if most_bytes is not None and count >= multiple_of:
            rows = _fitting(held, most, most_bytes, multiple_of)
        del batch
        while count >= rows:
            batch, held = _take(held, rows)  # noqa: PLW2901 - the part that is whole
            count -= rows
            yield batch
            del batch  # while the next one is made, nobody here needs it
    if count:
        yield _take(held, count)[0]


def _fitting(held: list[pa.RecordBatch], most: int, most_bytes: int, multiple_of: int) -> int:
    """Give how many rows to take at once of rows such as these."""
    mean = sum(batch.nbytes for batch in held) / max(sum(batch.num_rows for batch in held), 1)
    return max(min(most, int(most_bytes / max(mean, 1)) // multiple_of * multiple_of), multiple_of)


def _take(held: list[pa.RecordBatch], rows: int) -> tuple[pa.RecordBatch, list[pa.RecordBatch]]:
    taken = []
    while rows:
        first = held[0]
        taken.append(first.slice(0, rows))
        rows -= taken[-1].num_rows
        held = [first.slice(taken[-1].num_rows), *held[1:]] if taken[-1].num_rows < first.num_rows else held[1:]
    return taken[0] if len(taken) == 1 else concat(taken), held


def concat(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Join batches into one; a column that is only null in some takes the type it has in others."""
    if all(batch.schema.equals(batches[0].schema) for batch in batches):
        return pa.concat_batches(batches)
    tables = [pa.Table.from_batches([batch]) for batch in batches]
    return pa.concat_tables(tables, promote_options="default").combine_chunks().to_batches()[0]


def owned(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Copy a batch into memory of its own: one that is kept would hold a worker's slot for good."""
    return pa.concat_batches([batch]).take(number_array(np.arange(batch.num_rows))) if batch.num_rows else batch
