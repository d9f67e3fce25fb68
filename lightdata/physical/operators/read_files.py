"""Paths to the bytes of their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from lightdata.config import batch_limit
from lightdata.errors import RowError
from lightdata.io.location import file_content, read_image_head
from lightdata.io.source import URI
from lightdata.kernels.tally import alive, tally
from lightdata.physical.stage import Context, in_halves, with_column
from lightdata.types.plain_array import plain_array

WHOLE_ROWS = 32
"""Rows of a task that is read at once, for it is handed over at once."""

BATCH_ROWS = 16
"""Rows of the first batch of a larger task."""

BATCH_BYTES = 2 << 20
"""Bytes of files that later batches have about: of photos some ten, of tiny files hundreds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFilesOperator:
    """Add the bytes of each row's file, and the hidden name of that file."""

    path: str
    column: str
    filesystem: Any
    on_error: str
    only_heads: bool = False
    """Whether the header of an image is enough."""

    keeps_rows: ClassVar[bool] = True

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Read the files of each batch, and pass on what has been read before too much is in memory."""
        for batch in batches:
            start, step = 0, WHOLE_ROWS if batch.num_rows <= WHOLE_ROWS else BATCH_ROWS
            while start < batch.num_rows:
                read: list[_Read] = []
                failure = self._read_some(batch.slice(start, step), start, read, context)
                start += len(read)
                mean = _count(read, is_whole=not self.only_heads) / max(len(read), 1)
                step = max(BATCH_ROWS, int(BATCH_BYTES / max(mean, 1)))
                if read:
                    yield from self._batches(batch.slice(start - len(read), len(read)), read)
                if failure is not None:
                    raise failure

    def _read_some(self, rows: pa.RecordBatch, start: int, read: list[_Read], context: Context) -> RowError | None:
        """Read files until they take as much as a batch may; gives the error that ended it earlier."""
        most, size = batch_limit(), 0
        for number, path in enumerate(rows.column(self.path).to_pylist(), start):
            try:
                read.append(self._read(path, number, context))
            except RowError as error:
                return error
            alive()  # files are counted together, later; each is a sign of life
            size += len(read[-1].content or b"")
            if size >= most:
                return None
        return None

    def _batches(self, batch: pa.RecordBatch, read: list[_Read]) -> Iterator[pa.RecordBatch]:
        return in_halves(read, lambda some, at: self._with_bytes(batch.slice(at, len(some)), some))

    def _with_bytes(self, batch: pa.RecordBatch, read: list[_Read]) -> pa.RecordBatch:
        out = with_column(batch, self.column, _column([one.content for one in read]))
        out = with_column(out, URI, batch.column(self.path))
        is_kept = [one.is_kept for one in read]
        if self.on_error != "skip" or all(is_kept):
            return out  # a filter would copy the files
        return out.filter(plain_array(is_kept, pa.bool_()))

    def _read(self, path: str | None, number: int, context: Context) -> _Read:
        if path is None:
            return _Read(None, True)
        try:
            if self.on_error != "raise":
                context.raise_lost()
            read = read_image_head if self.only_heads else file_content
            return _Read(read(path, self.filesystem), True)
        except RowError as error:
            located = error.at(uri=path, row=number, stage="read")
            if self.on_error == "raise":
                raise located from error.__cause__
            context.failures.append(located)
            return _Read(None, False)


class _Read(NamedTuple):
    """What became of one row."""

    content: bytes | None
    is_kept: bool


def _column(contents: list[bytes | None]) -> pa.Array:
    """Build a column of files; a single one, which may be large, is not copied."""
    if len(contents) != 1 or contents[0] is None:
        return plain_array(contents, pa.large_binary())
    ends = pa.py_buffer(np.array([0, len(contents[0])], np.int64))
    return pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(contents[0])])


def _count(read: list[_Read], *, is_whole: bool) -> int:
    """Count files that were read whole, and give their bytes."""
    sizes = [len(one.content) for one in read if one.content is not None]
    if is_whole:
        tally("files_opened", len(sizes))
        tally("bytes_read", sum(sizes))
    return sum(sizes)
