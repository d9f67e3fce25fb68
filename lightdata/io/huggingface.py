"""Rows of a table of Hugging Face's ``datasets``: pictures as the bytes of their files, arrays as tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lightdata.errors import RowError
from lightdata.io.iterable import BATCH_ROWS
from lightdata.io.location import read_file
from lightdata.io.memory import BatchTask, one_batch
from lightdata.io.source import Bounds, Extent, Pushdowns, ReadTask
from lightdata.types.canonical import canonical
from lightdata.types.plain_array import plain_array, plain_values
from lightdata.types.schema import Schema
from lightdata.types.tensor import fixed_tensor_type, tensors

_ARRAYS = "datasets.features.features.Array"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HuggingFaceSource:
    """The rows of an Arrow table as ``datasets`` keeps it; it may be mapped from disk, and is not copied as a whole."""

    table: pa.Table
    images: tuple[str, ...]
    """Columns of pictures: structs of the bytes of a file, or of its path."""

    @property
    def schema(self) -> Schema:
        """Names and types of all columns; pictures are bytes."""
        return Schema.of(_as_bytes(_plain(self.table.slice(0, 0)), self.images))

    @property
    def rows_are_listed(self) -> bool:
        """The rows are here."""
        return True

    @property
    def lets_rows_go(self) -> bool:
        """None fails."""
        return False

    def tasks(self, pushdowns: Pushdowns, *, task_rows: int) -> Iterator[ReadTask]:
        """Cut the table every ``task_rows`` rows."""
        table = self.table if pushdowns.columns is None else self.table.select(list(pushdowns.columns))
        if pushdowns.n_rows is not None:
            table = table.slice(0, pushdowns.n_rows)
        for start in range(0, table.num_rows, task_rows):
            rows = _plain(table.slice(start, task_rows))
            yield HuggingFaceTask(rows=BatchTask(rows), images=tuple(n for n in self.images if n in rows.schema.names))

    def count(self, most: int | None = None) -> int:
        """Count the rows."""
        return int(self.table.num_rows) if most is None else min(self.table.num_rows, most)

    def extent(self) -> Extent:
        """Tell the rows."""
        return Extent(rows=self.table.num_rows)

    def bounds(self, columns: Sequence[str]) -> Bounds:
        """Tell the rows."""
        return Bounds(rows=self.table.num_rows)

    def __str__(self) -> str:
        return f"huggingface[{self.table.num_rows} rows]"


@dataclass(frozen=True, slots=True, kw_only=True)
class HuggingFaceTask:
    """Some rows, which travel with their task; pictures that are only named are read where it is."""

    rows: BatchTask
    images: tuple[str, ...]

    def read(self, failures: list[RowError] | None = None) -> Iterator[pa.RecordBatch]:
        """Produce the rows."""
        return (_as_bytes(rows, self.images) for rows in self.rows.read())


def stream_batches(stream: Any, images: tuple[str, ...], most: int | None = None) -> Iterator[pa.RecordBatch]:
    """Give the rows of an ``IterableDataset`` whose format is Arrow, as those of a table."""
    left = most
    for table in stream.iter(batch_size=BATCH_ROWS if left is None else min(BATCH_ROWS, left)):
        batch = _as_bytes(_plain(table), images)
        yield batch if left is None else batch.slice(0, left)
        left = None if left is None else left - batch.num_rows
        if left is not None and left <= 0:
            return


def _plain(table: pa.Table) -> pa.RecordBatch:
    """Give a part of a table as one batch, in types that every process knows."""
    batch = one_batch(table)
    columns = [_tensors(column) if _is_array_feature(column.type) else column for column in batch.columns]
    return canonical(pa.RecordBatch.from_arrays(columns, names=batch.schema.names))


def _is_array_feature(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.ExtensionType) and kind.extension_name.startswith(_ARRAYS)


def _tensors(column: pa.ExtensionArray) -> pa.Array:
    dtype, shape = np.dtype(column.type.value_type), tuple(column.type.shape)
    values = column.storage
    for _ in shape:
        values = values.flatten()
    if None in shape or column.null_count or values.null_count or dtype.kind == "b":
        rows = column.storage.to_pylist()
        return tensors([None if row is None else np.array(row, dtype) for row in rows], dtype)
    kind = fixed_tensor_type(dtype, shape)
    size = int(np.prod(shape))
    return pa.ExtensionArray.from_storage(kind, pa.FixedSizeListArray.from_arrays(values, size))


def _as_bytes(batch: pa.RecordBatch, images: tuple[str, ...]) -> pa.RecordBatch:
    columns = {name: batch.column(name) for name in batch.schema.names}
    return pa.RecordBatch.from_pydict(columns | {name: _contents(columns[name]) for name in images})


def _contents(pictures: pa.StructArray) -> pa.Array:
    """Take the bytes of pictures; of those that are only named, read the files."""
    held, paths = (pictures.flatten()[pictures.type.get_field_index(name)] for name in ("bytes", "path"))
    named = plain_values(paths.is_valid()) & plain_values(held.is_null())
    if not named.any():
        return held
    contents: list[Any] = held.to_pylist()
    for row in np.flatnonzero(named):
        contents[row] = read_file(paths[int(row)].as_py())
    return plain_array(contents, pa.large_binary())
