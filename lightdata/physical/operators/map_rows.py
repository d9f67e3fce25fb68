"""A user's function on each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lightdata.errors import SchemaError
from lightdata.kernels.columns import cast_column
from lightdata.kernels.rows import Row, batch_from_rows, iter_rows
from lightdata.physical.stage import Context, uri_of, without_hidden
from lightdata.plan.function import UserFunction
from lightdata.types.plain_array import plain_array
from lightdata.types.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapRowsOperator:
    """Map, flat-map or filter rows; a mistake is raised as it is, with a note of where."""

    function: UserFunction
    kind: str
    schema: Schema | None

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Call the function on each row of each batch."""
        call = context.resource(self, self.function.build)
        for batch in batches:
            yield from self._results(call, batch)

    def _results(self, call: Any, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Call the function on each row of a batch; the rows before one that fails are passed on first."""
        visible = without_hidden(batch)
        rows: list[Any] = []
        failure: Exception | None = None
        try:
            for row in self._rows(call, batch, visible):
                rows.append(row)  # noqa: PERF402 - what came before an exception is kept
        except Exception as error:  # noqa: BLE001 - raised below
            failure = error
        if self.kind == "filter":
            yield batch.slice(0, len(rows)).filter(plain_array(rows, pa.bool_()))
        elif rows:
            yield declared(self._batch(rows, visible), self.schema)
        if failure is not None:
            raise failure

    def _rows(self, call: Any, batch: pa.RecordBatch, visible: pa.RecordBatch) -> Iterator[Any]:
        for number, row in enumerate(iter_rows(visible)):
            result = self._call(call, row, batch, number)
            match self.kind:
                case "map":
                    yield result
                case "flat_map":
                    yield from self._call(list, result, batch, number)
                case _:
                    yield self._call(bool, result, batch, number)

    def _batch(self, rows: list[Mapping[str, Any]], visible: pa.RecordBatch) -> pa.RecordBatch:
        try:
            return batch_from_rows(rows, visible)
        except Exception as error:
            error.add_note(f"lightdata: in {self.kind}({self.function.name}), building columns from its rows")
            raise

    def _call(self, call: Any, value: Row | Any, batch: pa.RecordBatch, number: int) -> Any:
        try:
            return call(value)
        except Exception as error:
            file = uri_of(batch, number)
            place = f"row {number} of its batch" + (f", from file {file!r}" if file else "")
            error.add_note(f"lightdata: in {self.kind}({self.function.name}), {place}")
            raise


def declared(batch: pa.RecordBatch, schema: Schema | None) -> pa.RecordBatch:
    """Cast a batch to the schema that was declared for it.

    Raises
    ------
    SchemaError
        If a column is missing or does not fit.
    """
    if schema is None:
        return batch
    if missing := [name for name in schema if name not in batch.schema.names]:
        raise SchemaError(f"column {missing[0]!r} was declared, and the function gave {', '.join(batch.schema.names)}")
    arrays = [cast_column(batch.column(name), kind, column=name) for name, kind in schema.items()]
    return pa.RecordBatch.from_arrays(arrays, schema=schema.to_arrow())
