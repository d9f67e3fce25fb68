"""Arrays in ``.npy`` files, one row for each entry of their first axis; pickled objects are never loaded."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy
from numpy.typing import NDArray

from lightdata.errors import ArgumentError, DecodeError, SchemaError
from lightdata.io.files import FileSystem, Paths, are_local, as_paths, describe_paths, list_files
from lightdata.io.location import locate, read_error, read_file, read_head, regular_size
from lightdata.io.source import Bounds, Extent, Pushdowns, ReadTask
from lightdata.kernels.tally import tally
from lightdata.types.plain_array import number_array, repeated
from lightdata.types.schema import Schema
from lightdata.types.tensor import fixed_tensor_type, fixed_tensors

EXTENSIONS = ("npy",)

_HEAD_BYTES = 12 + 10_000
"""The longest header that NumPy takes from a file that is not trusted, and what comes before it."""


_VERSIONS = ((1, 0), (2, 0), (3, 0))


class Header(NamedTuple):
    """What the head of a file says of its array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool
    offset: int
    """Where the values start, in bytes."""

    @property
    def row(self) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """The dtype, in native byte order, and the shape of one row."""
        return self.dtype.newbyteorder("="), self.shape[1:]

    def __str__(self) -> str:
        return f"rows of {self.row[0]} {self.row[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpySource:
    """The rows of ``.npy`` files that agree in dtype and in the shape of a row; made by :meth:`open`."""

    paths: Paths
    """Files, folders or patterns."""

    first: Header | None
    """The header of the first file; ``None`` if there is no file."""

    filesystem: FileSystem = field(default=None, hash=False)
    """The filesystem of the paths, where they do not say it."""

    ignore_missing_paths: bool = False
    """Go on where a path does not exist, or nothing is found."""

    include_paths: bool = False
    """Add the column ``path``."""

    column: str = "data"
    """Name of the column of values."""

    @classmethod
    def open(
        cls,
        paths: Paths,
        *,
        filesystem: FileSystem = None,
        ignore_missing_paths: bool = False,
        include_paths: bool = False,
        column: str = "data",
    ) -> Self:
        """Make the source; reads the header of the first file.

        Raises
        ------
        ArgumentError
            If the first file is an archive or holds something other than numbers.
        """
        names = as_paths(paths)
        files = list_files(
            names, extensions=EXTENSIONS, filesystem=filesystem, ignore_missing_paths=ignore_missing_paths
        )
        first = next((read_header(file, filesystem) for file in files), None)
        return cls(
            paths=names,
            first=first,
            filesystem=filesystem,
            ignore_missing_paths=ignore_missing_paths,
            include_paths=include_paths,
            column=column,
        )

    @property
    def schema(self) -> Schema | None:
        """Numbers, or tensors of one shape; ``None`` if there is no file."""
        if self.first is None:
            return None
        dtype, shape = self.first.row
        values = fixed_tensor_type(dtype, shape) if shape else pa.from_numpy_dtype(dtype)
        return Schema({self.column: values, **({"path": pa.large_string()} if self.include_paths else {})})

    @property
    def rows_are_listed(self) -> bool:
        """The rows are in files."""
        return False

    def tasks(self, pushdowns: Pushdowns, *, task_rows: int) -> Iterator[ReadTask]:
        """Cut each file every ``task_rows`` rows; a remote file, which is read whole, is one task."""
        schema = self.schema
        if schema is None:
            return
        names = tuple(schema.names) if pushdowns.columns is None else pushdowns.columns
        left = pushdowns.n_rows
        for path, header in self._headers(left):
            rows = header.shape[0] if left is None else min(left, header.shape[0])
            left = None if left is None else left - rows
            step = task_rows if locate(path, self.filesystem).remote is None else max(rows, 1)
            for start in range(0, rows, step):
                yield NumpyTask(
                    path=path,
                    start=start,
                    stop=min(start + step, rows),
                    header=header,
                    value_column=self.column,
                    columns=names,
                    filesystem=self.filesystem,
                )

    def count(self, most: int | None = None) -> int:
        """Add up the rows that the headers say."""
        rows = sum(header.shape[0] for _, header in self._headers(most))
        return rows if most is None else min(rows, most)

    def extent(self) -> Extent:
        """Tell the rows of one file, whose header is known; of several, those that would fit into them."""
        if self.first is None or not are_local(self.paths, self.filesystem):
            return Extent()
        files = list(self._files())
        if len(files) == 1:
            return Extent(rows=self.first.shape[0])
        row_bytes = max(self.first.dtype.itemsize * prod(self.first.shape[1:]), 1)
        rows = sum(regular_size(locate(file, self.filesystem).path) // row_bytes for file in files)
        return Extent(rows=rows, is_exact=False)

    def bounds(self, columns: Sequence[str]) -> Bounds | None:  # noqa: ARG002 - headers say nothing of values
        """Tell the rows."""
        return Bounds(rows=self.count()) if are_local(self.paths, self.filesystem) else None

    def __str__(self) -> str:
        return f"numpy[{describe_paths(self.paths)}]"

    def _headers(self, n_rows: int | None) -> Iterator[tuple[str, Header]]:
        """Read headers until ``n_rows`` rows are known of."""
        for path in self._files() if n_rows != 0 else ():
            header = read_header(path, self.filesystem)
            if self.first is not None and header.row != self.first.row:
                raise SchemaError(f"{path} holds {header}; the first file holds {self.first}")
            yield path, header
            n_rows = None if n_rows is None else n_rows - header.shape[0]
            if n_rows is not None and n_rows <= 0:
                return

    def _files(self) -> Iterator[str]:
        ignore = self.ignore_missing_paths
        return list_files(self.paths, extensions=EXTENSIONS, filesystem=self.filesystem, ignore_missing_paths=ignore)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpyTask:
    """Some rows of one file."""

    path: str
    start: int
    stop: int
    header: Header
    """What the file held when the task was cut."""

    value_column: str
    columns: tuple[str, ...]
    filesystem: FileSystem

    def read(self) -> Iterator[pa.RecordBatch]:
        """Produce the rows as one batch."""
        columns = {"path": repeated(self.path, self.stop - self.start)}
        if self.value_column in self.columns:
            columns[self.value_column] = _column(self._rows())
        yield pa.RecordBatch.from_pydict(columns).select(list(self.columns))

    def _rows(self) -> NDArray[Any]:
        if read_header(self.path, self.filesystem) != self.header:
            raise DecodeError("the file has changed since it was listed", uri=self.path)
        try:
            values = self._values()
        except (OSError, ValueError) as error:
            raise read_error(error, self.path) from error
        # A copy: a view would keep the file mapped, and change with it.
        return np.array(values[self.start : self.stop], dtype=self.header.row[0], order="C")

    def _values(self) -> Any:
        location = locate(self.path, self.filesystem)
        if location.remote is None:
            values = np.load(location.path, mmap_mode="r", allow_pickle=False)
            tally("files_opened")
            tally("bytes_read", values[self.start : self.stop].nbytes)
            return values
        return np.load(io.BytesIO(read_file(self.path, self.filesystem)), allow_pickle=False)


def read_header(path: str, filesystem: FileSystem = None) -> Header:
    """Read the header of a ``.npy`` file and check it against the file's size.

    Raises
    ------
    ArgumentError
        If the file is an archive, or holds something other than numbers in rows.
    DecodeError
        If it is not a ``.npy`` file, or is shorter than its header says.
    """
    head, size = read_head(path, _HEAD_BYTES, filesystem)
    if head.startswith(b"PK\x03\x04") or path.lower().endswith(".npz"):
        raise ArgumentError(f"{path} is an .npz archive, which is not read; save each array as .npy")
    header = _parsed(head, path)
    if header.dtype.kind not in "biuf" or header.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise ArgumentError(f"{path} holds {header.dtype}; only booleans, integers and floats are read")
    if not header.shape or not all(header.shape[1:]):
        raise ArgumentError(f"{path} holds an array of shape {header.shape}, which has no rows of values")
    if header.dtype.kind == "b" and header.shape[1:]:
        raise ArgumentError(f"{path} holds tensors of bool, which Arrow has no view of; save them as uint8")
    needed = prod(header.shape) * header.dtype.itemsize
    if needed > size - header.offset:
        raise DecodeError(f"cut off: its values take {needed} bytes, {size - header.offset} are there", uri=path)
    return header


def _parsed(head: bytes, path: str) -> Header:
    stream = io.BytesIO(head)
    try:
        version = npy.read_magic(stream)
        if version not in _VERSIONS:
            raise ValueError(f"its version is {version}")  # noqa: TRY301 - one way to fail
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran_order, dtype = read(stream)
    except Exception as error:  # the header is Python text, and parsing it can fail in any way
        raise DecodeError(f"not a .npy file: {error}", uri=path) from error
    if min(shape, default=0) < 0:
        raise DecodeError(f"its header says shape {shape}", uri=path)
    return Header(dtype, tuple(shape), fortran_order, stream.tell())


def _column(rows: NDArray[Any]) -> pa.Array:
    return fixed_tensors(rows) if rows.ndim > 1 else number_array(rows)
