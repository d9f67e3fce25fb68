"""Arrays of numbers, text, booleans and bytes, without pandas.

``pa.array`` gives the same, but on its first use it imports pandas wherever that is installed: a second, in the calling
process and in every worker, before the first image is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

_POLARS: dict[pa.DataType, Any] = {
    pa.bool_(): pl.Boolean,
    pa.int32(): pl.Int32,
    pa.int64(): pl.Int64,
    pa.uint32(): pl.UInt32,
    pa.float32(): pl.Float32,
    pa.float64(): pl.Float64,
    pa.large_string(): pl.String,
}


def plain_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Build an array of Python values, ``None`` for null; bytes may be any buffers.

    >>> plain_array([b"ab", None, memoryview(b"c")], pa.large_binary()).to_pylist()
    [b'ab', None, b'c']
    """
    if pa.types.is_large_binary(kind):
        return _binary(values)
    if kind in _POLARS:
        return pl.Series(values, dtype=_POLARS[kind]).to_arrow()
    return pa.array(values, kind)


def _binary(values: Sequence[bytes | memoryview | None]) -> pa.Array:
    offsets = np.zeros(len(values) + 1, np.int64)
    np.cumsum([0 if value is None else len(value) for value in values], out=offsets[1:])
    content = b"".join(value for value in values if value is not None)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    if None in values:
        valid = np.array([value is not None for value in values])
        buffers[0] = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(pa.large_binary(), len(values), buffers)
