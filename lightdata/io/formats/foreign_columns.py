"""Columns of images and tensors as other libraries store them in Parquet.

Ray Data and Daft name theirs in the extension metadata of a field, Hugging Face datasets in the metadata of the file.
None of these types is registered: they are read as what they are stored in, and rebuilt here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from lightdata.types.image import EncodedImage, dynamic_images, raw_image
from lightdata.types.image_spec import MODES, pixel_shape
from lightdata.types.plain_array import number_array, plain_values
from lightdata.types.tensor import STORAGE, TensorType, fixed_tensor_type

_DAFT_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA", 5: "I;16"}
"""Daft's numbers of modes whose pixels are stored here too."""


class ForeignColumn(NamedTuple):
    """How a column is held here."""

    convert: Callable[[pa.Array], pa.Array]
    is_encoded_image: bool = False
    """Whether what it becomes are the bytes of image files."""


def foreign_column(field: pa.Field, metadata: Mapping[bytes, bytes]) -> ForeignColumn | None:
    """Find out what another library meant by a column; ``None`` where it is what it looks like.

    Parameters
    ----------
    field : pyarrow.Field
        As the file's schema has it, with the metadata of the field.
    metadata : mapping of bytes to bytes
        That of the schema.

    Raises
    ------
    ValueError
        If the metadata of the column are damaged.
    """
    told = field.metadata or {}
    parameters = told.get(b"ARROW:extension:metadata", b"").decode()
    match told.get(b"ARROW:extension:name", b"").decode():
        case "ray.data.arrow_tensor" | "ray.data.arrow_tensor_v2":
            shape = tuple(int(size) for size in json.loads(parameters))
            return ForeignColumn(lambda array: fixed_from_lists(array, shape))
        case "ray.data.arrow_variable_shaped_tensor":
            return ForeignColumn(tensors_from_lists)
        case "daft.super_extension":
            return _daft_column(json.loads(parameters).get("datatype"))
        case name if name.startswith("datasets.features.features.Array"):
            return _nested_column(json.loads(parameters)[0])
    feature = _features(metadata).get(field.name)
    if isinstance(feature, dict) and feature.get("_type") == "Image" and encoded_bytes(field.type) is not None:
        return ForeignColumn(bytes_of_images, is_encoded_image=True)
    return None


def encoded_bytes(kind: pa.DataType) -> pa.DataType | None:
    """Give the type of the bytes in a column of encoded images: bytes, or a struct with a field ``bytes``."""
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind)
    return kind if is_bytes else None


def bytes_of_images(array: pa.Array) -> pa.Array:
    """Take the bytes out of a column of encoded images.

    Raises
    ------
    ValueError
        If an image is named there, and lies elsewhere.
    """
    if not pa.types.is_struct(array.type):
        return array.cast(pa.large_binary())
    content = pc.struct_field(array, "bytes").cast(pa.large_binary())
    if array.type.get_field_index("path") >= 0 and content.null_count:
        paths = pc.struct_field(array, "path")
        elsewhere = pc.and_(pc.is_null(content), pc.is_valid(paths)).to_pylist()
        if any(elsewhere):
            row = elsewhere.index(True)
            raise ValueError(
                f"row {row} names the file {paths[row].as_py()!r} and does not hold its bytes; "
                "read the column as it is with image_columns=[], and the files with .uri.read()"
            )
    return content


def fixed_from_lists(array: pa.Array, shape: tuple[int, ...]) -> pa.Array:
    """Make tensors of one shape of lists of their values."""
    kind = fixed_tensor_type(np.dtype(array.type.value_type.to_pandas_dtype()), shape)
    return pa.ExtensionArray.from_storage(kind, array.cast(kind.storage_type))


