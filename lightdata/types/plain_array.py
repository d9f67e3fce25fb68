"""Arrays of numbers, text, booleans and bytes, without pandas.

``pa.array`` and ``to_numpy`` give the same, but on their first use they import pandas wherever that is installed: half
a second, in the calling process and in every worker, before the first image is read; and pyarrow loses a Ctrl-C that
comes meanwhile.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.interrupt import interrupts_deferred

_CODES = {
    pa.int32(): "i",
    pa.int64(): "q",
    pa.uint32(): "I",
    pa.float32(): "f",
    pa.float64(): "d",
}
"""How the standard library's arrays, which take nothing that does not fit, name numbers."""


def plain_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Build an array of Python values, ``None`` for null; bytes may be any buffers.

    >>> plain_array([b"ab", None, memoryview(b"c")], pa.large_binary()).to_pylist()
    [b'ab', None, b'c']
    """
    if pa.types.is_large_binary(kind):
        return _binary(values, kind)
    if pa.types.is_large_string(kind):
        return _binary([None if value is None else value.encode() for value in values], kind)
    if pa.types.is_boolean(kind):
        return _with_nulls(number_array(np.array([bool(value) for value in values], bool)), values)
    if kind in _CODES:
        numbers = array(_CODES[kind], [0 if value is None else value for value in values] if None in values else values)
        return _with_nulls(number_array(np.frombuffer(numbers, kind.to_pandas_dtype())), values)
    return any_array(values, kind)


def any_array(values: Any, kind: pa.DataType | None = None) -> pa.Array:
    """Build an array of whatever Arrow can hold, of the type that Arrow finds or of ``kind``.

    >>> any_array([{"a": 1}]).type
    StructType(struct<a: int64>)

    Raises
    ------
    ArrowException
        As Arrow does.
    """
    with interrupts_deferred():
        return pa.array(values, kind)


def number_array(values: NDArray[Any]) -> pa.Array:
    """Wrap one axis of an array; numbers of native byte order that lie side by side are not copied.

    >>> number_array(np.arange(3)).to_pylist()
    [0, 1, 2]
    """
    if values.dtype.kind == "b":
        bits = np.packbits(values, bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])
    if values.dtype.kind not in "iuf":
        return any_array(values)
    values = np.ascontiguousarray(values, values.dtype.newbyteorder("="))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def plain_values(column: pa.Array) -> NDArray[Any]:
    """Give a column as an array, as ``to_numpy`` does; numbers without nulls are a view that cannot be written to.

    >>> plain_values(pa.array([1, None]))
    array([ 1., nan])
    """
    kind = column.type
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        values = np.empty(len(column), object)
        values[:] = column.to_pylist()
        return values
    is_plain = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if not is_plain or column.null_count:
        with interrupts_deferred():
            return column.to_numpy(zero_copy_only=False)
    dtype = np.dtype(kind.to_pandas_dtype())
    if not len(column):
        return np.empty(0, dtype)
    values = column.buffers()[1]
    if dtype.kind == "b":
        bits = np.frombuffer(values, np.uint8)
        return np.unpackbits(bits, count=column.offset + len(column), bitorder="little")[column.offset :].view(bool)
    return np.frombuffer(values, dtype, count=len(column), offset=column.offset * dtype.itemsize)


def repeated(text: str, count: int) -> pa.Array:
    """Give a column of one text.

    >>> repeated("a", 2).to_pylist()
    ['a', 'a']
    """
    value = text.encode()
    offsets = np.arange(count + 1, dtype=np.int64) * len(value)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(value * count)]
    return pa.Array.from_buffers(pa.large_string(), count, buffers)


def borders_of(payload: pa.Array) -> NDArray[np.int64]:
    """Tell where the values of a column of large binary or large strings begin and end in its buffer.

    Of files from elsewhere buffers may be longer than they need to be, by any number of bytes.
    """
    if not len(payload):
        return np.zeros(1, np.int64)
    return np.frombuffer(payload.buffers()[1], np.int64, len(payload) + 1, payload.offset * 8)


def is_repeated(column: pa.Array) -> str | None:
    """Give the one text that all rows of a column of large strings have; ``None`` where there is none such.

    >>> is_repeated(repeated("a", 2)), is_repeated(pa.array(["a", "b"], pa.large_string()))
    ('a', None)
    """
    count = len(column)
    if not count or column.null_count:
        return None
    first = column[0].as_py()
    value = first.encode()
    ends, content = borders_of(column), column.buffers()[2]
    if not (np.diff(ends) == len(value)).all():
        return None
    return first if bytes(memoryview(content or b"")[ends[0] : ends[-1]]) == value * count else None


def _with_nulls(column: pa.Array, values: Sequence[Any]) -> pa.Array:
    if None not in values:
        return column
    return pa.Array.from_buffers(column.type, len(values), [_validity(values), column.buffers()[1]])


def _validity(values: Sequence[Any]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.array([value is not None for value in values]), bitorder="little"))


def _binary(values: Sequence[bytes | memoryview | None], kind: pa.DataType) -> pa.Array:
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum([0 if value is None else len(value) for value in values], out=offsets[1:])
    content = b"".join(value for value in values if value is not None)
    validity = _validity(values) if None in values else None
    return pa.Array.from_buffers(kind, len(values), [validity, pa.py_buffer(offsets), pa.py_buffer(content)])
