"""Write one column as NumPy files, in parts or as one array."""

from __future__ import annotations

import io
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.errors import EncodeError
from lightdata.io.sinks.durable import sync_to_disk
from lightdata.io.sinks.part_sizes import PartSizes
from lightdata.io.sinks.sink import StagedFile
from lightdata.kernels.columns import to_numpy
from lightdata.types.image import ImageType
from lightdata.types.schema import Schema
from lightdata.types.tensor import is_tensor, tensor_dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpySink:
    """One ``.npy`` file a part, with one column: ``[N, ...]``."""

    column: str
    sizes: PartSizes = field(default_factory=PartSizes)
    single: str | None = None
    """The name of the one file that all parts become at the end."""

    @property
    def is_numbered(self) -> bool:
        """Parts are numbered."""
        return self.single is None

    @property
    def task_rows(self) -> int:
        """One part a task, or a little more."""
        return self.sizes.task_rows

    def columns(self) -> tuple[str, ...]:
        """The one that is written."""
        return (self.column,)

    def check(self, schema: Schema) -> None:
        """Shapes are only known when rows are."""

    def write(self, batches: Iterator[pa.RecordBatch], staging: Path) -> Iterator[StagedFile]:
        """Write one part, or more, if there are rows; no more than a batch is held."""
        part: _Part | None = None
        for array in self._arrays(batches):
            if part is not None and array.shape[1:] != part.shape:
                raise self._ragged({array.shape[1:], part.shape})
            most = self._part_rows(array)
            start = 0
            while start < len(array):
                if part is not None and (part.rows == most or array.dtype != part.dtype):
                    yield part.finished()
                    part = None
                if part is None:
                    part = _Part(staging / f"{uuid.uuid4().hex}.npy", array.dtype, array.shape[1:])
                rows = array[start : start + most - part.rows]
                part.write(rows)
                start += len(rows)
        if part is not None:
            yield part.finished()

    def _arrays(self, batches: Iterator[pa.RecordBatch]) -> Iterator[NDArray[Any]]:
        arrays = (self._array(batch) for batch in batches if batch.num_rows)
        first = next(arrays, None)
        if first is None:
            return
        if first.dtype.kind == "U":  # as wide as the longest of all rows
            yield np.concatenate([first, *arrays])
            return
        yield first
        yield from arrays

    def check_files(self, files: Sequence[StagedFile]) -> None:
        """Refuse parts whose rows differ in shape: where rows are cut into parts is no business of the user's."""
        shapes = {_header(file.path).shape[1:] for file in files}
        if len(shapes) > 1:
            raise self._ragged(shapes)

    def final_name(self, number: int) -> str:
        """Number the parts."""
        return f"part-{number:05d}.npy"

    def joined(self, files: Sequence[StagedFile], staging: Path, schema: Schema | None) -> list[StagedFile]:
        """Make one file of all parts, by way of a memory map: its rows need not fit in memory.

        Raises
        ------
        EncodeError
            If parts differ in the shape of their rows.
        """
        self.check_files(files)
        parts = [_header(file.path) for file in files]
        rows = sum(file.rows for file in files)
        path = staging / f"{uuid.uuid4().hex}.npy"
        if rows:
            kind = np.result_type(*(part.dtype for part in parts))
            whole = np.lib.format.open_memmap(path, "w+", dtype=kind, shape=(rows, *parts[0].shape[1:]))
            start = 0
            for file in files:
                whole[start : start + file.rows] = _header(file.path)
                start += file.rows
            whole.flush()
        else:
            np.save(path, self._no_rows(None if schema is None else schema[self.column]), allow_pickle=False)
        sync_to_disk(path)
        name = str(self.single).replace("{", "{{").replace("}", "}}")
        return [StagedFile(str(path), name, rows, path.stat().st_size)]

    def __str__(self) -> str:
        return f"numpy[{self.column}]"

    def _part_rows(self, whole: NDArray[Any]) -> int:
        most = self.sizes.most_rows or sys.maxsize
        if self.sizes.max_file_bytes is not None:
            most = min(most, max(1, self.sizes.max_file_bytes // max(1, whole[0].nbytes)))
        return most

    def _no_rows(self, kind: pa.DataType | None) -> NDArray[Any]:
        """Give an array without rows, of the type and shape that are known."""
        match kind:
            case None:
                return np.empty(0)
            case ImageType(spec=spec):
                return np.empty((0, *spec.shape) if spec.is_fixed else 0, spec.dtype if spec.is_fixed else np.uint8)
            case pa.FixedShapeTensorType():
                return np.empty((0, *kind.shape), tensor_dtype(kind))
        if is_tensor(kind):
            return np.empty(0, tensor_dtype(kind))
        if pa.types.is_large_string(kind):
            return np.empty(0, dtype=str)
        return np.empty(0, kind.to_pandas_dtype())

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


_MOST_ROWS = 1 << 62
"""A number of rows that takes as much room in a header as any."""


class _Part:
    """A file whose rows come one batch after another; its header is written again when their number is known."""

    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.dtype, self.shape, self.rows = dtype, shape, 0
        self._path = path
        self._file = pa.OSFile(str(path), "wb")  # of Python's files, NumPy's errors do not tell the reason
        self._file.write(self._header(_MOST_ROWS))

    def write(self, rows: NDArray[Any]) -> None:
        """Add rows."""
        self._file.write(np.ascontiguousarray(rows).reshape(-1).view(np.uint8))
        self.rows += len(rows)

    def finished(self) -> StagedFile:
        """Write the header, and describe the file."""
        self._file.close()
        with open(self._path, "r+b") as file:
            file.write(self._header(self.rows))
        return StagedFile(str(self._path), None, self.rows, self._path.stat().st_size)

    def _header(self, rows: int) -> bytes:
        """Write the header (NEP 1, version 1.0) as long as that of any number of rows."""
        out = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            out,
            {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (rows, *self.shape)},
        )
        return out.getvalue()


def _header(path: str) -> NDArray[Any]:
    """Map a part, without reading its rows."""
    return np.load(path, mmap_mode="r", allow_pickle=False)
