"""Columns as whole NumPy arrays, never of objects: what has no array form is refused, with the way out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.errors import SchemaError
from lightdata.kernels.columns import to_numpy
from lightdata.types.image import ImageType
from lightdata.types.plain_array import plain_values
from lightdata.types.tensor import is_tensor


def joined_arrays(batches: Iterable[pa.RecordBatch]) -> dict[str, NDArray[Any]]:
    """Give the rows of batches as one array for each column.

    >>> joined_arrays([pa.record_batch({"a": pa.array([1])}), pa.record_batch({"a": pa.array([2])})])
    {'a': array([1, 2])}

    Raises
    ------
    SchemaError
        If a column has no array form, or its shapes differ.
    """
    parts: dict[str, list[NDArray[Any]]] = {}
    for batch in batches:
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            parts.setdefault(name, []).append(dense_array(column, name))
    return {name: _joined(arrays, name) for name, arrays in parts.items()}


def dense_array(column: pa.Array, name: str) -> NDArray[Any]:
    """Give a column as an array ``[N, ...]``; nulls among floats become NaN.

    >>> dense_array(pa.array([[1, 2], [3, 4]]), "pairs").shape
    (2, 2)

    Raises
    ------
    SchemaError
        If it has none, or there are nulls that no number stands for.
    """
    kind = column.type
    if isinstance(kind, ImageType) or is_tensor(kind):
        return _stacked(column, name)
    if pa.types.is_dictionary(kind):
        return dense_array(column.dictionary_decode(), name)
    if column.null_count and not pa.types.is_floating(kind):
        raise SchemaError(
            f"to_numpy: column {name!r} has nulls, which {kind} has no number for; fill them with fill_null(), drop "
            "them with drop_nulls(), or cast the column to a float, where they become NaN"
        )
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _from_lists(column, name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts(column, name)
    values = plain_values(column)
    if values.dtype == object:
        raise SchemaError(
            f"to_numpy: column {name!r} is {kind}, which has no array form; leave it out with drop(), make numbers of "
            "it, or use to_arrow()"
        )
    return values


def _stacked(column: pa.Array, name: str) -> NDArray[Any]:
    if column.null_count:
        raise SchemaError(f"to_numpy: column {name!r} has nulls; drop them with drop_nulls()")
    values = to_numpy(column)
    if values.dtype == object and not len(column):
        return np.empty(0, np.uint8)  # of no image, neither size nor mode is known
    if values.dtype == object:
        raise _ragged(name, {np.shape(value) for value in values})
    return values


def _from_lists(column: pa.Array, name: str) -> NDArray[Any]:
    import pyarrow.compute as pc  # noqa: PLC0415 - most columns hold no lists

    values = dense_array(column.flatten(), name)
    lengths = plain_values(pc.list_value_length(column))
    if len(np.unique(lengths)) > 1:
        raise _ragged(name, {(int(length),) for length in np.unique(lengths)})
    size = int(lengths[0]) if len(lengths) else getattr(column.type, "list_size", 0)
    return values.reshape(len(column), size, *values.shape[1:])


def _texts(column: pa.Array, name: str) -> NDArray[Any]:
    texts = column.to_pylist()
    values = np.array(texts, np.str_)
    if any(text.endswith("\0") for text in texts):
        raise SchemaError(f"to_numpy: a text of column {name!r} ends in NUL, which NumPy would lose; use to_arrow()")
    return values


def _joined(arrays: list[NDArray[Any]], name: str) -> NDArray[Any]:
    shapes = {array.shape[1:] for array in arrays if len(array)}
    if len(shapes) > 1:
        raise _ragged(name, shapes)
    return np.concatenate([array for array in arrays if len(array)] or arrays[:1])


def _ragged(name: str, shapes: set[Any]) -> SchemaError:
    some = ", ".join(map(str, sorted(shapes, key=str)[:3]))
    return SchemaError(
        f"to_numpy: the values of column {name!r} differ in shape ({some}, ...), so there is no one array of them; "
        "make them alike, e.g. with .image.resize(height, width) and .image.to_mode('RGB'), or use iter_batches()"
    )
