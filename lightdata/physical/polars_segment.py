"""Steps that need all rows, run by Polars' streaming engine in the calling process.

This is the only module that touches Polars' unstable hooks, ``register_io_source`` and ``collect_batches``. The
source applies columns, predicate and row limit itself, as Polars expects of it: one that ignored ``n_rows`` would
be read too far.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain as chained
from typing import Literal, TypeVar

import polars as pl
import pyarrow as pa

from lightdata.errors import ExpressionError
from lightdata.expr.deferred import MARK, in_words
from lightdata.expr.expression import Expression
from lightdata.io.memory import one_batch
from lightdata.types.canonical import canonical
from lightdata.types.schema import Schema

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolarsSegment:
    """A select, with_columns or filter whose expressions look at more than one row.

    The batches that come in hold the deferred columns it reads; none leaves.
    """

    verb: Literal["select", "with_columns", "filter"]
    expressions: tuple[Expression, ...]
    schema: Schema
    """Of the batches that come in: an aggregate has a row where no batch comes."""

    def __str__(self) -> str:
        return f"{self.verb} {', '.join(map(str, self.expressions))} over all rows"

    def run(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Stream all batches through one Polars query."""
        first = next(batches, None)
        if first is None:
            first = one_batch(pa.Table.from_batches([], schema=self.schema.to_arrow()))
        exprs = [one.expr for one in self.expressions]
        upstream = Upstream(chained([first], batches))
        frame = scan_batches(upstream, first.schema)
        match self.verb:
            case "select":
                query = frame.select(exprs)
            case "with_columns":
                query = frame.with_columns(exprs)
            case "filter":
                query = frame.filter(*exprs)
        hidden = [name for name in query.collect_schema() if name.startswith(MARK)]
        yield from collect_stream(query.drop(hidden), upstream)


class Upstream:
    """A stream of batches that remembers the error it ended with: Polars would only pass on its text."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._batches
        except GeneratorExit:
            raise  # Polars stopped first, and knows why
        except BaseException as error:
            self.error = error
            raise


def scan_batches(upstream: Upstream, schema: pa.Schema) -> pl.LazyFrame:
    """Hand a stream of batches to Polars; it can be read once."""
    polars_schema = dict(pl.from_arrow(pa.Table.from_batches([], schema=schema)).schema)  # type: ignore[union-attr]  # a table gives a frame

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        left = n_rows
        for batch in upstream:
            frame = frame_of(batch)
            frame = frame if left is None else frame.head(left)
            left = None if left is None else left - frame.height
            frame = frame if predicate is None else frame.filter(predicate)
            # A frame forgets its height with its last column.
            projected = frame.select(columns) if columns else pl.DataFrame(height=frame.height)
            yield frame if columns is None else projected
            if left == 0:
                return

    return _quietly(lambda: pl.io.plugins.register_io_source(source, schema=polars_schema))


def frame_of(batch: pa.RecordBatch) -> pl.DataFrame:
    """Give a batch as a frame of as many rows, even without columns."""
    return pl.DataFrame(pl.from_arrow(batch)) if batch.num_columns else pl.DataFrame(height=batch.num_rows)


def collect_stream(query: pl.LazyFrame, upstream: Upstream) -> Iterator[pa.RecordBatch]:
    """Run a query in Polars' streaming engine and give its batches in canonical types, in order."""
    try:
        for frame in _quietly(lambda: query.collect_batches(maintain_order=True, lazy=True)):
            if frame.height:
                yield one_batch(canonical(frame.to_arrow()))
    except pl.exceptions.PolarsError as error:
        if upstream.error is not None:
            raise upstream.error from None
        raise ExpressionError(in_words(str(error))) from error


def _quietly(call: Callable[[], _T]) -> _T:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Polars calls these hooks unstable, which this module exists for
        return call()
