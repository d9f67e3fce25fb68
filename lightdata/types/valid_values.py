"""Whether images and tensors that come from outside are what their types say; Arrow knows only how they are stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lightdata.config import Config
from lightdata.types.image import RAW, ImageType
from lightdata.types.image_spec import MODES
from lightdata.types.plain_array import plain_values
from lightdata.types.tensor import TensorType


def check_values(array: pa.Array) -> None:
    """Refuse images and tensors whose payloads do not have the bytes that shape, or mode and size, ask for.

    >>> from lightdata.types.tensor import tensors
    >>> check_values(tensors(np.zeros((2, 3))))

    Raises
    ------
    ValueError
        Naming the first row of the column for which that is so.
    """
    match array.type:
        case TensorType():
            _check_tensors(array)
        case ImageType(spec=spec) if spec.is_fixed:
            size = int(np.prod(spec.shape)) * spec.dtype.itemsize
            _refuse_first(array, _bytes_of(array.storage) != size, f"has a payload of another size than {size} bytes")
        case ImageType():
            _check_images(array)
        case pa.StructType():
            for child in array.flatten():
                check_values(child)
        case pa.LargeListType() | pa.FixedSizeListType():
            check_values(array.flatten())


def _check_tensors(array: pa.Array) -> None:
    payloads, shapes = array.storage.flatten()
    axes = plain_values(pc.list_value_length(shapes).fill_null(0)).astype(np.int64)
    sides = plain_values(shapes.flatten().fill_null(-1)).astype(np.float64)
    values = np.ones(len(array))
    with np.errstate(over="ignore", invalid="ignore"):
        if len(sides):
            values[axes > 0] = np.multiply.reduceat(sides, (np.cumsum(axes) - axes)[axes > 0])
    wrong = _any_null([shapes]) | (_bytes_of(payloads) != values * array.type.dtype.itemsize)
    for number in np.flatnonzero(sides < 0)[:1]:
        wrong[np.searchsorted(np.cumsum(axes), number, side="right")] = True
    _refuse_first(array, wrong, f"has a payload of another size than its shape asks for in {array.type.dtype}")


def _check_images(array: pa.Array) -> None:
    payloads, encodings, modes, heights, widths = fields = array.storage.flatten()
    height, width = (plain_values(sides.fill_null(-1)).astype(np.float64) for sides in (heights, widths))
    pixel_bytes = np.zeros(len(array))
    for mode, (dtype, channels) in MODES.items():
        pixel_bytes[_is(modes, mode)] = dtype.itemsize * channels
    wrong = _any_null(fields) | (np.minimum(height, width) < 0) | (pixel_bytes == 0)
    _refuse_first(array, wrong, "has no payload, encoding, mode, height or width that an image could have")
    is_raw = _is(encodings, RAW)
    wrong = is_raw & (_bytes_of(payloads) != height * width * pixel_bytes)
    _refuse_first(array, wrong, "has a payload of another size than its pixels have")
    most = Config().max_image_pixels
    _refuse_first(array, ~is_raw & (height * width > most), f"has more pixels than {most}, the most an image may have")


def _refuse_first(array: pa.Array, wrong: NDArray[np.bool_], words: str) -> None:
    rows = np.flatnonzero(wrong & plain_values(array.is_valid()))
    if len(rows):
        raise ValueError(f"row {rows[0]} {words}")


def _bytes_of(payloads: pa.Array) -> NDArray[Any]:
    return plain_values(pc.binary_length(payloads).fill_null(-1))


def _is(values: pa.Array, word: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = plain_values(pc.equal(values, word).fill_null(False))
    return found


def _any_null(columns: list[pa.Array]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.any([plain_values(column.is_null()) for column in columns], axis=0)
    return found
