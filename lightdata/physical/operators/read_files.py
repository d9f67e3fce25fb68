"""Paths to the bytes of their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lightdata.errors import ReadError
from lightdata.io.location import file_content, read_image_head
from lightdata.io.source import URI
from lightdata.kernels.tally import tally
from lightdata.physical.stage import Context, in_row_order, with_column
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

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Read the files of each batch."""
        for batch in batches:
            start, step = 0, WHOLE_ROWS if batch.num_rows <= WHOLE_ROWS else BATCH_ROWS
            while start < batch.num_rows:
                before = context.tally.bytes_read
                yield from in_row_order(batch.slice(start, step), lambda rows: self._with_bytes(rows, context))
                start += step
                mean = (context.tally.bytes_read - before) / step
                step = max(BATCH_ROWS, int(BATCH_BYTES / max(mean, 1)))

    def _with_bytes(self, batch: pa.RecordBatch, context: Context) -> pa.RecordBatch:
        paths = batch.column(self.path)
        read = [self._read(path, number, context) for number, path in enumerate(paths.to_pylist())]
        if not self.only_heads:
            sizes = [len(value) for value, _ in read if value is not None]
            tally("files_opened", len(sizes))
            tally("bytes_read", sum(sizes))
        out = with_column(batch, self.column, plain_array([value for value, _ in read], pa.large_binary()))
        out = with_column(out, URI, paths)
        if self.on_error != "skip":
            return out
        return out.filter(plain_array([ok for _, ok in read], pa.bool_()))

    def _read(self, path: str | None, number: int, context: Context) -> tuple[bytes | None, bool]:
        if path is None:
            return None, True
        try:
            read = read_image_head if self.only_heads else file_content
            return read(path, self.filesystem), True
        except ReadError as error:
            located = error.at(row=number, stage="read")
            if self.on_error == "raise":
                raise located from error.__cause__
            context.failures.append(located)
            return None, False
