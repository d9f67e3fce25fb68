"""The bytes of a row, from the types of its columns and, where they do not tell, from what was measured or a guess."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import pyarrow as pa

from lightdata.types.image import ImageType
from lightdata.types.schema import Schema
from lightdata.types.tensor import is_tensor

TEXT_BYTES = 32
"""Guess for a text or a value of bytes: a name, a path, a word."""

LIST_VALUES = 8
"""Guess for the length of a list."""

PIXEL_BYTES = 224 * 224 * 3
"""Guess for an image or a tensor of any size: what most models take."""


def row_bytes(schema: Schema, widths: Mapping[str, float]) -> float:
    """Add up the columns of a row.

    >>> row_bytes(Schema({"id": pa.int64(), "image": ImageType(), "name": pa.large_string()}), {"image": 1000.0})
    1040.0
    """
    return sum(_width(kind, widths.get(name)) for name, kind in schema.items())


def _width(kind: pa.DataType, measured: float | None) -> float:
    fixed = fixed_width(kind)
    if fixed is not None:
        return fixed
    return _guess(kind) if measured is None else measured


def fixed_width(kind: pa.DataType) -> float | None:
    """Give the bytes of every value of a type, or ``None`` where they differ.

    >>> fixed_width(pa.int16()), fixed_width(pa.bool_()), fixed_width(pa.large_string())
    (2.0, 0.125, None)
    """
    match kind:
        case ImageType(spec=spec):
            return float(spec.nbytes) if spec.is_fixed else None
        case pa.FixedShapeTensorType():
            return prod(kind.shape) * kind.value_type.bit_width / 8
        case pa.FixedSizeListType():
            value = fixed_width(kind.value_type)
            return None if value is None else kind.list_size * value
        case pa.StructType():
            parts = [fixed_width(one.type) for one in kind]
            return None if None in parts else sum(part for part in parts if part is not None)
    if pa.types.is_null(kind):
        return 0.0
    return kind.bit_width / 8 if pa.types.is_primitive(kind) or pa.types.is_decimal(kind) else None


def _guess(kind: pa.DataType) -> float:
    match kind:
        case pa.StructType():
            return sum(_width(one.type, None) for one in kind)
        case pa.LargeListType() | pa.ListType():
            return LIST_VALUES * _width(kind.value_type, None)
        case pa.FixedSizeListType():
            return kind.list_size * _width(kind.value_type, None)
    return PIXEL_BYTES if isinstance(kind, ImageType) or is_tensor(kind) else TEXT_BYTES
