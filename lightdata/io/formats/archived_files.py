"""Files in zip and tar archives, as rows of their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from lightdata.errors import DecodeError, RowError
from lightdata.expr.expression import Expression
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.formats.archive import Packed, list_packed, unpacked
from lightdata.io.formats.tar import iter_members
from lightdata.io.location import FileSystem, is_text
from lightdata.io.source import URI
from lightdata.types.plain_array import plain_array
from lightdata.types.schema import Schema

_TARS = (".tar", ".tar.gz", ".tgz")
ARCHIVES = (".zip", *_TARS)
"""Endings of archives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedFilesFormat(FileFormat):
    """The files of archives, in order; ``path`` is ``archive.zip::folder/name``."""

    column: str
    """Name of the column of bytes."""

    endings: tuple[str, ...] | None
    """Of the files to take, lower case; ``None`` for all."""

    @property
    def name(self) -> str:
        """What it is."""
        return "archive"

    @property
    def extensions(self) -> tuple[str, ...]:
        """Those of archives."""
        return tuple(one.lstrip(".") for one in ARCHIVES)

    @property
    def schema(self) -> Schema:
        """Bytes, and where they are."""
        return Schema({self.column: pa.large_binary(), "path": pa.large_string()})

    @property
    def path_column(self) -> str:
        """Where a file is: its archive, and its name in there."""
        return "path"

    def learned(self, path: str, filesystem: FileSystem) -> Self:
        """Know it all."""
        return self

    def parts(self, path: str, filesystem: FileSystem, *, rows: int, predicate: Expression | None) -> Iterator[Part]:
        """Share out the files of a zip, which can be had one by one; a tar is read from front to back."""
        if path.lower().endswith(_TARS):
            yield Part(None)
            return
        members = [one for one in list_packed(path, filesystem) if self._takes(one.name)]
        for start in range(0, len(members), rows):
            part = tuple(members[start : start + rows])
            yield Part(len(part), part)

    def read(
        self, path: str, filesystem: FileSystem, part: Part, request: Request
    ) -> Iterator[pa.RecordBatch | RowError]:
        """Produce the files of a part."""
        names = tuple(self.schema) if request.columns is None else request.columns
        files: list[tuple[bytes, str]] = []
        damage: RowError | None = None
        opens = self.column in names
        contents = (
            self._from_tar(path, filesystem) if part.key is None else _from_zip(path, filesystem, part.key, opens)
        )
        try:
            for item in contents:
                if isinstance(item, RowError):
                    yield from self._batch(files, names)
                    files = []
                    yield item
                else:
                    files.append(item)
                if len(files) >= request.batch_rows:
                    yield from self._batch(files, names)
                    files = []
        except RowError as error:
            damage = error  # the files before it are sound
        yield from self._batch(files, names)
        if damage is not None:
            raise damage

    def count(self, path: str, filesystem: FileSystem) -> int | None:
        """Count what the list of a zip names."""
        if path.lower().endswith(_TARS):
            return None
        return sum(1 for one in list_packed(path, filesystem) if self._takes(one.name))

    def _takes(self, name: str) -> bool:
        base = name.rpartition("/")[2].lower()
        is_hidden = base.startswith((".", "_")) or name.startswith("__MACOSX/")
        return bool(base) and not is_hidden and (self.endings is None or base.endswith(self.endings))

    def _from_tar(self, path: str, filesystem: FileSystem) -> Iterator[tuple[bytes, str] | RowError]:
        for member in iter_members(path, filesystem):
            if self._takes(member.name):
                if is_text(member.name):
                    yield member.content, f"{path}::{member.name}"
                else:
                    yield DecodeError(f"the name of file {member.name!a} is not text", uri=path)

    def _batch(self, files: list[tuple[bytes, str]], names: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        if files:
            contents, paths = zip(*files, strict=True)
            places = plain_array(paths, pa.large_string())
            columns = {self.column: plain_array(contents, pa.large_binary()), "path": places, URI: places}
            yield pa.RecordBatch.from_pydict(columns).select([*names, URI])


def _from_zip(
    path: str, filesystem: FileSystem, members: tuple[Packed, ...], opens: bool
) -> Iterator[tuple[bytes, str] | RowError]:
    for member in members:
        uri = f"{path}::{member.name}"
        try:
            yield unpacked(path, filesystem, member) if opens else b"", uri
        except RowError as error:
            yield error.at(uri=uri)
