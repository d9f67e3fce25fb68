"""Values to Arrow columns and back: what users put in and take out of a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from lightdata.errors import DecodeError, SchemaError
from lightdata.kernels.decode import from_pillow, to_pixels
from lightdata.kernels.tally import row_in_hand
from lightdata.types.canonical import canonical_array, canonical_type
from lightdata.types.image import (
    RAW,
    EncodedImage,
    ImageType,
    as_dynamic,
    binary_view,
    dynamic_images,
    fixed_images,
    iter_images,
)
from lightdata.types.image_spec import MODES, mode_of, pixel_shape
from lightdata.types.plain_array import any_array, is_repeated, number_array, plain_array, plain_values
from lightdata.types.tensor import TensorType, fixed_tensors, is_tensor, tensor_rows, tensors


def column_from(values: Any, *, column: str) -> pa.Array:
    """Build a column from what a user's function gave for it.

    Arrays of numbers with more than one axis, and rows that are arrays, become tensors whose shapes may differ;
    Pillow images become images; anything else becomes what Arrow makes of it. Tensors of other libraries are taken
    by ``__array__``.

    Raises
    ------
    SchemaError
        If the values are not one for each row, or Arrow cannot hold them.

    Examples
    --------
    >>> column_from(np.zeros((2, 4, 4, 3), np.uint8), column="image").type.dtype
    dtype('uint8')
    """
    try:
        array = _column_from(values, column)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, SchemaError):
            raise
        raise SchemaError(f"column {column!r}: {error}") from error
    return canonical_array(array, canonical_type(array.type))


def _column_from(values: Any, column: str) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    if isinstance(values, pa.Array):
        return values
    if hasattr(values, "to_arrow"):  # Polars
        return values.to_arrow()
    if type(values).__module__.partition(".")[0] == "pandas" and str(values.dtype) not in ("object", "category"):
        return any_array(values)  # its missing values have no NumPy form
    if isinstance(values, str | bytes | dict) or not (hasattr(values, "__array__") or isinstance(values, Iterable)):
        raise SchemaError(f"column {column!r} must have one value for each row; got a single {type(values).__name__}")
    if hasattr(values, "__array__"):
        return _from_ndarray(as_ndarray(values), column)
    return _from_rows(list(values))


def as_ndarray(value: Any) -> NDArray[Any]:
    """Take an array out of anything that has one, tensors that track gradients included."""
    return np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)


def _from_ndarray(array: NDArray[Any], column: str) -> pa.Array:
    if array.ndim == 0:
        raise SchemaError(f"column {column!r} must have one value for each row; got a single {array.dtype} value")
    if array.dtype == object:
        return _from_rows(list(array))
    if array.ndim == 1 or array.dtype.kind not in "biufc":
        return any_array(array.tolist()) if array.dtype.kind in "US" or array.ndim > 1 else number_array(array)
    return tensors(array)


def _from_rows(rows: Sequence[Any]) -> pa.Array:
    present = [row for row in rows if row is not None]
    if present and all(isinstance(row, Image.Image) for row in present):
        return dynamic_images([None if row is None else from_pillow(row) for row in rows])
    if present and all(isinstance(row, EncodedImage) for row in present):
        return dynamic_images(rows)
    if present and all(hasattr(row, "__array__") for row in present):
        arrays = [None if row is None else as_ndarray(row) for row in rows]
        if any(array is not None and array.ndim for array in arrays):
            return tensors(arrays)
        return any_array([None if array is None else _python_value(array) for array in arrays])
    return any_array(rows)


def _python_value(array: NDArray[Any]) -> Any:
    return array[()] if array.dtype.kind in "mM" else array.item()  # times in nanoseconds would become integers


def cast_column(array: pa.Array, kind: pa.DataType, *, column: str) -> pa.Array:
    """Give a column a declared type, without loss.

    Raises
    ------
    SchemaError
        If the values do not fit.
    """
    if array.type.equals(kind):
        return array
    if not _is_kin(array.type, kind):
        raise SchemaError(f"column {column!r} is {array.type} and cannot be {kind}: it is another kind of value")
    try:
        if pa.types.is_null(array.type):
            return pa.nulls(len(array), kind)
        if isinstance(kind, ImageType):
            return _cast_images(array, kind)
        if is_tensor(kind) and is_tensor(array.type):
            return _cast_tensors(array, kind)
        return canonical_array(array, kind)
    except (pa.ArrowException, SchemaError, ValueError) as error:
        raise SchemaError(f"column {column!r} is {array.type} and cannot be {kind} without loss: {error}") from error


def _is_kin(given: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values are of one kind, so that text never quietly becomes numbers, nor numbers text."""
    is_text, is_number = (pa.types.is_string, pa.types.is_large_string), (pa.types.is_integer, pa.types.is_floating)
    texts = [any(test(kind) for test in is_text) for kind in (given, wanted)]
    numbers = [any(test(kind) for test in is_number) for kind in (given, wanted)]
    return texts[0] == texts[1] or pa.types.is_null(given) or not any(numbers)


