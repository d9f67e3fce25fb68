"""The doors to Polars: a dataset as a lazy frame, and queries in SQL over several of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from lightdata.dataset.writers import Writers
from lightdata.errors import ArgumentError, ColumnNotFoundError, ExpressionError, PlanError, SchemaError
from lightdata.execute.executor import close
from lightdata.expr.deferred import in_words
from lightdata.expr.expression import bind
from lightdata.io.lazy_frame import LazyFrameSource
from lightdata.io.polars_stream import frame_of, scan_opened
from lightdata.kernels.rebatch import owned
from lightdata.physical.driver_steps import Conform
from lightdata.plan.node import Drop, Filter, Limit, Plan, Scan
from lightdata.plan.schema import schema_of
from lightdata.plan.verify import verify_step
from lightdata.types.canonical import canonical
from lightdata.types.schema import Schema, describe

if TYPE_CHECKING:
    from typing import Self

_NO_TABLE = re.compile(r"relation '(.*)' was not found")
_NO_COLUMN = re.compile(r'unable to find column "(.*?)"; valid columns: \[(.*?)\]')


class Exchange(Writers):
    """A query that Polars can go on with."""

    def to_lazy(self) -> pl.LazyFrame:
        """Give a ``polars.LazyFrame`` that runs this query when it is collected, in parts that Polars asks for.

        Columns, predicates and limits that Polars pushes down reach this query, so images that nobody asks for are
        never opened. Images and tensors are columns as they are stored: operations on them belong before ``to_lazy``.

        >>> import lightdata as ld
        >>> ld.range(100).to_lazy().filter(ld.col("id") > 97).collect()["id"].to_list()
        [98, 99]
        """
        plan, known = self._plan, schema_of(self._plan)

        def opened(
            columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None
        ) -> Iterator[pa.RecordBatch]:
            schema = self.schema() if known is None else known
            names = schema.names if columns is None else _read_by(columns, predicate)
            pushed = narrowed(plan, [name for name in schema if name not in names], predicate, n_rows)
            wanted = Schema({name: kind for name, kind in schema.items() if name in names})
            return _own_batches(self._run(pushed, verb="collect"), wanted)

        return scan_opened(opened, self.schema if known is None else known)

    def describe(
        self, percentiles: Sequence[float] | float | None = (0.25, 0.5, 0.75), *, interpolation: str = "nearest"
    ) -> pl.DataFrame:
        """Summarise each column: counts, mean, standard deviation, quantiles; of images and tensors only counts.

        No image is decoded.

        >>> import lightdata as ld
        >>> ld.range(3).describe(percentiles=None)["id"].to_list()
        [3.0, 0.0, 1.0, 1.0, 0.0, 2.0]
        """
        schema = self.schema()
        stored = [name for name, kind in schema.items() if isinstance(kind, pa.BaseExtensionType)]
        # Of these it is only told whether they are there.
        marked = [
            pl.when(pl.col(name).is_not_null()).then(pl.lit(describe(schema[name]))).alias(name) for name in stored
        ]
        told = self._in_my_stead(self.with_columns(marked) if marked else self)
        return told.to_lazy().describe(percentiles, interpolation=interpolation)  # type: ignore[arg-type]  # Polars checks it

    def sql(self, query: str, *, table_name: str | None = None) -> Self:
        """Ask in SQL, in Polars' dialect; the rows are the table ``self``, or whatever ``table_name`` says.

        Without ``order by``, groups and joined rows come in any order.

        >>> import lightdata as ld
        >>> ld.range(5).sql("select count(*) as n from self where id > 2").take_all()
        [{'n': 2}]

        Raises
        ------
        PlanError
            If the query is wrong.
        """
        tables = {"self": self, **({} if table_name is None else {table_name: self})}
        return type(self)(sql_plan(query, tables))


def narrowed(plan: Plan, unread: Sequence[str], predicate: pl.Expr | None, n_rows: int | None) -> Plan:
    """Leave out what Polars does not ask for: columns, and of the first ``n_rows`` rows those it filters out."""
    plan = plan if n_rows is None else Limit(input=plan, n=n_rows)
    plan = Drop(input=plan, columns=tuple(unread)) if unread else plan
    return plan if predicate is None else _filtered(plan, predicate)


def _read_by(columns: Sequence[str], predicate: pl.Expr | None) -> set[str]:
    return {*columns, *(() if predicate is None else predicate.meta.root_names())}


def _filtered(plan: Plan, predicate: pl.Expr) -> Plan:
    """Filter where it is ours to do; else Polars' predicate is applied to the rows that come out."""
    try:
        (bound,) = bind([predicate], schema_of(plan), step="filter")
        filtered = Filter(input=plan, predicate=bound)
        verify_step(filtered)
        # A user's function may not be called twice.
        is_ours = bound.is_elementwise and b"AnonymousFunction" not in predicate.meta.serialize()
    except (PlanError, pl.exceptions.PolarsError, ValueError):
        return plan
    return filtered if is_ours else plan


