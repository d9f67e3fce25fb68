"""Arrays of one shape, put where they will stay as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class StackedRows:
    """Values of rows: arrays of one shape are copied into one array, so that none is there twice.

    >>> rows = StackedRows(3)
    >>> rows.append(np.zeros((2, 2), np.uint8))
    >>> rows.append(np.ones((2, 2), np.uint8))
    >>> rows.whole().shape
    (2, 2, 2)
    >>> rows.append(None)
    >>> [None if row is None else row.shape for row in rows.whole()]
    [(2, 2), (2, 2), None]
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._stack: NDArray[Any] | None = None
        self._rows: list[Any] = []
        """The values, where they are not all arrays of one shape."""
        self._count = 0

    def append(self, value: Any) -> None:
        """Add the next row."""
        if not self._count and isinstance(value, np.ndarray) and value.ndim:
            self._stack = np.empty((self._most, *value.shape), value.dtype)  # pages that no row comes to are not there
        if self._stack is not None:
            if not self._fits(value):
                self._rows, self._stack = list(self._stack[: self._count]), None
            else:
                self._stack[self._count] = value
        if self._stack is None:
            self._rows.append(value)
        self._count += 1

    def whole(self) -> Sequence[Any] | NDArray[Any]:
        """Give all rows as one array ``[N, ...]`` if they are arrays of one shape, else as a list."""
        return self._rows if self._stack is None else self._stack[: self._count]

    def listed(self) -> list[Any]:
        """Give all rows as a list."""
        return list(self.whole())

    def part(self, start: int, stop: int) -> StackedRows:
        """Give some of the rows, without a copy."""
        part = StackedRows(stop - start)
        part._stack = None if self._stack is None else self._stack[start:stop]
        part._rows, part._count = self._rows[start:stop], stop - start
        return part

    def __len__(self) -> int:
        return self._count

    def _fits(self, value: Any) -> bool:
        stack = self._stack
        return (
            stack is not None
            and isinstance(value, np.ndarray)
            and value.shape == stack.shape[1:]
            and value.dtype == stack.dtype
        )