def _cast_images(array: pa.Array, kind: ImageType) -> pa.Array:
    if isinstance(array.type, ImageType) and not kind.spec.is_fixed:
        return as_dynamic(array)
    rows = [row[..., 0] if row is not None and row.shape[2:] == (1,) else row for row in pixel_rows(array)]
    if not kind.spec.is_fixed:
        return dynamic_images([None if row is None else from_pillow(Image.fromarray(row)) for row in rows])
    wrong = [row.shape for row in rows if row is not None and row.shape != kind.spec.shape]
    if wrong or None in [mode_of(row.shape, row.dtype) for row in rows if row is not None]:
        raise SchemaError(f"an image of shape {wrong[:1]} is not {kind}")
    return pixels_to_column(rows, kind)


def _cast_tensors(array: pa.Array, kind: pa.DataType) -> pa.Array:
    rows = tensor_rows(array)
    if isinstance(kind, TensorType):
        if not np.can_cast(next((row.dtype for row in rows if row is not None), kind.dtype), kind.dtype, "safe"):
            raise SchemaError(f"{array.type} does not fit {kind}")
        return tensors(rows, kind.dtype) if rows else pa.nulls(0, kind)
    if None in [row if row is None else 0 for row in rows]:
        raise SchemaError("a column of one shape cannot be made of null tensors")
    wanted = kind.value_type.to_pandas_dtype()
    if any(row is not None and (row.shape != tuple(kind.shape) or not np.can_cast(row.dtype, wanted)) for row in rows):
        raise SchemaError(f"{array.type} does not fit {kind}")
    return fixed_tensors(np.stack(rows).astype(wanted)) if rows else pa.nulls(0, kind)  # type: ignore[arg-type]


def pixels_to_column(rows: Sequence[NDArray[Any] | None] | NDArray[Any], kind: ImageType) -> pa.Array:
    """Build a fixed image column from arrays of its shape; one array of them all is not copied."""
    spec = kind.spec
    if isinstance(rows, np.ndarray):
        return fixed_images(rows, str(spec.mode))
    if None not in [row if row is None else 0 for row in rows]:
        pixels = np.stack(rows) if rows else np.empty((0, *spec.shape), spec.dtype)  # type: ignore[arg-type]
        return fixed_images(pixels, str(spec.mode))
    payload = plain_array([None if row is None else row.tobytes() for row in rows], pa.large_binary())
    return pa.ExtensionArray.from_storage(kind, payload)


