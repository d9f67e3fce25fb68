"""All that a run gave, as one table or one frame: of batches, or of the frames that Polars made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from lightdata.io.memory import one_batch
from lightdata.kernels.columns import cast_column
from lightdata.physical.driver_steps import Conform
from lightdata.types.canonical import canonical
from lightdata.types.schema import Schema


def gathered_table(parts: Sequence[Any], schema: Schema | None) -> pa.Table:
    """Join what a run gave into a table of columns as lightdata holds them.

    Parameters
    ----------
    parts : sequence of pyarrow.RecordBatch, or of polars.DataFrame
        In order; frames only where the schema is known.
    schema : Schema, optional
        What the plan says of them.
    """
    if not parts:
        return (schema if schema is not None else Schema({})).empty_table()
    if isinstance(parts[0], pl.DataFrame):
        return pa.Table.from_batches(_conformed(parts, schema))
    return _joined(parts)


def gathered_frame(parts: Sequence[Any], schema: Schema | None) -> pl.DataFrame:
    """Join what a run gave into a frame; frames of Polars' are not copied where their types are those of the plan."""
    if parts and schema is not None and isinstance(parts[0], pl.DataFrame):
        frame = parts[0] if len(parts) == 1 else pl.concat(parts, rechunk=False)
        if frame.schema == schema.to_polars():
            return frame
    return pl.DataFrame(pl.from_arrow(gathered_table(parts, schema)))


def _conformed(frames: Sequence[pl.DataFrame], schema: Schema | None) -> Iterator[pa.RecordBatch]:
    batches = (one_batch(canonical(frame.to_arrow())) for frame in frames)
    return Conform(stage="result", schema=schema).run(batches)


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """Join batches: a column that was null until a later one gave it a type has that type."""
    schema = batches[-1].schema
    cast = [
        pa.RecordBatch.from_arrays(
            [cast_column(batch.column(field.name), field.type, column=field.name) for field in schema], schema=schema
        )
        if not batch.schema.equals(schema)
        else batch
        for batch in batches
    ]
    return pa.Table.from_batches(cast)
