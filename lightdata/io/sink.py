"""The seam between a query and where its rows go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from lightdata.types.schema import Schema


class StagedFile(NamedTuple):
    """A finished file that waits to be moved into place."""

    path: str
    """Where it is now."""

    name: str | None
    """The name it was given by its row, relative to the target; ``None`` to be numbered at commit."""

    rows: int
    size_bytes: int


class Sink(Protocol):
    """Describes files to write; picklable, and used by many workers at once.

    Files are written whole into a staging folder and only moved into place when every worker has finished.
    """

    @property
    def is_numbered(self) -> bool:
        """Whether files are numbered at commit, not named by their rows."""
        ...

    @property
    def task_rows(self) -> int:
        """Rows that one task should bring; independent of the machine, so that files are."""
        ...

    def columns(self) -> tuple[str, ...] | None:
        """The columns that are read, or ``None`` for all."""
        ...

    def check(self, schema: Schema) -> None:
        """Raise what can be known to fail before any row is read."""
        ...

    def write(self, batches: Iterator[pa.RecordBatch], staging: Path) -> Iterator[StagedFile]:
        """Write one task's rows under names no other task uses."""
        ...

    def check_files(self, files: Sequence[StagedFile]) -> None:
        """Raise what only shows when all files are there, before any is moved into place."""
        ...

    def final_name(self, number: int) -> str:
        """Name the ``number``-th file, or row, of the whole output."""
        ...

    def __str__(self) -> str:
        """Say what is written, as ``explain`` shows it."""
        ...
