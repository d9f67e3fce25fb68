"""The seam between files that hold rows and the formats they hold them in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, Self

import pyarrow as pa

from lightdata.errors import RowError
from lightdata.expr.expression import Expression
from lightdata.io.location import FileSystem
from lightdata.io.source import Bounds, Extent
from lightdata.types.schema import Schema


class Part(NamedTuple):
    """A share of a file's rows."""

    rows: int | None
    """How many they are, where the file tells before it is read."""

    key: Any = None
    """What the format knows the share by; picklable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is wanted of a part."""

    columns: tuple[str, ...] | None
    """The only columns to produce, or ``None`` for all, where they are not known."""

    batch_rows: int
    """Rows of a batch, at most."""

    n_rows: int | None = None
    """Rows after which nothing more will be asked for."""

    every_column: bool = False
    """Whether a row fails for any of its values, so that the same rows do whatever columns are asked for."""


class FileFormat(Protocol):
    """Describes how one kind of file holds rows: a frozen, picklable value that opens files where they are read."""

    @property
    def name(self) -> str:
        """What ``explain`` calls it."""
        ...

    @property
    def extensions(self) -> tuple[str, ...] | None:
        """Endings of the files taken from folders and patterns where a user names none; ``None`` for every file."""
        ...

    @property
    def schema(self) -> Schema | None:
        """The columns of the files, or ``None`` where only reading tells."""
        ...

    @property
    def path_column(self) -> str | None:
        """The column, if there is one, in which rows say where they are; a row of nulls says it, too."""
        return None

    def learned(self, path: str, filesystem: FileSystem) -> Self:
        """Copy this format with what the first file tells: its columns.

        Raises
        ------
        LightdataError
            If the file cannot be read, or holds what a column cannot.
        """
        ...

    def read(
        self, path: str, filesystem: FileSystem, part: Part, request: Request
    ) -> Iterator[pa.RecordBatch | RowError]:
        """Produce the rows of a part in canonical types, and an error in the place of each row that cannot be had.

        Raises
        ------
        RowError
            If the rest of the part is lost.
        """
        ...

    def parts(
        self,
        path: str,
        filesystem: FileSystem,
        *,
        rows: int,
        predicate: Expression | None,
    ) -> Iterator[Part]:
        """Cut a file into shares, of about ``rows`` rows where it can be cut anywhere.

        A part of which metadata say that ``predicate`` is true for no row may be left out.
        """
        yield Part(None)

    def count(self, path: str, filesystem: FileSystem) -> int | None:
        """Count a file's rows without reading them, or ``None`` where that cannot be."""
        return None

    def extent(self, files: Sequence[str]) -> Extent:
        """Estimate rows and bytes of files on this machine, while a query is planned."""
        return Extent()

    def bounds(self, files: Sequence[str], columns: Sequence[str]) -> Bounds | None:
        """Tell rows and bounds of files on this machine, exactly, while a query is planned."""
        return None
