"""Rows of an iterable of Python's, of which only iterating tells anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import cloudpickle
import pyarrow as pa

from lightdata.errors import RowError
from lightdata.io.source import Extent, Pushdowns, ReadTask
from lightdata.kernels.rows import batch_from_rows

BATCH_ROWS = 256
"""Rows of a batch."""

Open = Callable[[int | None], Iterator[pa.RecordBatch]]
"""Streams batches of so many rows in all at most."""


def batches_of_items(
    items: Iterable[Any], to_row: Callable[[Any], Mapping[str, Any]], most: int | None = None
) -> Iterator[pa.RecordBatch]:
    """Make rows of items, and batches of rows.

    >>> [batch.num_rows for batch in batches_of_items("abc", lambda item: {"item": item}, 2)]
    [2]
    """
    rows = (to_row(item) for item in islice(items, most))
    while some := list(islice(rows, BATCH_ROWS)):
        yield batch_from_rows(some)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IterableSource:
    """What an iterable gives, from its beginning each time it is read; one reader reads all of it."""

    open: Open
    name: str

    @property
    def schema(self) -> None:
        """Unknown until it is read."""

    @property
    def rows_are_listed(self) -> bool:
        """Only iterating tells."""
        return False

    @property
    def lets_rows_go(self) -> bool:
        """None fails."""
        return False

    def tasks(self, pushdowns: Pushdowns, *, task_rows: int) -> Iterator[ReadTask]:
        """Give one task."""
        if pushdowns.n_rows != 0:
            yield IterableTask(open=self.open, columns=pushdowns.columns, most=pushdowns.n_rows)

    def count(self, most: int | None = None) -> None:
        """Only iterating tells."""

    def extent(self) -> Extent:
        """Tell nothing."""
        return Extent()

    def bounds(self, columns: Sequence[str]) -> None:
        """Tell nothing."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IterableTask:
    """All of it."""

    open: Open
    columns: tuple[str, ...] | None
    most: int | None

    def read(self, failures: list[RowError] | None = None) -> Iterator[pa.RecordBatch]:
        """Produce the rows, in batches."""
        for batch in self.open(self.most):
            yield batch if self.columns is None else batch.select(list(self.columns))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[bytes]]:
        # What users iterate over may be of classes of their script.
        return _arrived, (cloudpickle.dumps((self.open, self.columns, self.most)),)


def _arrived(pickled: bytes) -> IterableTask:
    opens, columns, most = cloudpickle.loads(pickled)
    return IterableTask(open=opens, columns=columns, most=most)
