"""Rows for Hugging Face's ``datasets``: images as the bytes of files, tensors as its arrays, the rest as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from lightdata.errors import ArgumentError
from lightdata.kernels.encode import CODECS, encode_pixels
from lightdata.types.image import RAW, EncodedImage, ImageType, Payload, iter_images, raw_pixels
from lightdata.types.plain_array import number_array, plain_array
from lightdata.types.tensor import is_tensor, tensor_dtype, tensor_rows

_MOST_AXES = 5
"""Axes of the largest of its array features."""


def huggingface_dataset(table: pa.Table) -> Any:
    """Make a ``datasets.Dataset`` of a table.

    Raises
    ------
    ArgumentError
        If ``datasets`` is not installed.
    """
    try:
        import datasets  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise ArgumentError("to_huggingface needs datasets: pip install datasets") from None
    made = pa.table({name: _column(table.column(name), datasets) for name in table.schema.names})
    features = datasets.Features.from_arrow_schema(made.schema)
    for field in table.schema:
        if isinstance(field.type, ImageType):
            features[field.name] = datasets.Image()
    info = datasets.DatasetInfo(features=features)
    return datasets.Dataset(datasets.table.InMemoryTable(made.cast(features.arrow_schema)), info=info)


def _column(column: pa.ChunkedArray, datasets: Any) -> pa.ChunkedArray:
    if isinstance(column.type, ImageType):
        kind = datasets.Image().pa_type
        return pa.chunked_array([_files(chunk).cast(kind) for chunk in column.chunks], kind)
    if isinstance(column.type, pa.FixedShapeTensorType) and 1 < len(column.type.shape) <= _MOST_AXES:
        dtype, shape = tensor_dtype(column.type), tuple(column.type.shape)
        feature = getattr(datasets, f"Array{len(shape)}D")(shape=shape, dtype=dtype.name)()
        return pa.chunked_array([_arrays(chunk, feature, shape) for chunk in column.chunks], feature)
    if is_tensor(column.type):
        lists = [pa.array([None if row is None else row.tolist() for row in tensor_rows(c)]) for c in column.chunks]
        return pa.chunked_array(lists)
    return column


def _files(images: pa.Array) -> pa.Array:
    """Give each image as a file's bytes: its own, or PNG where it is held as pixels."""
    contents = plain_array([None if one is None else _file(one) for one in iter_images(images)], pa.large_binary())
    paths = pa.nulls(len(images), pa.string())
    return pa.StructArray.from_arrays([contents, paths], ["bytes", "path"], mask=images.is_null())


def _file(image: EncodedImage) -> Payload:
    if image.encoding != RAW:
        return image.payload
    codec = CODECS["png"] if image.mode in CODECS["png"].modes else CODECS["tiff"]
    return encode_pixels(raw_pixels(image), image.mode, codec)


def _arrays(tensors: pa.Array, feature: Any, shape: tuple[int, ...]) -> pa.Array:
    """Nest the values of tensors as lists of lists."""
    values: pa.Array = tensors.storage.flatten()
    rows = len(tensors) - tensors.null_count
    for depth in range(len(shape) - 1, 0, -1):
        values = _lists(values, np.full(rows * int(np.prod(shape[:depth])), shape[depth]))
    nested = _lists(values, np.where(tensors.is_valid().to_numpy(zero_copy_only=False), shape[0], 0), tensors.is_null())
    return pa.ExtensionArray.from_storage(feature, nested.cast(feature.storage_type))


def _lists(values: pa.Array, lengths: np.ndarray[Any, Any], mask: pa.Array | None = None) -> pa.Array:
    offsets = number_array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, values, mask=mask)