def tensors_from_lists(array: pa.Array) -> pa.Array:
    """Make tensors of any shapes of structs of ``data``, a list of values, and ``shape``; values are not copied.

    Raises
    ------
    ValueError
        If there are more or fewer values than a shape says.
    """
    data, shapes = pc.struct_field(array, "data"), pc.struct_field(array, "shape")
    data = data.cast(pa.large_list(data.type.value_type))
    dtype = np.dtype(data.type.value_type.to_pandas_dtype())
    shapes = shapes.cast(pa.large_list(pa.int32()))
    for row, (count, shape) in enumerate(zip(pc.list_value_length(data).to_pylist(), shapes.to_pylist(), strict=True)):
        if count is not None and (min(shape, default=0) < 0 or int(np.prod(shape, dtype=object)) != count):
            raise ValueError(f"row {row} has {count} values and the shape {shape}")
    values = plain_values(data.values)
    offsets = plain_values(data.offsets) * dtype.itemsize
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(values))]
    payload = pa.Array.from_buffers(pa.large_binary(), len(array), buffers)
    storage = pa.StructArray.from_arrays([payload, shapes], fields=list(STORAGE), mask=array.is_null())
    return pa.ExtensionArray.from_storage(TensorType(dtype), storage)


def _daft_column(datatype: Any) -> ForeignColumn | None:
    match datatype:
        case {"Image": _}:
            return ForeignColumn(_daft_images)
        case {"FixedShapeTensor": [_, [*shape]]}:
            return ForeignColumn(lambda array: fixed_from_lists(array, tuple(shape)))
        case {"FixedShapeImage": [str(mode), int(height), int(width)]} if mode in MODES:
            pixels = pixel_shape(mode, height, width)
            return ForeignColumn(lambda array: fixed_from_lists(array, pixels))
        case {"Embedding": [_, int(size)]}:
            return ForeignColumn(lambda array: fixed_from_lists(array, (size,)))
        case {"Tensor": _}:
            return ForeignColumn(tensors_from_lists)
    return None


def _daft_images(array: pa.Array) -> pa.Array:
    images: list[EncodedImage | None] = []
    for number, row in enumerate(array):
        if not row.is_valid:
            images.append(None)
            continue
        mode = _DAFT_MODES.get(row["mode"].as_py())
        if mode is None:
            raise ValueError(f"row {number} has pixels of Daft's mode {row['mode'].as_py()}, which is not held")
        shape = pixel_shape(mode, row["height"].as_py(), row["width"].as_py())
        images.append(raw_image(plain_values(row["data"].values).astype(MODES[mode][0]).reshape(shape), mode))
    return dynamic_images(images)


def _nested_column(shape: list[int | None]) -> ForeignColumn | None:
    """Hugging Face's arrays: lists in lists; where a size is open they stay lists."""
    sizes = tuple(size for size in shape if size is not None)
    if len(sizes) < len(shape):
        return None

    def convert(array: pa.Array) -> pa.Array:
        flat = array
        for _ in shape:
            flat = flat.flatten()
        kind = fixed_tensor_type(np.dtype(flat.type.to_pandas_dtype()), sizes)
        if flat.null_count or len(flat) != (len(array) - array.null_count) * int(np.prod(sizes)):
            raise ValueError(f"its arrays have other shapes than {sizes}, which the file says")
        filled = np.zeros((len(array), int(np.prod(sizes))), kind.value_type.to_pandas_dtype())
        valid = plain_values(array.is_valid())
        filled[valid] = plain_values(flat).reshape(-1, filled.shape[1])
        storage = pa.FixedSizeListArray.from_arrays(
            number_array(filled.reshape(-1)),
            filled.shape[1],
            mask=number_array(~valid),
        )
        return pa.ExtensionArray.from_storage(kind, storage)

    return ForeignColumn(convert)


def _features(metadata: Mapping[bytes, bytes]) -> Mapping[str, Any]:
    """Read what Hugging Face datasets say of columns."""
    told = metadata.get(b"huggingface")
    info = {} if told is None else json.loads(told)
    features = info.get("info", {}).get("features", {}) if isinstance(info, dict) else {}
    return features if isinstance(features, dict) else {}
