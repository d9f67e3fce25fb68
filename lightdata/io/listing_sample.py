"""A few files of a long listing, for estimates."""

from __future__ import annotations

from collections.abc import Iterable

from lightdata.io.location import FileSystem, locate, regular_size

_SIZED_FILES = 512
"""Files of a listing that are asked for their size, at most."""


class ListingSample:
    """Counts the files of a listing, and keeps some, evenly spread, with their sizes."""

    def __init__(self) -> None:
        self.rows = 0
        """Files of the listing."""

        self.files: list[tuple[str, int]] = []
        """Path and bytes of those that were kept."""

        self._stride = 1

    def add(self, path: str, filesystem: FileSystem) -> None:
        """Count a file."""
        if self.rows % self._stride == 0:
            if len(self.files) == _SIZED_FILES:
                del self.files[1::2]
                self._stride *= 2
            if self.rows % self._stride == 0:
                self.files.append((path, regular_size(locate(path, filesystem).path)))
        self.rows += 1

    def mean(self, values: Iterable[int]) -> float:
        """Give the mean of values of the files that were kept."""
        return sum(values) / max(len(self.files), 1)
