"""Arrays in ``.npy`` and ``.npz`` files, one row for each entry of their first axis; nothing is ever unpickled.

The format is NumPy's NEP 1: a magic string, a version, a Python literal that tells dtype and shape, then the values.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy
from numpy.typing import NDArray

from lightdata.errors import ArgumentError, DecodeError, RowError, SchemaError
from lightdata.expr.expression import Expression
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.formats.archive import list_packed, opened_zip, unpacked
from lightdata.io.location import FileSystem, locate, read_error, read_file, read_head, read_range, regular_size
from lightdata.io.source import Bounds, Extent
from lightdata.kernels.limits import check_file_bytes
from lightdata.kernels.tally import tally
from lightdata.types.canonical import canonical_array, canonical_type
from lightdata.types.plain_array import number_array, plain_array
from lightdata.types.schema import Schema
from lightdata.types.tensor import MOST_VALUES, fixed_tensor_type, fixed_tensors

_HEAD_BYTES = 12 + 10_000
"""The longest header that NumPy takes from a file that is not trusted, and what comes before it."""

_VERSIONS = ((1, 0), (2, 0), (3, 0))
_NUMBERS = "biuf"
_TIMES = ("s", "ms", "us", "ns")


class Header(NamedTuple):
    """What the head of a file says of its array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool
    offset: int
    """Where the values start, in bytes."""

    @property
    def rows(self) -> int:
        """The entries of the first axis; an array of no axis is one row."""
        return self.shape[0] if self.shape else 1

    @property
    def row(self) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """The dtype, in native byte order, and the shape of one row."""
        return self.dtype.newbyteorder("="), self.shape[1:]

    @property
    def is_scattered(self) -> bool:
        """Whether the values of a row lie apart."""
        return self.fortran_order and len(self.shape) > 1

    def __str__(self) -> str:
        return f"rows of {self.row[0]} {self.row[1]}"


