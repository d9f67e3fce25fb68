"""Rows of a Polars query, which runs when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import polars as pl
import pyarrow as pa

from lightdata.errors import ExpressionError, SchemaError
from lightdata.expr.deferred import in_words
from lightdata.interrupt import interrupts_deferred
from lightdata.io.memory import BatchTask
from lightdata.io.polars_stream import collect_stream
from lightdata.io.source import Extent, Pushdowns, ReadTask
from lightdata.kernels.rebatch import rebatch
from lightdata.types.schema import Schema


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LazyFrameSource:
    """The rows of a ``polars.LazyFrame``, anew each time they are read; made by :meth:`open`."""

    frame: pl.LazyFrame
    schema: Schema

    @classmethod
    def open(cls, frame: pl.LazyFrame) -> Self:
        """Make the source; Polars is asked for the schema, which may read the footer or the first lines of a file.

        Raises
        ------
        ExpressionError
            If the query is wrong, in Polars' words.
        SchemaError
            If a column cannot be held.
        """
        try:
            with interrupts_deferred():
                dtypes = frame.collect_schema()
        except pl.exceptions.PolarsError as error:
            raise ExpressionError(in_words(str(error)).splitlines()[0]) from error
        return cls(frame=frame, schema=held_schema(dtypes))

    @property
    def rows_are_listed(self) -> bool:
        """Rows reach the calling process first, where tasks of any number of rows can be cut."""
        return True

    @property
    def lets_rows_go(self) -> bool:
        """None fails."""
        return False

    def tasks(self, pushdowns: Pushdowns, *, task_rows: int) -> Iterator[ReadTask]:
        """Run the query, and cut its rows every ``task_rows`` rows."""
        batches = collect_stream(self.query(pushdowns))
        try:
            yield from map(BatchTask, rebatch(batches, task_rows))
        finally:
            batches.close()

    def query(self, pushdowns: Pushdowns) -> pl.LazyFrame:
        """Give the frame of what is needed, for Polars to push further down."""
        frame = self.frame if pushdowns.columns is None else self.frame.select(pushdowns.columns)
        return frame if pushdowns.n_rows is None else frame.head(pushdowns.n_rows)

    def count(self, most: int | None = None) -> None:
        """Only running the query tells."""

    def extent(self) -> Extent:
        """Tell nothing: Polars' own estimates are not to be had."""
        return Extent()

    def bounds(self, columns: Sequence[str]) -> None:
        """Only running the query tells."""

    def __str__(self) -> str:
        return f"polars[{', '.join(self.schema.names)}]"


def held_schema(dtypes: Mapping[str, pl.DataType]) -> Schema:
    """Give the schema of Polars' columns.

    Raises
    ------
    SchemaError
        Naming the column that Arrow cannot hold.
    """
    types: dict[str, pa.DataType] = {}
    for name, dtype in dtypes.items():
        try:
            types[name] = _held(name, dtype)
        except (pl.exceptions.PolarsError, pa.ArrowException, TypeError) as error:
            raise SchemaError(_unheld(name, dtype)) from error
    return Schema(types)


def _held(name: str, dtype: pl.DataType) -> pa.DataType:
    if any(isinstance(one, pl.Object) for one in _within(dtype)):  # Polars would hand over pointers, or panic
        raise TypeError(name)
    return Schema.from_polars({name: dtype})[name]


def _unheld(name: str, dtype: pl.DataType) -> str:
    return f"column {name!r} has the Polars type {dtype}, which Arrow cannot hold; cast it, or leave it out"


def _within(dtype: Any) -> Iterator[Any]:
    yield dtype
    inner = [field.dtype for field in dtype.fields] if isinstance(dtype, pl.Struct) else [getattr(dtype, "inner", None)]
    for one in inner:
        if one is not None:
            yield from _within(one)
