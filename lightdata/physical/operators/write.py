"""Rows to files that wait for their commit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lightdata.errors import RowError
from lightdata.io.sink import Sink, StagedFile
from lightdata.physical.stage import Context, without_hidden
from lightdata.types.plain_array import plain_array


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOperator:
    """Write the rows of a task, and describe the files."""

    sink: Sink
    directory: str

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """Write all batches of one task."""
        try:
            files = list(self.sink.write((without_hidden(batch) for batch in batches), Path(self.directory)))
        except RowError as error:
            raise error.at(stage=f"write {self.sink}") from error.__cause__
        yield describe_files(files)


def describe_files(files: list[StagedFile]) -> pa.RecordBatch:
    """List staged files as rows."""
    columns = list(zip(*files, strict=True)) or [(), (), (), ()]
    kinds = (pa.large_string(), pa.large_string(), pa.int64(), pa.int64())
    arrays = [plain_array(values, kind) for values, kind in zip(columns, kinds, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=["path", "name", "rows", "size_bytes"])
