"""A user's function on each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lightdata.errors import ENDS, FunctionError, RowError, SchemaError, noted
from lightdata.io.source import OnError
from lightdata.kernels.columns import cast_column
from lightdata.kernels.rows import Row, batch_from_rows, iter_rows
from lightdata.kernels.tally import alive, row_in_hand
from lightdata.physical.stage import Context, name_rows, uri_of, without_hidden
from lightdata.plan.function import UserFunction
from lightdata.types.plain_array import plain_array
from lightdata.types.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapRowsOperator:
    """Map, flat-map or filter rows.

    A mistake is raised as it is, with a note of where; or, as ``on_error`` says, its row becomes nulls or is left out.
    """

    function: UserFunction
    kind: str
    schema: Schema | None
    on_error: OnError = "raise"

    @property
    def keeps_rows(self) -> bool:
        """Whether each row gives one row, unless it fails."""
        return self.kind == "map"

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Call the function on each row of each batch."""
        call = context.resource(self, self.function.build)
        for batch in batches:
            name_rows(batch)
            if self.on_error == "raise":
                yield from self._results(call, batch)
            else:
                yield from self._what_works(call, batch, context)

    def _results(self, call: Any, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Call the function on each row of a batch; the rows before one that fails are passed on first."""
        visible = without_hidden(batch)
        rows: list[Any] = []
        failure: Exception | None = None
        try:
            for number, row in enumerate(iter_rows(visible)):
                rows += self._of_row(call, row, batch, number)
        except Exception as error:  # noqa: BLE001 - raised below
            failure = error
        if self.kind == "filter":
            yield batch.slice(0, len(rows)).filter(plain_array(rows, pa.bool_()))
        elif rows:
            yield declared(self._batch(rows, visible), self.schema)
        if failure is not None:
            raise failure

    def _what_works(self, call: Any, batch: pa.RecordBatch, context: Context) -> Iterator[pa.RecordBatch]:
        """Call the function on each row of a batch, and go on behind those that fail."""
        visible = without_hidden(batch)
        made: list[tuple[int, list[Any]]] = []
        for number, row in enumerate(iter_rows(visible)):
            try:
                context.raise_lost()
                made.append((number, list(self._of_row(call, row, batch, number))))
            except ENDS:
                raise
            except BaseException as error:  # noqa: BLE001 - a user's function raises what it likes
                made.append((number, self._let_go(error, batch, number, context)))
        out = self._built([row for _, results in made for row in results], visible)
        if out is None:  # some values make no column: those that make none by themselves are at fault
            kept = [self._buildable(results, batch, number, context) for number, results in made]
            rows = [row for results in kept for row in results]
            out = declared(self._batch(rows, visible), self.schema) if rows else visible.slice(0, 0)
        if out.num_rows:
            yield out

    def _built(self, rows: list[Any], visible: pa.RecordBatch) -> pa.RecordBatch | None:
        try:
            return declared(self._batch(rows, visible), self.schema) if rows else visible.slice(0, 0)
        except Exception:  # noqa: BLE001 - values that a user's function gave
            return None

    def _of_row(self, call: Any, row: Row, batch: pa.RecordBatch, number: int) -> list[Any]:
        row_in_hand(number)
        result = self._call(call, row, batch, number)
        match self.kind:
            case "map":
                return [result]
            case "flat_map":
                given: list[Any] = self._call(list, result, batch, number)
                return given
            case _:
                return [self._call(bool, result, batch, number)]

    def _let_go(self, error: BaseException, batch: pa.RecordBatch, number: int, context: Context) -> list[Any]:
        """Take note of a row that failed, and give what stands for it."""
        stage = f"{self.kind}({self.function.name})"
        context.failures.append(failure_of(error, uri_of(batch, number), number, stage))
        return [dict.fromkeys(self.schema)] if self.on_error == "null" and self.schema is not None else []

    def _buildable(self, results: list[Any], batch: pa.RecordBatch, number: int, context: Context) -> list[Any]:
        try:
            if results:
                declared(self._batch(results, without_hidden(batch)), self.schema)
        except Exception as error:  # noqa: BLE001 - values that a user's function gave
            return self._let_go(error, batch, number, context)
        return results

    def _batch(self, rows: list[Mapping[str, Any]], visible: pa.RecordBatch) -> pa.RecordBatch:
        try:
            return batch_from_rows(rows, visible)
        except Exception as error:
            noted(error, f"lightdata: in {self.kind}({self.function.name}), building columns from its rows")
            raise

    def _call(self, call: Any, value: Row | Any, batch: pa.RecordBatch, number: int) -> Any:
        try:
            result = call(value)
        except Exception as error:
            file = uri_of(batch, number)
            place = f"row {number} of its batch" + (f", from file {file!r}" if file else "")
            noted(error, f"lightdata: in {self.kind}({self.function.name}), {place}")
            raise
        alive()
        return result


def failure_of(error: BaseException, uri: str | None, row: int, stage: str) -> RowError:
    """Give what is told of a row that failed: a user's exception, or one of ours, with its place."""
    if isinstance(error, RowError):
        return error.at(uri=uri, row=row, stage=stage)
    return FunctionError.of(error, uri=uri, row=row, stage=stage)


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
