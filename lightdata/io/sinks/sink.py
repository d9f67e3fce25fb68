"""The seam between a query and where its rows go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa

from lightdata.errors import DecodeError, EncodeError, RowError
from lightdata.types.schema import Schema

_FAILURES: dict[str, type[RowError]] = {kind.__name__: kind for kind in (EncodeError, DecodeError)}


class StagedFile(NamedTuple):
    """A finished file that waits to be moved into place; or, without a path, a row that has none."""

    path: str
    """Where it is now; empty for a row that was not written."""

    name: str | None
    """The name it was given by its row, relative to the target; ``None`` to be numbered at commit, and empty for a row
    that was not written and takes no number."""

    rows: int
    size_bytes: int
    folder: str = ""
    """The folder it is numbered in, relative to the target."""

    error: str | None = None
    """Why the row was not written; ``None`` for one whose value is null."""

    kind: str | None = None
    """The class of that error."""

    uri: str | None = None
    """The file that the row came from, where that is known."""

    row: int | None = None
    """The row within its task."""

    def failure(self, *, row: int | None = None, stage: str | None = None) -> RowError:
        """Give the reason why a row was not written."""
        kind = _FAILURES.get(self.kind or "", EncodeError)
        return kind(self.error or "the value is null, and has no file", uri=self.uri, row=row, stage=stage)


WRITTEN = Schema(
    {name: pa.int64() if name in ("rows", "size_bytes", "row") else pa.large_string() for name in StagedFile._fields}
)
"""What a write gives: one row for each staged file."""


def left_out(error: RowError, *, row: int, name: str | None) -> StagedFile:
    """Describe a row that could not be written; ``name`` is ``None`` if it takes a number, else empty.

    >>> left_out(EncodeError("too large"), row=3, name="").failure(row=3)
    EncodeError('row 3: too large')
    """
    return StagedFile("", name, 0, 0, error=error.message, kind=type(error).__name__, uri=error.uri, row=row)


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
