"""Streams of several pipelines made into one, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from lightdata.errors import SchemaError
from lightdata.physical.stage import Pipeline
from lightdata.types.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class ConcatStreams:
    """All rows of one pipeline after those of another; the next starts when the one before has ended."""

    inputs: tuple[Pipeline, ...]

    def run(self, streams: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """Pass on one stream after another."""
        for stream in streams:
            yield from stream

    def __str__(self) -> str:
        return f"concat of {len(self.inputs)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipStreams:
    """The columns of pipelines side by side."""

    inputs: tuple[Pipeline, ...]
    schemas: tuple[Schema | None, ...]
    pads: bool
    """Whether a stream that ends early is filled with nulls; else it is an error."""

    def run(self, streams: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """Cut the streams at the same rows."""
        sides = [_Side(stream, schema) for stream, schema in zip(streams, self.schemas, strict=True)]
        row = 0
        while True:
            heights = [side.height() for side in sides]
            if not any(heights):
                return
            if not all(heights) and not self.pads:
                short = heights.index(0) + 1
                raise SchemaError(f"zip: dataset {short} of {len(sides)} has {row} rows, and another has more")
            rows = min(height for height in heights if height)
            parts = [side.take(rows) for side in sides]
            row += rows
            columns = [column for part in parts for column in part.columns]
            yield pa.RecordBatch.from_arrays(columns, names=[name for part in parts for name in part.schema.names])

    def __str__(self) -> str:
        return f"zip of {len(self.inputs)}"


class _Side:
    """One of the streams, and the rows of it that were not taken yet."""

    def __init__(self, stream: Iterator[pa.RecordBatch], schema: Schema | None) -> None:
        self._stream = stream
        self._schema = schema
        self._held: pa.RecordBatch | None = None

    def height(self) -> int:
        """Tell how many rows are at hand; 0 at the end."""
        while self._held is None or not self._held.num_rows:
            self._held = next(self._stream, None)
            if self._held is None:
                return 0
            self._schema = self._schema or Schema.of(self._held)
        return int(self._held.num_rows)

    def take(self, rows: int) -> pa.RecordBatch:
        """Take rows, or nulls where there are none left."""
        if self._held is None:
            schema = self._schema or Schema({})
            return pa.RecordBatch.from_arrays([pa.nulls(rows, kind) for kind in schema.values()], names=schema.names)
        taken, self._held = self._held.slice(0, rows), self._held.slice(rows)
        return taken
