"""One of several equal shares of a source, for readers that do not know each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from lightdata.errors import ArgumentError
from lightdata.io.source import Extent, Pushdowns, ReadTask, Source
from lightdata.types.schema import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareSource:
    """Each ``shares``-th task of a source, from task ``number``; all shares together are the source."""

    source: Source
    number: int
    shares: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < self.shares:
            raise ArgumentError(f"there is no share {self.number} of {self.shares}; they are counted from 0")

    @property
    def schema(self) -> Schema | None:
        """Of the source."""
        return self.source.schema

    @property
    def rows_are_listed(self) -> bool:
        """As in the source."""
        return self.source.rows_are_listed

    @property
    def lets_rows_go(self) -> bool:
        """As in the source."""
        return self.source.lets_rows_go

    def tasks(self, pushdowns: Pushdowns, *, task_rows: int) -> Iterator[ReadTask]:
        """Cut the source as if for one reader, and leave the tasks of the others out.

        Raises
        ------
        ArgumentError
            If only the first rows are asked for: which share they are in cannot be told.
        """
        if pushdowns.n_rows is not None:
            raise ArgumentError("the first rows of a source cannot be shared out")
        return islice(self.source.tasks(pushdowns, task_rows=task_rows), self.number, None, self.shares)

    def count(self, most: int | None = None) -> None:
        """Only reading tells."""

    def extent(self) -> Extent:
        """Tell nothing."""
        return Extent()

    def bounds(self, columns: Sequence[str]) -> None:
        """Tell nothing."""

    def __str__(self) -> str:
        return f"share {self.number} of {self.shares} of {self.source}"
