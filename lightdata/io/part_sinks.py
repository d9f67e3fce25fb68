"""Write tables and arrays in parts: each task becomes one file."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from lightdata.errors import EncodeError
from lightdata.io.sink import StagedFile
from lightdata.kernels.columns import cast_column, to_numpy
from lightdata.types.schema import Schema

PART_ROWS = 128
"""Rows of a part: some tens of megabytes of photos, and work for every core even where there are only some hundred."""

ROW_GROUP_BYTES = 16 << 20
"""Bytes of a Parquet row group; Parquet's own default counts rows, which are large here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetSink:
    """Parquet files; image and tensor columns keep their types, and untouched images the bytes of their files."""

    compression: str = "snappy"

    @property
    def is_numbered(self) -> bool:
        """Parts are numbered."""
        return True

    @property
    def task_rows(self) -> int:
        """One part a task."""
        return PART_ROWS

    def columns(self) -> None:
        """All columns are written."""

    def check(self, schema: Schema) -> None:
        """Parquet holds every column."""

    def write(self, batches: Iterator[pa.RecordBatch], staging: Path) -> Iterator[StagedFile]:
        """Write one part, if there are rows."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - a tenth of a second, only for those who write

        path = staging / f"{uuid.uuid4().hex}.parquet"
        writer, rows = None, 0
        for table in row_groups(batches):
            if writer is None:
                writer = pq.ParquetWriter(
                    path, table.schema, compression=self.compression, use_dictionary=_dictionary(table.schema)
                )
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            rows += table.num_rows
        if writer is not None:
            writer.close()
            yield StagedFile(str(path), None, rows, path.stat().st_size)

    def check_files(self, files: Sequence[StagedFile]) -> None:
        """Give all parts one schema: a column may have been only null in the first ones."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above

        schemas = [pq.read_schema(file.path) for file in files]
        kinds = {field.name: field.type for schema in schemas for field in schema if not pa.types.is_null(field.type)}
        for file, schema in zip(files, schemas, strict=True):
            wanted = [kinds.get(field.name, field.type) for field in schema]
            if wanted != schema.types:
                table = pq.read_table(file.path)
                columns = [
                    cast_column(column.combine_chunks(), kind, column=name)
                    for name, column, kind in zip(schema.names, table.columns, wanted, strict=True)
                ]
                pq.write_table(pa.table(columns, names=schema.names), file.path, compression=self.compression)

    def final_name(self, number: int) -> str:
        """Number the parts."""
        return f"part-{number:05d}.parquet"

    def __str__(self) -> str:
        return "parquet"


def row_groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Gather batches until they are worth a row group."""
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        if batch.num_rows:
            held.append(batch)
            size += batch.get_total_buffer_size()
        if size >= ROW_GROUP_BYTES:
            yield pa.Table.from_batches(held)
            held, size = [], 0
    if held:
        yield pa.Table.from_batches(held)


def _dictionary(schema: pa.Schema) -> list[str] | bool:
    """Text repeats itself; pixels do not, and looking for repeats in them takes long."""
    return [field.name for field in schema if pa.types.is_large_string(field.type)] or False


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpySink:
    """One ``.npy`` file a part, with one column: ``[N, ...]``."""

    column: str

    @property
    def is_numbered(self) -> bool:
        """Parts are numbered."""
        return True

    @property
    def task_rows(self) -> int:
        """One part a task."""
        return PART_ROWS

    def columns(self) -> tuple[str, ...]:
        """The one that is written."""
        return (self.column,)

    def check(self, schema: Schema) -> None:
        """Shapes are only known when rows are."""

    def write(self, batches: Iterator[pa.RecordBatch], staging: Path) -> Iterator[StagedFile]:
        """Write one part, if there are rows."""
        arrays = [self._array(batch) for batch in batches if batch.num_rows]
        if not arrays:
            return
        if len({array.shape[1:] for array in arrays}) > 1:
            raise self._ragged({array.shape[1:] for array in arrays})
        path = staging / f"{uuid.uuid4().hex}.npy"
        whole = np.concatenate(arrays)
        np.save(path, whole, allow_pickle=False)
        yield StagedFile(str(path), None, len(whole), path.stat().st_size)

    def check_files(self, files: Sequence[StagedFile]) -> None:
        """Refuse parts whose rows differ in shape: where rows are cut into parts is no business of the user's."""
        shapes = {np.load(file.path, mmap_mode="r", allow_pickle=False).shape[1:] for file in files}
        if len(shapes) > 1:
            raise self._ragged(shapes)

    def final_name(self, number: int) -> str:
        """Number the parts."""
        return f"part-{number:05d}.npy"

    def __str__(self) -> str:
        return f"numpy[{self.column}]"

    def _array(self, batch: pa.RecordBatch) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
        column = batch.column(self.column)
        if column.null_count:
            raise EncodeError(f"column {self.column!r} has nulls, which .npy cannot hold; drop or fill them first")
        if pa.types.is_large_string(column.type):
            return np.array(column.to_pylist(), dtype=str)
        array = to_numpy(column)
        if array.dtype == object:
            raise self._ragged({np.shape(row) for row in array})
        return array

    def _ragged(self, shapes: set[tuple[int, ...]]) -> EncodeError:
        examples = ", ".join(map(str, sorted(shapes)[:3]))
        return EncodeError(
            f"column {self.column!r} has rows of different shapes ({examples}), which .npy cannot hold; "
            f'give them one shape first, e.g. with ld.col("{self.column}").image.resize(height, width)'
        )
