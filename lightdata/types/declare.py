"""Column types as users write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from lightdata.errors import ArgumentError
from lightdata.types.canonical import canonical_type
from lightdata.types.image import ImageType
from lightdata.types.image_spec import ImageSpec
from lightdata.types.schema import Schema
from lightdata.types.tensor import TensorType, fixed_tensor_type

_PYTHON_TYPES: dict[Any, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    str: pa.large_string(),
    bytes: pa.large_binary(),
    bool: pa.bool_(),
}


def image_type(mode: str | None = None, height: int | None = None, width: int | None = None) -> pa.DataType:
    """Give the type of an image column: of any images, or of one mode and size.

    >>> print(image_type("RGB", 224, 224))
    Image[RGB, 224x224]
    """
    return ImageType(ImageSpec(mode, height, width))


def tensor_type(dtype: str | type | np.dtype[Any], shape: Sequence[int] | None = None) -> pa.DataType:
    """Give the type of a tensor column: of any shapes, or of one.

    >>> print(tensor_type("float32"))
    Tensor[float32]
    """
    return TensorType(np.dtype(dtype)) if shape is None else fixed_tensor_type(np.dtype(dtype), shape)


def declared_schema(schema: Any) -> Schema | None:
    """Read what a user says a function returns.

    Raises
    ------
    ArgumentError
        If it is not a mapping of column to type.
    """
    match schema:
        case None:
            return None
        case Schema():
            return schema
        case pa.Schema():
            return Schema.of(schema)
        case Mapping():
            return Schema({str(name): declared_type(name, kind) for name, kind in schema.items()})
    raise ArgumentError(f"schema takes a mapping of column to type; got {schema!r}")


def declared_type(column: Any, kind: Any) -> pa.DataType:
    """Read one type: an Arrow or Polars type, a Python type, or what NumPy takes for a dtype."""
    if isinstance(kind, pa.DataType):
        return canonical_type(kind)
    if isinstance(kind, pl.DataType) or (isinstance(kind, type) and issubclass(kind, pl.DataType)):
        return Schema.from_polars({"": kind})[""]  # type: ignore[dict-item]  # Polars takes classes for types too
    if isinstance(kind, type) and kind in _PYTHON_TYPES:
        return _PYTHON_TYPES[kind]
    try:
        return canonical_type(pa.from_numpy_dtype(np.dtype(kind)))
    except (TypeError, pa.ArrowException) as error:
        raise ArgumentError(f"schema: {kind!r} is no type for column {column!r}") from error
