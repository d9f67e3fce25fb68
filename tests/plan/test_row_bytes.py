"""Widths of types."""

import pyarrow as pa
import pytest

from lightdata.plan.row_bytes import LIST_VALUES, PIXEL_BYTES, TEXT_BYTES, fixed_width, row_bytes
from lightdata.types.image import ImageType
from lightdata.types.image_spec import ImageSpec
from lightdata.types.schema import Schema
from lightdata.types.tensor import TensorType


@pytest.mark.parametrize(
    ("kind", "width"),
    [
        (pa.int32(), 4),
        (pa.bool_(), 0.125),
        (pa.timestamp("us"), 8),
        (pa.decimal128(5, 1), 16),
        (pa.null(), 0),
        (ImageType(ImageSpec("RGB", 4, 5)), 60),
        (pa.fixed_shape_tensor(pa.float32(), (2, 3)), 24),
        (pa.struct({"a": pa.int8(), "b": pa.int16()}), 3),
        (pa.list_(pa.int16(), 3), 6),
    ],
)
def test_types_of_one_width(kind, width):
    """Every value of such a type has the same bytes, whatever was measured."""
    assert fixed_width(kind) == width
    assert row_bytes(Schema({"x": kind}), {"x": 1e9}) == width


@pytest.mark.parametrize(
    ("kind", "width"),
    [
        (pa.large_string(), TEXT_BYTES),
        (pa.large_list(pa.int64()), LIST_VALUES * 8),
        (pa.struct({"a": pa.int8(), "b": pa.large_string()}), 1 + TEXT_BYTES),
        (pa.list_(pa.large_string(), 3), 3 * TEXT_BYTES),
        (ImageType(), PIXEL_BYTES),
        (TensorType("uint8"), PIXEL_BYTES),
    ],
)
def test_types_of_any_width(kind, width):
    """Other values weigh what was measured, else what is guessed."""
    assert row_bytes(Schema({"x": kind}), {}) == width
    assert row_bytes(Schema({"x": kind}), {"x": 5.0}) == 5
