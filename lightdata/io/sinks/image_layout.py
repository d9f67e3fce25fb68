"""How image columns lie in a table that is written: in our own type, or as Hugging Face has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lightdata.errors import ArgumentError, RowError, SchemaError
from lightdata.kernels.encode import codec_of, image_file, is_encoded_as
from lightdata.kernels.tally import row_in_hand
from lightdata.types.image import EncodedImage, ImageType, dynamic_images, iter_images
from lightdata.types.plain_array import plain_array
from lightdata.types.schema import Schema, describe
from lightdata.types.tensor import TensorType

_HUGGING_FACE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_STYLES = ("lightdata", "huggingface")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLayout:
    """What becomes of the images of a table.

    Raises
    ------
    ArgumentError
        For an unknown style or format.
    """

    style: str = "lightdata"
    """``lightdata`` keeps the extension type; ``huggingface`` is ``struct<bytes: binary, path: string>`` with the
    schema's metadata that makes it an ``Image`` feature."""

    image_format: str | None = None
    """The format that all images get; ``None`` keeps files, and in ``huggingface`` makes PNG of pixels."""

    def __post_init__(self) -> None:
        if self.style not in _STYLES:
            raise ArgumentError(f"image_layout is 'lightdata' or 'huggingface'; got {self.style!r}")
        if self.image_format is not None:
            codec_of(self.image_format)

    def check(self, schema: Schema, *, step: str) -> None:
        """Refuse columns that readers of this layout do not know.

        Raises
        ------
        SchemaError
            For tensors whose shapes differ.
        """
        for name, kind in schema.items():
            if self.style == "huggingface" and isinstance(kind, TensorType):
                raise SchemaError(
                    f"{step}: column {name!r} is {describe(kind)}, and image_layout='huggingface' holds tensors of one "
                    "shape only; give it one, or drop the column"
                )

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Lay out the images of a batch.

        Raises
        ------
        RowError
            If an image cannot have the format.
        """
        columns = [self._column(column, name) for name, column in zip(batch.schema.names, batch.columns, strict=True)]
        schema = pa.schema(
            [pa.field(name, column.type) for name, column in zip(batch.schema.names, columns, strict=True)],
            self._metadata(batch.schema),
        )
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _column(self, column: pa.Array, name: str) -> pa.Array:
        if not isinstance(column.type, ImageType):
            is_tensor = self.style == "huggingface" and isinstance(column.type, pa.FixedShapeTensorType)
            return _nested(column) if is_tensor else column
        if self.style == "lightdata" and self.image_format is None:
            return column
        images = [self._image(image, name, row) for row, image in enumerate(iter_images(column))]
        return dynamic_images(images) if self.style == "lightdata" else _hugging_face(images)

    def _image(self, image: EncodedImage | None, name: str, row: int) -> EncodedImage | None:
        codec = None if self.image_format is None else codec_of(self.image_format)
        if image is None or (codec is not None and is_encoded_as(image, codec)):
            return image
        row_in_hand(row)
        try:
            payload, _ = image_file(image, codec)
        except RowError as error:
            raise error.at(row=row, stage=f"encode({name})") from error.__cause__
        return image._replace(payload=payload, encoding=codec.name.lower() if codec else "")

    def _metadata(self, schema: pa.Schema) -> dict[bytes, bytes] | None:
        if self.style != "huggingface":
            return None
        features = {field.name: {"_type": "Image"} for field in schema if isinstance(field.type, ImageType)}
        return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def _hugging_face(images: list[EncodedImage | None]) -> pa.Array:
    payloads = plain_array([None if image is None else image.payload for image in images], pa.large_binary())
    return pa.StructArray.from_arrays(
        [payloads.cast(pa.binary()), pa.nulls(len(images), pa.string())],
        fields=list(_HUGGING_FACE),
        mask=plain_array([image is None for image in images], pa.bool_()),
    )


def _nested(column: Any) -> pa.Array:
    """Give tensors of one shape as lists of lists, which everybody reads."""
    array = column.storage
    values = array.values.slice(array.offset * array.type.list_size, len(array) * array.type.list_size)
    for size in reversed(column.type.shape[1:]):
        values = pa.FixedSizeListArray.from_arrays(values, size)
    mask = plain_array([not ok for ok in array.is_valid().to_pylist()], pa.bool_()) if array.null_count else None
    return pa.FixedSizeListArray.from_arrays(values, column.type.shape[0], mask=mask)
