"""A user's function on batches of rows."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from lightdata.errors import ENDS, ColumnNotFoundError, RowError, noted
from lightdata.io.source import OnError
from lightdata.kernels.batch_format import from_output, to_format
from lightdata.kernels.rebatch import rebatch
from lightdata.kernels.tally import alive
from lightdata.physical.operators.cut_pixels import cut_for_pixels
from lightdata.physical.operators.map_rows import declared, failure_of
from lightdata.physical.stage import Context, name_rows, uri_of, without_hidden
from lightdata.plan.function import UserFunction
from lightdata.types.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapBatchesOperator:
    """Call the function on batches of ``batch_rows`` rows, and take what it returns or yields.

    Where ``on_error`` lets rows go, a batch that fails is halved until the rows that fail alone are found; the others
    are given to the function again, in smaller batches.
    """

    function: UserFunction
    batch_rows: int | None
    batch_format: str
    input_columns: tuple[str, ...] | None
    schema: Schema | None
    on_error: OnError = "raise"

    counts_rows: ClassVar[bool] = True

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Call the function on each batch."""
        call = context.resource(self, self.function.build)
        before = 0
        for batch in self._cut(batches):
            rows = batch.num_rows
            held = [batch]
            del batch  # else it would still be there while the next one is made
            if rows and self.on_error == "raise":
                yield from self._outputs(call, held.pop())
            elif rows:
                yield from self._what_works(call, held.pop(), before, context)
            before += rows

    def _cut(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Give batches of as many rows as were asked for; else of what there is, in parts where pixels take much."""
        if self.batch_rows is not None:
            return rebatch(batches, self.batch_rows)
        return cut_for_pixels(batches) if self.batch_format in ("numpy", "pandas") else batches

    def _what_works(self, call: Any, batch: pa.RecordBatch, before: int, context: Context) -> Iterator[pa.RecordBatch]:
        try:
            context.raise_lost()
            outputs = list(self._outputs(call, batch))  # all of them or none: what came before an error comes again
        except ENDS:
            raise
        except BaseException as error:  # noqa: BLE001 - a user's function raises what it likes
            if batch.num_rows == 1:
                yield from self._let_go(error, batch, before, context)
                return
            middle = batch.num_rows // 2
            yield from self._what_works(call, batch.slice(0, middle), before, context)
            yield from self._what_works(call, batch.slice(middle), before + middle, context)
        else:
            outputs.reverse()
            while outputs:
                yield outputs.pop()

    def _let_go(
        self, error: BaseException, batch: pa.RecordBatch, row: int, context: Context
    ) -> Iterator[pa.RecordBatch]:
        context.failures.append(failure_of(error, uri_of(batch, 0), row, f"map_batches({self.function.name})"))
        if self.on_error == "null" and self.schema is not None:
            nulls = {name: [None] for name in self.schema}
            yield declared(pa.RecordBatch.from_pydict(nulls), self.schema)

    def _outputs(self, call: Any, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        first, count = uri_of(batch, 0), batch.num_rows
        name_rows(batch)
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
                alive()
                made = [declared(from_output(output), self.schema)]
                del output
                yield made.pop()
        except Exception as error:
            files = f", the first from file {first!r}" if first else ""
            noted(error, f"lightdata: in map_batches({self.function.name}), a batch of {count} rows{files}")
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
