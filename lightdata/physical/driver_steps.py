"""Steps that see the whole stream of batches, in the calling process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from lightdata.config import batch_limit
from lightdata.errors import SchemaError
from lightdata.kernels.columns import cast_column
from lightdata.kernels.rebatch import rebatch
from lightdata.types.canonical import canonical_array
from lightdata.types.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRows:
    """Pass the first ``n`` rows, then close what comes before."""

    n: int

    def run(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Stop when enough rows have passed."""
        left = self.n
        for batch in batches if left else ():
            yield batch.slice(0, left)
            left -= min(left, batch.num_rows)
            if not left:
                return

    def __str__(self) -> str:
        return f"limit {self.n}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRows:
    """Leave out the first ``n`` rows."""

    n: int

    def run(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass on the rows after them."""
        left = self.n
        for batch in batches:
            if left < batch.num_rows or not batch.num_rows:
                yield batch.slice(left) if left else batch
            left -= min(left, batch.num_rows)

    def __str__(self) -> str:
        return f"without the first {self.n} rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebatch:
    """Cut the stream every ``rows`` rows, whatever the tasks were."""

    rows: int
    multiple_of: int | None = None
    """Where rows are large there are fewer, a multiple of so many; ``None`` where there must be as many as said."""

    def run(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Cut the stream anew."""
        if self.multiple_of is None:
            return rebatch(batches, self.rows)
        return rebatch(batches, self.rows, batch_limit(), self.multiple_of)

    def __str__(self) -> str:
        return f"batches of {self.rows} rows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conform:
    """Hold every batch to one schema: the declared one, else that of the first batch with rows.

    A column that has only been null so far stays open until a batch gives it a type.
    """

    stage: str
    schema: Schema | None = None

    def run(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Cast batches without loss, or fail naming the column and the row."""
        schema, row = self.schema, 0
        for batch in batches:
            if not batch.num_rows and schema is None:
                continue
            schema = _merged(schema, batch)
            yield self._cast(batch, schema, row)
            row += batch.num_rows

    def _cast(self, batch: pa.RecordBatch, schema: Schema, row: int) -> pa.RecordBatch:
        if batch.schema.names == schema.names and all(
            column.type.equals(kind) for column, kind in zip(batch.columns, schema.values(), strict=True)
        ):
            return batch
        if set(batch.schema.names) != set(schema.names):
            raise SchemaError(
                f"{self.stage}: rows from {row} on have columns {', '.join(batch.schema.names)}, "
                f"the rows before had {', '.join(schema.names)}"
            )
        try:
            arrays = [cast_column(batch.column(name), kind, column=name) for name, kind in schema.items()]
        except SchemaError as error:
            raise SchemaError(f"{self.stage}: rows from {row} on: {error}; declare the types with schema=") from error
        return pa.RecordBatch.from_arrays([canonical_array(array, array.type) for array in arrays], names=schema.names)


def _merged(schema: Schema | None, batch: pa.RecordBatch) -> Schema:
    if schema is None:
        return Schema.of(batch)
    opened = [name for name, kind in schema.items() if pa.types.is_null(kind) and name in batch.schema.names]
    return Schema({**schema, **{name: batch.column(name).type for name in opened}}) if opened else schema
