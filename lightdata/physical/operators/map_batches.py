"""A user's function on batches of rows."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lightdata.errors import ColumnNotFoundError, RowError
from lightdata.kernels.batch_format import from_output, to_format
from lightdata.kernels.rebatch import rebatch
from lightdata.physical.operators.cut_pixels import cut_for_pixels
from lightdata.physical.operators.map_rows import declared
from lightdata.physical.stage import Context, uri_of, without_hidden
from lightdata.plan.function import UserFunction
from lightdata.types.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapBatchesOperator:
    """Call the function on batches of ``batch_rows`` rows, and take what it returns or yields."""

    function: UserFunction
    batch_rows: int | None
    batch_format: str
    input_columns: tuple[str, ...] | None
    schema: Schema | None

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Call the function on each batch."""
        call = context.resource(self, self.function.build)
        for batch in self._cut(batches):
            if batch.num_rows:
                held = [batch]
                del batch  # else it would still be there while the next one is made
                yield from self._outputs(call, held.pop())

    def _cut(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Give batches of as many rows as were asked for; else of what there is, in parts where pixels take much."""
        if self.batch_rows is not None:
            return rebatch(batches, self.batch_rows)
        return cut_for_pixels(batches) if self.batch_format in ("numpy", "pandas") else batches

    def _outputs(self, call: Any, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        first, count = uri_of(batch, 0), batch.num_rows
        try:
            held = [self._input(batch)]
        except RowError as error:
            file = None if error.row is None else uri_of(batch, error.row)
            raise error.at(uri=file, stage=f"map_batches({self.function.name})") from error.__cause__
        del batch  # what the function was given and gave is held by it alone, if at all
        try:
            result = call(held.pop())
            outputs = result if inspect.isgenerator(result) else _single([result])
            del result
            for output in outputs:
                made = [declared(from_output(output), self.schema)]
                del output
                yield made.pop()
        except Exception as error:
            files = f", the first from file {first!r}" if first else ""
            error.add_note(f"lightdata: in map_batches({self.function.name}), a batch of {count} rows{files}")
            raise

    def _input(self, batch: pa.RecordBatch) -> Any:
        visible = without_hidden(batch)
        for name in self.input_columns or ():
            if name not in visible.schema.names:
                raise ColumnNotFoundError.for_step(name, step="map_batches", available=visible.schema.names)
        return to_format(visible.select(list(self.input_columns)) if self.input_columns else visible, self.batch_format)


def _single(held: list[Any]) -> Iterator[Any]:
    """Give one output, and hold it no longer."""
    yield held.pop()