class _Rows(NamedTuple):
    """Some rows of a ``.npy`` file."""

    start: int
    stop: int
    header: Header
    """What the file held when it was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpyFormat(FileFormat):
    """``.npy`` files with rows of one dtype and shape, or ``.npz`` archives of arrays of one length."""

    column: str = "data"
    """Name of the column of values; arrays of an archive have names of their own."""

    first: tuple[tuple[str, Header], ...] | None = None
    """The columns of the first file."""

    @property
    def name(self) -> str:
        """As the package is called."""
        return "numpy"

    @property
    def extensions(self) -> tuple[str, ...]:
        """Arrays, and archives of arrays."""
        return ("npy", "npz")

    @property
    def schema(self) -> Schema | None:
        """Numbers, times, text, or tensors of one shape."""
        return None if self.first is None else Schema({name: column_type(header) for name, header in self.first})

    def learned(self, path: str, filesystem: FileSystem) -> Self:
        """Read the headers of a file."""
        return replace(self, first=tuple(self._headers(path, filesystem).items()))

    def parts(
        self,
        path: str,
        filesystem: FileSystem,
        *,
        rows: int,
        predicate: Expression | None,
    ) -> Iterator[Part]:
        """Cut an array every ``rows`` rows; an archive is one part."""
        headers = self._headers(path, filesystem)
        if self.first is not None:
            _check_same(headers, dict(self.first), path)
        if _is_archive(path):
            yield Part(_common_rows(headers, path))
            return
        header = headers[self.column]
        # Of a remote file in Fortran order no row can be had without the others.
        step = header.rows if header.is_scattered and locate(path, filesystem).remote is not None else rows
        for start in range(0, header.rows, max(step, 1)):
            stop = min(start + step, header.rows)
            yield Part(stop - start, _Rows(start, stop, header))

    def read(
        self, path: str, filesystem: FileSystem, part: Part, request: Request
    ) -> Iterator[pa.RecordBatch | RowError]:
        """Produce the rows of a part."""
        if part.key is not None:
            yield self._slice(path, filesystem, part.key, request)
            return
        arrays = _archived(path, filesystem, request.columns)
        rows = part.rows or 0
        counted = {"": pa.nulls(rows), **{name: to_column(array) for name, array in arrays.items()}}
        batch = pa.RecordBatch.from_pydict(counted).select(list(arrays))
        for start in range(0, rows, request.batch_rows):
            yield batch.slice(start, request.batch_rows)

    def count(self, path: str, filesystem: FileSystem) -> int:
        """Read what the header says."""
        return _common_rows(self._headers(path, filesystem), path)

    def extent(self, files: Sequence[str]) -> Extent:
        """Tell the rows of one file, whose header is known; of several, those that would fit into them."""
        if self.first is None or not files or any(_is_archive(path) for path in files):
            return Extent()
        header = self.first[0][1]
        if len(files) == 1:
            return Extent(rows=header.rows)
        row_bytes = max(header.dtype.itemsize * prod(header.shape[1:]), 1)
        return Extent(rows=sum(regular_size(path) // row_bytes for path in files), is_exact=False)

    def bounds(self, files: Sequence[str], columns: Sequence[str]) -> Bounds:
        """Tell the rows."""
        return Bounds(rows=sum(self.count(path, None) for path in files))

    def _headers(self, path: str, filesystem: FileSystem) -> dict[str, Header]:
        if _is_archive(path):
            return _archive_headers(path, filesystem)
        return {self.column: read_header(path, filesystem)}

    def _slice(self, path: str, filesystem: FileSystem, rows: _Rows, request: Request) -> pa.RecordBatch:
        if request.columns == ():
            return pa.RecordBatch.from_pydict({"": pa.nulls(rows.stop - rows.start)}).select([])
        if read_header(path, filesystem) != rows.header:
            raise DecodeError("the file has changed since it was listed", uri=path)
        try:
            values = _values(path, filesystem, rows)
        except (OSError, ValueError) as error:
            raise read_error(error, path) from error
        return pa.RecordBatch.from_pydict({self.column: to_column(values)})


def read_header(path: str, filesystem: FileSystem = None) -> Header:
    """Read the header of a ``.npy`` file and check it against the file's size.

    Raises
    ------
    ArgumentError
        If the file is an archive of another name, or holds what no column can.
    DecodeError
        If it is not a ``.npy`` file, or is shorter than its header says.
    """
    head, size = read_head(path, _HEAD_BYTES, filesystem)
    if head.startswith(b"PK\x03\x04"):
        raise ArgumentError(f"{path} is an archive of arrays; name it .npz to have it read")
    return _checked(_parsed(head, path), size, path)


def column_type(header: Header) -> pa.DataType:
    """Give the type of the column that an array becomes."""
    dtype, shape = header.row
    if dtype.kind in "US":
        return pa.large_string() if dtype.kind == "U" else pa.large_binary()
    return fixed_tensor_type(dtype, shape) if shape else canonical_type(pa.from_numpy_dtype(dtype))


def to_column(rows: NDArray[Any]) -> pa.Array:
    """Make a column of an array ``[N, ...]`` of a dtype that a header may say."""
    if rows.dtype.kind in "US":
        return plain_array(rows.tolist(), pa.large_string() if rows.dtype.kind == "U" else pa.large_binary())
    if rows.ndim > 1:
        return fixed_tensors(rows)
    column = number_array(rows)
    return canonical_array(column, canonical_type(column.type))


def _checked(header: Header, size: int, path: str) -> Header:
    dtype, shape = header.dtype, header.shape
    if not _is_held(dtype, len(shape)):
        raise ArgumentError(
            f"{path} holds {dtype} of shape {shape}; numbers and truth values are read, and plain columns of text, "
            "dates and times (s, ms, us, ns). Nothing is unpickled; save the fields of a structured array one by one"
        )
    if not all(shape[1:]):
        raise ArgumentError(f"{path} holds an array of shape {shape}, which has no rows of values")
    if dtype.kind == "b" and shape[1:]:
        raise ArgumentError(f"{path} holds tensors of bool, which Arrow has no view of; save them as uint8")
    if not dtype.itemsize:
        raise DecodeError(f"its {prod(shape):,} values of {dtype} take no bytes", uri=path)
    _check_length(header, size, path)
    if shape[0]:
        check_file_bytes(prod(shape[1:]) * dtype.itemsize, "a row", path)
    if prod(shape[1:]) > MOST_VALUES:
        raise ArgumentError(f"{path} holds an array of shape {shape}; a row has at most {MOST_VALUES} values")
    return header


def _check_length(header: Header, size: int, path: str) -> None:
    needed = prod(header.shape) * header.dtype.itemsize
    if needed > size - header.offset:
        raise DecodeError(f"cut off: its values take {needed} bytes, {size - header.offset} are there", uri=path)


def _is_held(dtype: np.dtype[Any], axes: int) -> bool:
    if dtype.kind in _NUMBERS:
        return dtype.itemsize <= np.dtype(np.float64).itemsize
    if dtype.kind in "mM":
        unit, count = np.datetime_data(dtype)
        is_day = unit == "D" and dtype.kind == "M"
        return (unit in _TIMES or is_day) and count == 1 and axes <= 1
    return dtype.kind in "US" and axes <= 1


def _parsed(head: bytes, path: str) -> Header:
    stream = io.BytesIO(head)
    try:
        version = npy.read_magic(stream)
        if version not in _VERSIONS:
            raise ValueError(f"its version is {version}")  # noqa: TRY301 - one way to fail
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it may be from Python 2, whose long integers are read, too
            shape, fortran_order, dtype = read(stream)
    except Exception as error:  # the header is Python text, and parsing it can fail in any way
        raise DecodeError(f"not a .npy file: {error}", uri=path) from error
    if min(shape, default=0) < 0:
        raise DecodeError(f"its header says shape {shape}", uri=path)
    return Header(dtype, tuple(shape), fortran_order, stream.tell())


def _values(path: str, filesystem: FileSystem, rows: _Rows) -> NDArray[Any]:
    """Read some rows: those bytes alone, unless they lie apart."""
    header, location = rows.header, locate(path, filesystem)
    count = (rows.stop - rows.start) * prod(header.shape[1:])
    offset = header.offset + rows.start * prod(header.shape[1:]) * header.dtype.itemsize
    if not header.is_scattered:
        if location.remote is None:
            tally("files_opened")
            tally("bytes_read", count * header.dtype.itemsize)
            values = np.fromfile(location.path, header.dtype, count, offset=offset)
        else:
            content = read_range(path, offset, offset + count * header.dtype.itemsize, filesystem)
            values = np.frombuffer(content, header.dtype, count)
        return _native(values.reshape(rows.stop - rows.start, *header.shape[1:]), header)
    if location.remote is None:
        tally("files_opened")
        whole: NDArray[Any] = np.memmap(location.path, header.dtype, "r", header.offset, header.shape, "F")
        tally("bytes_read", whole[rows.start : rows.stop].nbytes)
    else:
        whole = _array(header, read_file(path, filesystem))
    # A copy: a view would keep the file mapped, and change with it.
    return _native(whole[rows.start : rows.stop].copy(), header)


def _native(values: NDArray[Any], header: Header) -> NDArray[Any]:
    return np.ascontiguousarray(values, dtype=header.row[0])


def _is_archive(path: str) -> bool:
    return path.lower().endswith(".npz")


def _archive_headers(path: str, filesystem: FileSystem) -> dict[str, Header]:
    headers = {}
    with opened_zip(path, filesystem) as archive:
        for member in archive.infolist():
            with archive.open(member) as stream:
                head = stream.read(_HEAD_BYTES)
            name = f"{path}::{member.filename}"
            headers[_array_name(member.filename)] = _checked(_parsed(head, name), member.file_size, name)
    if not headers:
        raise DecodeError("the archive is empty", uri=path)
    return headers


def _archived(path: str, filesystem: FileSystem, columns: Sequence[str] | None) -> dict[str, NDArray[Any]]:
    arrays = {}
    for member in list_packed(path, filesystem):
        name = _array_name(member.name)
        if columns is None or name in columns:
            content, place = unpacked(path, filesystem, member), f"{path}::{member.name}"
            header = _checked(_parsed(content[:_HEAD_BYTES], place), len(content), place)
            arrays[name] = _array(header, content).reshape(header.rows, *header.shape[1:])
    return arrays


def array_in(content: bytes, name: str) -> NDArray[Any]:
    """Read the array of a ``.npy`` file that is held in memory.

    >>> stream = io.BytesIO()
    >>> np.save(stream, np.arange(3))
    >>> array_in(stream.getvalue(), "a.npy")
    array([0, 1, 2])

    Raises
    ------
    DecodeError
        If it is damaged, or holds what no column can.
    """
    header = _parsed(content[:_HEAD_BYTES], name)
    if header.dtype.kind not in f"{_NUMBERS}c":
        raise DecodeError(f"an array of {header.dtype}; numbers and truth values are read, and nothing is unpickled")
    _check_length(header, len(content), name)
    return _array(header, content)


def _array(header: Header, content: bytes) -> NDArray[Any]:
    values = np.frombuffer(content, header.dtype, prod(header.shape), header.offset)
    shaped = values.reshape(header.shape[::-1]).T if header.fortran_order else values.reshape(header.shape)
    return _native(shaped, header).reshape(header.shape)


def _array_name(member: str) -> str:
    return member.removesuffix(".npy")


def _common_rows(headers: dict[str, Header], path: str) -> int:
    rows = {name: header.rows for name, header in headers.items()}
    if len(set(rows.values())) > 1:
        raise SchemaError(f"{path}: its arrays have different lengths ({rows}); they are columns, one row an entry")
    return next(iter(rows.values()))


def _check_same(headers: dict[str, Header], first: dict[str, Header], path: str) -> None:
    if headers.keys() != first.keys():
        raise SchemaError(f"{path} holds {', '.join(headers)}; the first file holds {', '.join(first)}")
    for name, header in headers.items():
        # Text has the width of its longest value.
        if column_type(header) != column_type(first[name]):
            raise SchemaError(f"{path} holds {header}; the first file holds {first[name]}")
