"""Text files, one row for each line."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import pyarrow as pa

from lightdata.errors import ArgumentError, DecodeError, RowError
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.formats.stream import line_blocks, opened_stream, with_compressed
from lightdata.io.location import FileSystem
from lightdata.types.plain_array import plain_array
from lightdata.types.schema import Schema

_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFormat(FileFormat):
    """Lines, in the column ``text``; lines that are not in the encoding are errors of their own."""

    encoding: str = "utf-8"
    drop_empty_lines: bool = True

    def __post_init__(self) -> None:
        try:
            ends_lines = "\n".encode(self.encoding) == b"\n"
        except (LookupError, TypeError):
            raise ArgumentError(f"read_text: no encoding is called {self.encoding!r}") from None
        if not ends_lines:
            raise ArgumentError(f"read_text: {self.encoding} ends lines in more than one byte; save the files as UTF-8")

    @property
    def name(self) -> str:
        """What it is."""
        return "text"

    @property
    def extensions(self) -> tuple[str, ...]:
        """The usual ending, and compressed."""
        return with_compressed("txt")

    @property
    def schema(self) -> Schema:
        """One column of text."""
        return Schema({"text": pa.large_string()})

    def learned(self, path: str, filesystem: FileSystem) -> Self:
        """Know it all."""
        return self

    def read(
        self,
        path: str,
        filesystem: FileSystem,
        part: Part,
        request: Request,
    ) -> Iterator[pa.RecordBatch | RowError]:
        """Produce lines; Unicode's other line ends are text."""
        number = 0
        with opened_stream(path, filesystem) as stream:
            for block in line_blocks(stream, _BLOCK_BYTES):
                yield from self._decoded(block, number, request.batch_rows)
                number += len(block)

    def _decoded(self, lines: list[bytes], first: int, batch_rows: int) -> Iterator[pa.RecordBatch | RowError]:
        if (whole := self._all_decoded(lines)) is not None:
            yield from _batches(whole, batch_rows)
            return
        texts: list[str] = []
        for number, line in enumerate(lines, start=first + 1):
            try:
                text = line.decode(self.encoding)
                if not text.isascii():
                    text.encode()  # halves of characters, which UTF-7 can write
            except UnicodeError as error:
                yield from _batches(texts, batch_rows)
                texts = []
                yield DecodeError(f"line {number}: not {self.encoding}: {error}")
                continue
            if text or not self.drop_empty_lines:
                texts.append(text)
        yield from _batches(texts, batch_rows)

    def _all_decoded(self, lines: list[bytes]) -> list[str] | None:
        """Decode lines at once, where that is the same as one by one; ``None`` where some are to blame, or may be."""
        if codecs.lookup(self.encoding).name != "utf-8":
            return None
        try:
            texts = b"\n".join(lines).decode().split("\n")
        except UnicodeError:
            return None
        return [text for text in texts if text] if self.drop_empty_lines else texts


def _batches(texts: list[str], batch_rows: int) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(texts), batch_rows):
        column = plain_array(texts[start : start + batch_rows], pa.large_string())
        yield pa.RecordBatch.from_arrays([column], names=["text"])
