"""Encoded bytes to images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from lightdata.config import config
from lightdata.errors import DecodeError
from lightdata.kernels.columns import pixels_to_column
from lightdata.kernels.decode import convert, decode_file, from_pillow, to_pillow, to_pixels
from lightdata.kernels.geometry import resize
from lightdata.kernels.header import read_header
from lightdata.physical.stage import Context, in_row_order, uri_of, with_column
from lightdata.types.image import (
    RAW,
    EncodedImage,
    ImageType,
    Payload,
    as_dynamic,
    binary_values,
    dynamic_images,
    iter_images,
    raw_image,
    raw_pixels,
)
from lightdata.types.plain_array import plain_array


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeImagesOperator:
    """Make images of bytes, in batches whose pixels take at most ``batch_bytes``.

    Where nothing has to be resized or checked, only headers are read and the column keeps the files' own bytes:
    pixels are made by whoever needs them.
    """

    column: str
    output_type: ImageType
    mode: str | None
    size: tuple[int, int] | None
    exif_transpose: bool
    on_error: str
    keep_pixels: bool
    """Whether somebody later looks at pixels, so that those decoded for a check are kept."""

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Decode the column of each batch."""
        for batch in batches:
            for decoded in in_row_order(batch, lambda rows: self._decoded_batch(rows, context)):
                yield from split_by_bytes(decoded, self.column)

    def _decoded_batch(self, batch: pa.RecordBatch, context: Context) -> pa.RecordBatch:
        payloads = enumerate(binary_values(batch.column(self.column)))
        images = [self._image(payload, batch, number, context) for number, payload in payloads]
        out = with_column(batch, self.column, self._array([image for image, _ in images]))
        if self.on_error != "skip":
            return out
        return out.filter(plain_array([ok for _, ok in images], pa.bool_()))

    def _image(
        self, payload: Payload | None, batch: pa.RecordBatch, number: int, context: Context
    ) -> tuple[EncodedImage | None, bool]:
        if payload is None:
            return None, True
        try:
            return self._decoded(payload), True
        except DecodeError as error:
            located = error.at(uri=uri_of(batch, number), row=number, stage=f"decode({self.column})")
            if self.on_error == "raise":
                raise located from error.__cause__
            context.failures.append(located)
            return None, False

    def _decoded(self, payload: Payload) -> EncodedImage:
        if self.size is None and self.exif_transpose:
            header = read_header(payload)
            if header.encoding == RAW:  # of a foreign format
                return header if self.mode is None else from_pillow(convert(to_pillow(header), self.mode))
            header = header if self.mode is None else header._replace(mode=self.mode)
            if self.on_error == "raise":
                return header
            pixels = to_pixels(header)
            return raw_image(pixels, header.mode) if self.keep_pixels else header
        image = decode_file(payload, self.mode, upright=self.exif_transpose)
        return from_pillow(image if self.size is None else resize(image, *self.size, "bilinear"))

    def _array(self, images: list[EncodedImage | None]) -> pa.Array:
        if not self.output_type.spec.is_fixed:
            return dynamic_images(images)
        return pixels_to_column([None if image is None else raw_pixels(image) for image in images], self.output_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToPixelsOperator:
    """Decode every image column, for a consumer that asks for pixels: workers do it, not the caller."""

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """Decode all image columns of each batch."""
        for batch in batches:
            yield from in_row_order(batch, self._decoded_batch)

    def _decoded_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        out = batch
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if isinstance(column.type, ImageType) and not column.type.spec.is_fixed:
                out = with_column(out, name, self._pixels(batch, name))
        return out

    def _pixels(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        images: list[EncodedImage | None] = []
        for number, image in enumerate(iter_images(as_dynamic(batch.column(name)))):
            try:
                images.append(None if image is None else raw_image(to_pixels(image), image.mode))
            except DecodeError as error:
                raise error.at(uri=uri_of(batch, number), row=number, stage=f"decode({name})") from error.__cause__
        return dynamic_images(images)


def split_by_bytes(batch: pa.RecordBatch, column: str) -> Iterator[pa.RecordBatch]:
    """Cut a batch so that the pixels of each part take at most ``batch_bytes``, or one image."""
    limit = config().batch_bytes
    start, size = 0, 0
    for number, image in enumerate(iter_images(batch.column(column))):
        nbytes = image.decoded_bytes if image is not None else 0
        if size + nbytes > limit and number > start:
            yield batch.slice(start, number - start)
            start, size = number, 0
        size += nbytes
    if start < batch.num_rows or not batch.num_rows:
        yield batch.slice(start)
