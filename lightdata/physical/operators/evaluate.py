"""Expressions on batches: chains are computed here, the rest is handed to Polars unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from lightdata.errors import ExpressionError
from lightdata.expr.computed import Computed
from lightdata.expr.deferred import Chain, in_words, is_deferred, parse
from lightdata.io.source import URI
from lightdata.io.uris.redaction import safe_url
from lightdata.physical.operators.chains import compute_parts, lets_images_go
from lightdata.physical.stage import (
    Context,
    hidden_names,
    visible_names,
    with_column,
    without_deferred,
    without_hidden,
)
from lightdata.types.canonical import canonical
from lightdata.types.plain_array import plain_array
from lightdata.types.schema import Schema

if TYPE_CHECKING:
    from lightdata.expr.expression import Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOperator:
    """Select, add or filter by expressions that treat each row by itself."""

    verb: Literal["select", "with_columns", "filter"]
    columns: tuple[Computed, ...] = ()
    """What to compute, where selectors were spelled out when the query was built."""

    unbound: tuple[Expression, ...] = ()
    """What to compute, where each batch tells the columns."""

    @property
    def on_error(self) -> str:
        """What becomes of an image that cannot be decoded."""
        return "null" if lets_images_go(chain for one in self.columns for chain in one.chains) else "raise"

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Evaluate on each batch."""
        for batch in batches:
            held = [_naming_urls(batch)]
            del batch  # else it would still be there while the next one is made
            yield from self._evaluated(held.pop(), context)

    def _evaluated(self, batch: pa.RecordBatch, context: Context) -> Iterator[pa.RecordBatch]:
        try:
            wanted = self._bound(batch)
            for rows, columns in evaluate(wanted, batch, context):
                made = [without_deferred(self._result(rows, columns))]
                del rows, columns
                yield made.pop()
        except ExpressionError as error:
            if not self.unbound:
                raise
            hint = (
                "types come from the rows of a batch here; declare them with schema= in the map or map_batches before"
            )
            raise ExpressionError(f"{self.verb}: {error}; {hint}") from error

    def _result(self, batch: pa.RecordBatch, columns: dict[str, pa.Array]) -> pa.RecordBatch:
        match self.verb:
            case "filter":
                return batch.filter(columns.popitem()[1])
            case "with_columns":
                return _with_columns(batch, columns)
            case "select":
                columns.update({name: batch.column(name) for name in hidden_names(batch)})
                return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))

    def _bound(self, batch: pa.RecordBatch) -> Sequence[Computed]:
        if not self.unbound:
            return self.columns
        from lightdata.expr.expression import bind  # noqa: PLC0415 - workers mostly need no Polars

        schema = Schema.of(without_deferred(without_hidden(batch)))
        bound = bind([one.expr for one in self.unbound], schema, step=self.verb)
        for one in bound:
            if not one.is_elementwise and not (one.is_constant and self.verb == "with_columns"):
                raise ExpressionError(
                    f"{self.verb}: {one} needs all rows at once, which only works where the columns are known before "
                    "the query runs; pass schema= to the map or map_batches before it"
                )
        return tuple(map(Computed.of, bound))


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeChainsOperator:
    """Add deferred columns under their own names, for a step that Polars runs over all rows."""

    chains: tuple[Chain, ...]

    @property
    def on_error(self) -> str:
        """What becomes of an image that cannot be decoded."""
        return "null" if lets_images_go(self.chains) else "raise"

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Compute the chains of each batch."""
        for batch in batches:
            for rows, columns in compute_parts(batch, self.chains, context):
                yield _with_columns(without_deferred(rows), columns)


def _with_columns(batch: pa.RecordBatch, columns: dict[str, pa.Array]) -> pa.RecordBatch:
    for name, column in columns.items():
        batch = with_column(batch, name, column)
    return batch


def _naming_urls(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Let later steps of the stage say which URL a row's bytes are of, where that is clear."""
    deferred = [parse(name) for name in batch.schema.names if name != URI and is_deferred(name)]
    read = {chain.column for chain in deferred if chain.reads}
    if len(read) != 1 or URI in batch.schema.names:
        return batch
    urls = batch.column(read.pop()).to_pylist()
    return with_column(batch, URI, plain_array([url and safe_url(url) for url in urls], pa.large_string()))


def evaluate(
    wanted: Sequence[Computed], batch: pa.RecordBatch, context: Context
) -> Iterator[tuple[pa.RecordBatch, dict[str, pa.Array]]]:
    """Compute columns of a batch, by name, part by part; what is only a column or a chain never sees Polars."""
    chains = dict.fromkeys(chain for one in wanted for chain in one.chains)
    for rows, deferred in compute_parts(batch, chains, context):
        columns: dict[str, pa.Array] = {}
        for one in wanted:
            source = one.source
            if source is not None:
                columns[one.name] = deferred[source] if source in deferred else rows.column(source)
        rest = [one.expression for one in wanted if one.expression is not None]
        if rest:
            columns.update(_in_polars(rest, rows, deferred))
        deferred.clear()
        yield rows, {one.name: columns.pop(one.name) for one in wanted}


def _in_polars(
    expressions: Sequence[Expression], batch: pa.RecordBatch, deferred: dict[str, pa.Array]
) -> dict[str, pa.Array]:
    import polars as pl  # noqa: PLC0415 - workers mostly need none

    read = {name for one in expressions for name in one.expr.meta.root_names()}
    visible = visible_names(without_deferred(batch))
    needed = [name for name in visible if name in read] or visible[:1]
    arrays = {**{name: batch.column(name) for name in needed}, **deferred}
    read_only = pa.RecordBatch.from_arrays(list(arrays.values()), names=list(arrays))
    frame = pl.DataFrame(pl.from_arrow(read_only)) if arrays else pl.DataFrame(height=batch.num_rows)
    names = [f"{number}" for number in range(len(expressions))]
    exprs = [one.expr.alias(name) for one, name in zip(expressions, names, strict=True)]
    try:
        table = frame.with_columns(exprs).select(names).to_arrow()
    except pl.exceptions.PolarsError as error:
        raise ExpressionError(in_words(str(error))) from error
    results = canonical(table)
    return {one.name: _one_array(results.column(number)) for number, one in enumerate(expressions)}


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
