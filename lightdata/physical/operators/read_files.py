"""Paths to the bytes of their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa

from lightdata.errors import RowError
from lightdata.io.location import read_file, read_image_head
from lightdata.io.source import URI
from lightdata.physical.stage import Context, in_row_order, with_column
from lightdata.types.plain_array import plain_array

BATCH_ROWS = 16
"""Files that are in memory at once where a task has many: a stage that writes makes one part of them."""

WHOLE_ROWS = 32
"""Rows of a task that is read at once, for it is handed over at once."""


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
        """Read the files of each batch."""
        for batch in batches:
            step = WHOLE_ROWS if batch.num_rows <= WHOLE_ROWS else BATCH_ROWS
            for start in range(0, batch.num_rows, step):
                yield from in_row_order(batch.slice(start, step), partial(self._with_bytes, start, context))

    def _with_bytes(self, start: int, context: Context, batch: pa.RecordBatch) -> pa.RecordBatch:
        paths = batch.column(self.path)
        read = [self._read(path, start, number, context) for number, path in enumerate(paths.to_pylist())]
        out = with_column(batch, self.column, plain_array([value for value, _ in read], pa.large_binary()))
        out = with_column(out, URI, paths)
        if self.on_error != "skip":
            return out
        return out.filter(plain_array([ok for _, ok in read], pa.bool_()))

    def _read(self, path: str | None, start: int, number: int, context: Context) -> tuple[bytes | None, bool]:
        if path is None:
            return None, True
        try:
            if self.on_error != "raise":
                context.raise_lost()
            read = read_image_head if self.only_heads else read_file
            return read(path, self.filesystem), True
        except RowError as error:
            located = error.at(uri=path, row=number, stage="read")
            if self.on_error == "raise":
                raise located from error.__cause__
            context.failures.append(located.moved(start))
            return None, False
