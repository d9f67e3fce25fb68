"""Arrays of numbers, text, booleans and bytes, without pandas.

``pa.array`` and ``to_numpy`` give the same, but on their first use they import pandas wherever that is installed: half
a second, in the calling process and in every worker, before the first image is read; and pyarrow loses a Ctrl-C that
comes meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.interrupt import interrupts_deferred

_POLARS = {
    pa.bool_(): "Boolean",
    pa.int32(): "Int32",
    pa.int64(): "Int64",
    pa.uint32(): "UInt32",
    pa.float32(): "Float32",
    pa.float64(): "Float64",
    pa.large_string(): "String",
}
"""Polars' dtypes for what it builds faster than Arrow, by name."""


def plain_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Build an array of Python values, ``None`` for null; bytes may be any buffers.

    >>> plain_array([b"ab", None, memoryview(b"c")], pa.large_binary()).to_pylist()
    [b'ab', None, b'c']
    """
    if pa.types.is_large_binary(kind):
        return _binary(values)
    if kind in _POLARS:
        import polars as pl  # noqa: PLC0415 - to know the types, as an import of pyarrow does, takes no Polars

        return pl.Series(values, dtype=getattr(pl, _POLARS[kind])).to_arrow()
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


def plain_values(array: pa.Array) -> NDArray[Any]:
    """Give a column as an array, as ``to_numpy`` does; numbers without nulls are a view that cannot be written to.

    >>> plain_values(pa.array([1, None]))
    array([ 1., nan])
    """
    kind = array.type
    is_plain = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if not is_plain or array.null_count:
        with interrupts_deferred():
            return array.to_numpy(zero_copy_only=False)
    dtype = np.dtype(kind.to_pandas_dtype())
    if not len(array):
        return np.empty(0, dtype)
    values = array.buffers()[1]
    if dtype.kind == "b":
        bits = np.frombuffer(values, np.uint8)
        return np.unpackbits(bits, count=array.offset + len(array), bitorder="little")[array.offset :].view(bool)
    return np.frombuffer(values, dtype, count=len(array), offset=array.offset * dtype.itemsize)


def repeated(text: str, count: int) -> pa.Array:
    """Give a column of one text.

    >>> repeated("a", 2).to_pylist()
    ['a', 'a']
    """
    import polars as pl  # noqa: PLC0415 - to know the types, as an import of pyarrow does, takes no Polars

    return pl.repeat(text, count, dtype=pl.String, eager=True).to_arrow()


def _binary(values: Sequence[bytes | memoryview | None]) -> pa.Array:
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum([0 if value is None else len(value) for value in values], out=offsets[1:])
    content = b"".join(value for value in values if value is not None)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    if None in values:
        valid = np.array([value is not None for value in values])
        buffers[0] = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(pa.large_binary(), len(values), buffers)