def column_of(rows: Sequence[NDArray[Any] | None] | NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Build a column of a known type from ``[N, ...]``, or one array (or ``None``) a row: images, tensors, numbers."""
    if isinstance(kind, ImageType):
        return pixels_to_column(rows, kind)
    if isinstance(rows, np.ndarray) and isinstance(kind, pa.FixedShapeTensorType):
        return fixed_tensors(rows)
    if isinstance(kind, TensorType):
        return tensors(rows, kind.dtype)
    if not isinstance(kind, pa.FixedShapeTensorType):
        return plain_array([None if row is None else row.item() for row in rows], kind)
    blank = np.zeros(tuple(kind.shape), kind.value_type.to_pandas_dtype())
    filled = fixed_tensors(np.stack([blank if row is None else row for row in rows]) if rows else blank[np.newaxis][:0])
    missing = plain_array([row is None for row in rows], pa.bool_())
    if not missing.true_count:
        return filled
    storage = pa.FixedSizeListArray.from_arrays(filled.storage.values, kind.storage_type.list_size, mask=missing)
    return pa.ExtensionArray.from_storage(kind, storage)


def pixel_rows(array: pa.Array, start: int = 0) -> list[NDArray[Any] | None]:
    """Decode every row of an image or tensor column: ``[H, W]`` or ``[H, W, C]``, ``None`` where it is null.

    ``start`` is the number of the first row in the batch that they are of.

    Raises
    ------
    DecodeError
        Naming the row.
    """
    if is_tensor(array.type):
        return tensor_rows(array)
    rows: list[NDArray[Any] | None] = []
    for number, image in enumerate(iter_images(array)):
        row_in_hand(start + number)
        try:
            rows.append(None if image is None else to_pixels(image))
        except DecodeError as error:
            raise error.at(row=number) from error.__cause__
    return rows


def to_numpy(array: pa.Array) -> NDArray[Any]:
    """Give a column as a NumPy array that may be written to.

    Images and tensors of one shape are stacked ``[N, ...]``; where shapes differ or a row is null, the result is an
    array of objects, one array (or ``None``) a row.
    """
    if isinstance(array.type, ImageType) or is_tensor(array.type):
        has_one_shape = isinstance(array.type, pa.FixedShapeTensorType) or (
            isinstance(array.type, ImageType) and array.type.spec.is_fixed
        )
        if has_one_shape and not array.null_count:
            return np.array(array.to_numpy_ndarray())
        stacked = None if is_tensor(array.type) else _equal_pixels(array)
        return _stacked(pixel_rows(array)) if stacked is None else stacked
    if pa.types.is_nested(array.type) or isinstance(array.type, pa.BaseExtensionType):
        with _python_values(array.type):
            return as_objects(array.to_pylist())
    return np.array(plain_values(array))


def are_pixels(array: pa.Array) -> bool:
    """Whether a column that may hold any images holds decoded ones alone, and no null."""
    return not array.null_count and is_repeated(array.storage.field("encoding")) == RAW


def _equal_pixels(array: pa.Array) -> NDArray[Any] | None:
    """Copy decoded images of one mode and size in one go; ``None`` if that is not what they are."""
    if not len(array) or not are_pixels(array):
        return None
    payload, _, modes, *sizes = array.storage.flatten()
    heights, widths = map(plain_values, sizes)
    mode = is_repeated(modes)
    if mode is None or (heights != heights[0]).any() or (widths != widths[0]).any():
        return None
    return np.array(binary_view(payload, MODES[mode][0], pixel_shape(mode, int(heights[0]), int(widths[0]))))


def _stacked(rows: list[NDArray[Any] | None]) -> NDArray[Any]:
    shapes = {None if row is None else (row.shape, row.dtype) for row in rows}
    return np.stack(rows) if len(shapes) == 1 and None not in shapes else as_objects(rows)  # type: ignore[arg-type]


def as_objects(values: Sequence[Any]) -> NDArray[Any]:
    """Put values in an array of objects, even where they are arrays of one shape."""
    objects = np.empty(len(values), object)
    for number, value in enumerate(values):
        objects[number] = value
    return objects


def value_at(array: pa.Array, row: int, *, column: str) -> Any:
    """Give one value as Python has it; an image or tensor as an array of its own that may be written to.

    Raises
    ------
    DecodeError
        If the image cannot be decoded, or Python has no such value.
    """
    if isinstance(array.type, ImageType):
        row_in_hand(row)
        image = iter_images(array.slice(row, 1))[0]
        return None if image is None else np.array(to_pixels(image))
    if is_tensor(array.type):
        values = tensor_rows(array.slice(row, 1))[0]
        return None if values is None else np.array(values)
    with _python_values(array.type, f"column {column!r}: "):
        return array[row].as_py()


@contextmanager
def _python_values(kind: pa.DataType, place: str = "") -> Iterator[None]:
    """Tell of values that Arrow has and Python has not: years beyond 9999, time zones that nobody knows."""
    try:
        yield
    except (OverflowError, ValueError, pa.ArrowException) as error:
        words = f"{place}a value of {kind} that Python has not: {error}; take columns, as collect() does"
        raise DecodeError(words) from error
