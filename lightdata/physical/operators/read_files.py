"""Paths to the bytes of their files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lightdata.errors import ReadError
from lightdata.io.files import read_file
from lightdata.physical.stage import URI, Context, with_column


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFilesOperator:
    """Add the bytes of each row's file, and the hidden name of that file."""

    path: str
    column: str
    filesystem: Any
    on_error: str

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Read the files of each batch."""
        for batch in batches:
            paths = batch.column(self.path)
            values, keep = [], []
            for number, path in enumerate(paths.to_pylist()):
                value, ok = self._read(path, context)
                values.append(value)
                if ok or self.on_error != "skip":
                    keep.append(number)
            out = with_column(batch, self.column, pa.array(values, pa.large_binary()))
            out = with_column(out, URI, paths)
            yield out if len(keep) == batch.num_rows else out.take(pa.array(keep, pa.int64()))

    def _read(self, path: str | None, context: Context) -> tuple[bytes | None, bool]:
        if path is None:
            return None, True
        try:
            return read_file(path, self.filesystem), True
        except ReadError as error:
            if self.on_error == "raise":
                raise
            context.failures.append(error.at(stage="read"))
            return None, False