def _own_batches(batches: Iterator[pa.RecordBatch], schema: Schema) -> Iterator[pa.RecordBatch]:
    """Copy the batches of a run: Polars keeps some, and one that stays keeps a worker's slot."""
    try:
        for batch in Conform(stage="to_lazy", schema=schema).run(batches):
            if Schema.of(batch) != schema:  # only a column that was null in the first row can differ
                raise SchemaError("to_lazy: a column is null in the first row and not in others; declare it, schema=")
            yield owned(batch)
    finally:
        close(batches)


def sql_plan(query: str, tables: Mapping[str, Any]) -> Plan:
    """Plan a query in SQL over tables: datasets, Polars frames, Arrow tables.

    Raises
    ------
    ArgumentError
        If it names a table that is not there.
    ColumnNotFoundError
        If it names a column that is not there.
    ExpressionError
        If it is wrong otherwise, in Polars' words.
    """
    try:
        context = pl.SQLContext({name: _lazy(name, table) for name, table in tables.items()}, eager=False)
        frame = context.execute(query, eager=False)
        frame.collect_schema()
    except pl.exceptions.PolarsError as error:
        raise _told(error, tables) from error
    return Scan(source=LazyFrameSource.open(frame))


def tables_around(query: str, caller: FrameType | None) -> dict[str, Any]:
    """Find the tables that a query names among a caller's variables, local ones first."""
    around = {} if caller is None else {**caller.f_globals, **caller.f_locals}
    words = set(re.findall(r"\w+", query))
    return {name: value for name, value in around.items() if name in words and _is_table(value)}


def _is_table(value: Any) -> bool:
    return isinstance(value, Exchange | pl.DataFrame | pl.LazyFrame | pa.Table | pa.RecordBatch)


def _lazy(name: str, table: Any) -> pl.LazyFrame:
    match table:
        case Exchange():
            return table.to_lazy()
        case pl.DataFrame() | pl.LazyFrame():
            return table.lazy()
        case pa.Table():
            return pl.DataFrame(pl.from_arrow(canonical(table))).lazy()
        case pa.RecordBatch():
            return frame_of(canonical(table)).lazy()
    raise ArgumentError(f"sql takes a Dataset, a Polars frame or an Arrow table as {name}; got {type(table).__name__}")


def _told(error: pl.exceptions.PolarsError, tables: Mapping[str, Any]) -> PlanError:
    text = in_words(str(error)).splitlines()[0]
    if found := _NO_TABLE.search(text):
        names = ", ".join(tables) or "(none)"
        return ArgumentError(f"sql: no table {found[1]!r}; pass it by name, as {found[1]}=dataset. Tables: {names}")
    if found := _NO_COLUMN.search(text):
        return ColumnNotFoundError.for_step(found[1], step="sql", available=re.findall(r'"(.*?)"', found[2]))
    return ExpressionError(f"sql: {text}")
