"""How many rows and bytes a part has: the sizes that a user asks for."""

from __future__ import annotations

from dataclasses import dataclass

from lightdata.errors import ArgumentError

PART_ROWS = 128
"""Rows of a part: some tens of megabytes of photos, and work for every core even where there are only some hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSizes:
    """Bounds of one part; the last part of an output may be smaller than the least.

    >>> PartSizes(min_rows_per_file=30, max_rows_per_file=100).most_rows
    90

    Raises
    ------
    ArgumentError
        If a bound is no positive number, or the least is above the most.
    """

    min_rows_per_file: int | None = None
    """Rows are brought together for it, in memory."""

    max_rows_per_file: int | None = None
    max_file_bytes: int | None = None
    """A new part is begun when one has reached it."""

    def __post_init__(self) -> None:
        for name in ("min_rows_per_file", "max_rows_per_file", "max_file_bytes"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ArgumentError(f"{name} must be a positive number; got {value!r}")
        if self.min_rows_per_file and self.max_rows_per_file and self.min_rows_per_file > self.max_rows_per_file:
            raise ArgumentError(
                f"min_rows_per_file={self.min_rows_per_file} is above max_rows_per_file={self.max_rows_per_file}"
            )

    @property
    def task_rows(self) -> int:
        """Rows that a task should bring."""
        return max(PART_ROWS, self.min_rows_per_file or 1)

    @property
    def multiple_of(self) -> int:
        """What the rows of a task must be a multiple of, so that no part falls short."""
        return self.min_rows_per_file or 1

    @property
    def most_rows(self) -> int | None:
        """Rows at which a part ends: what is left of a task is then no less than the least either."""
        if self.max_rows_per_file is None:
            return None
        return self.max_rows_per_file // self.multiple_of * self.multiple_of

    def is_full(self, rows: int, size_bytes: int) -> bool:
        """Whether a part takes no more."""
        by_rows = self.most_rows is not None and rows >= self.most_rows
        return by_rows or (self.max_file_bytes is not None and size_bytes >= self.max_file_bytes)
