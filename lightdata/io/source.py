"""The seam between a query and where its rows come from."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import pyarrow as pa

from lightdata.errors import RowError
from lightdata.expr.deferred import MARK
from lightdata.types.schema import Schema

if TYPE_CHECKING:
    from lightdata.expr.expression import Expression

URI = f"{MARK}uri"
"""A hidden column that names each row's file, so that errors can; it never leaves its stage."""

OnError = Literal["raise", "null", "skip"]
"""What becomes of a row that fails: the run ends, the value is null, or the row is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushdowns:
    """What the rest of the query does not need, so that a source may leave it out."""

    columns: tuple[str, ...] | None = None
    """The only columns to produce, or ``None`` for all."""

    n_rows: int | None = None
    """Rows after which nothing more will be asked for."""

    predicate: Expression | None = None
    """Rows for which this is not true are dropped later on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much a source holds, as far as can be told before it is read."""

    rows: int | None = None
    """``None`` where nothing is known."""

    is_exact: bool = True
    """Whether there are so many rows, and not perhaps fewer."""

    widths: Mapping[str, float] = field(default_factory=dict)
    """Mean bytes of the values of columns whose type does not tell."""

    file_bytes: float | None = None
    """Mean bytes of the files that rows name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnBounds:
    """What metadata say of a column, exactly; the smallest and largest value are null where there is no value."""

    least: pa.Scalar
    most: pa.Scalar
    nulls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What metadata say of a source, exactly."""

    rows: int
    columns: Mapping[str, ColumnBounds] = field(default_factory=dict)
    """Of those columns that were asked for, the ones of which something is known."""


class ReadTask(Protocol):
    """A share of a source's rows; picklable, and it opens its files where it is read."""

    def read(self, failures: list[RowError] | None = None) -> Iterator[pa.RecordBatch]:
        """Produce the rows of this share, in order, in canonical types; rows that are let go are added to failures."""
        ...


def task_bytes(task: ReadTask) -> bytes:
    """Pickle a task: the same bytes wherever the same rows are to be read."""
    return pickle.dumps(task, protocol=5)


@runtime_checkable
class Source(Protocol):
    """Describes rows without holding them.

    Tasks come in row order, so rows keep the order of the source however many workers read them. Making a source
    opens no file but what its schema needs; ``tasks`` may list and open files.
    """

    @property
    def schema(self) -> Schema | None:
        """Names and types of all columns, or ``None`` where only reading tells."""
        ...

    @property
    def rows_are_listed(self) -> bool:
        """Whether the calling process holds the rows themselves, so that tasks of any number of rows can be cut."""
        ...

    @property
    def lets_rows_go(self) -> bool:
        """Whether rows may fail and the query go on."""
        ...

    def tasks(self, pushdowns: Pushdowns, *, task_rows: int) -> Iterator[ReadTask]:
        """Cut the rows into tasks of ``task_rows`` rows where rows are listed, else as the files fall."""
        ...

    def count(self, most: int | None = None) -> int | None:
        """Count the rows without reading them, and no further than ``most``; ``None`` where that cannot be."""
        ...

    def extent(self) -> Extent:
        """Estimate rows and bytes while a query is planned: no value is read, and no remote filesystem asked."""
        ...

    def bounds(self, columns: Sequence[str]) -> Bounds | None:
        """Tell rows and bounds while a query is planned, under the terms of ``extent``; ``None`` where not exact."""
        ...

    def __str__(self) -> str:
        """Say what is read, as ``explain`` shows it."""
        ...
