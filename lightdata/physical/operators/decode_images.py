"""Encoded bytes to images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import pyarrow as pa

from lightdata.errors import DecodeError, RowError
from lightdata.kernels.columns import are_pixels, pixels_to_column
from lightdata.kernels.decode import (
    convert,
    decode_file,
    from_pillow,
    from_raster,
    to_pillow,
    to_raster,
    to_smaller_raster,
)
from lightdata.kernels.decode_column import (
    OnFailure,
    Opened,
    cut_by_bytes,
    decode_into,
    decoded_column,
    opened,
    reopened,
)
from lightdata.kernels.header import read_header
from lightdata.kernels.raster import Raster
from lightdata.kernels.resize import resize
from lightdata.physical.stage import Context, in_row_order, uri_of, with_column
from lightdata.types.image import RAW, ImageType, Payload, binary_values, dynamic_images, iter_images, raw_pixels
from lightdata.types.plain_array import number_array


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

    keeps_rows: ClassVar[bool] = True

    decodes: bool = False
    """Whether the next thing that is wanted is pixels: then each file is looked at once."""

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Decode the column of each batch."""
        for batch in batches:
            for part in in_row_order(batch, lambda rows: self._opened_batch(rows, context)):
                yield from part

    def _opened_batch(self, batch: pa.RecordBatch, context: Context) -> list[pa.RecordBatch]:
        failures: list[RowError] = []
        failed = partial(self._failed, batch, failures)
        lost = context.lost.pop() if context.lost and self.on_error != "raise" else None
        images: list[Opened | None] = [None]
        if lost is None:
            images = list(self._images(batch, failed))
        else:
            failed(0, lost)
        parts = []
        for rows in cut_by_bytes([one and one.image for one in images]):
            column = self._array(images[rows], partial(self._failed_after, rows.start, failed))
            parts.append(with_column(batch.slice(rows.start, len(column)), self.column, column))
        gone = {failure.row for failure in failures}
        context.failures += sorted(failures, key=lambda failure: failure.row or 0)
        if self.on_error != "skip" or not gone:
            return parts
        kept = number_array(np.array([row not in gone for row in range(batch.num_rows)]))
        starts = np.cumsum([0, *(part.num_rows for part in parts)])
        return [part.filter(kept.slice(start, part.num_rows)) for start, part in zip(starts, parts, strict=False)]

    def _failed(self, batch: pa.RecordBatch, failures: list[RowError], number: int, error: RowError) -> None:
        located = error.at(uri=uri_of(batch, number), row=number, stage=f"decode({self.column})")
        if self.on_error == "raise":
            raise located from error.__cause__
        failures.append(located)

    def _failed_after(self, start: int, failed: OnFailure, number: int, error: DecodeError) -> None:
        failed(start + number, error)

    def _images(self, batch: pa.RecordBatch, failed: OnFailure) -> Iterator[Opened | None]:
        for number, payload in enumerate(binary_values(batch.column(self.column))):
            try:
                yield None if payload is None else self._image(payload)
            except DecodeError as error:
                failed(number, error)
                yield None

    def _image(self, payload: Payload) -> Opened:
        if self.exif_transpose:
            found = opened(payload, self.mode)
            if self.size is not None:
                decoded = to_smaller_raster(found.image, *self.size) or to_raster(found.image)
                return Opened(from_raster(resize(decoded, *self.size, "bilinear")))
            if found.image.encoding == RAW and self.mode is not None:  # of a foreign format
                return Opened(from_pillow(convert(to_pillow(read_header(payload)), self.mode)))
            return found
        image = Raster(decode_file(payload, self.mode, upright=False))
        return Opened(from_raster(image if self.size is None else resize(image, *self.size, "bilinear")))

    def _array(self, images: list[Opened | None], failed: OnFailure) -> pa.Array:
        if self.output_type.spec.is_fixed:
            return pixels_to_column(
                [None if one is None else raw_pixels(one.image) for one in images], self.output_type
            )
        if self.decodes or (self.on_error != "raise" and self.keep_pixels):
            return decoded_column(images, failed)
        checked = images if self.on_error == "raise" else [self._checked(*row, failed) for row in enumerate(images)]
        return dynamic_images([one and one.image for one in checked])

    def _checked(self, number: int, one: Opened | None, failed: OnFailure) -> Opened | None:
        """Decode an image only to know whether it can be."""
        try:
            if one is not None:
                decode_into(one, np.empty(one.image.decoded_bytes, np.uint8))
        except DecodeError as error:
            failed(number, error)
            return None
        return one


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
            if isinstance(column.type, ImageType) and not column.type.spec.is_fixed and not are_pixels(column):
                out = with_column(out, name, self._pixels(batch, name))
        return out

    def _pixels(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        def failed(number: int, error: DecodeError) -> None:
            raise error.at(uri=uri_of(batch, number), row=number, stage=f"decode({name})") from error.__cause__

        images = [None if image is None else reopened(image) for image in iter_images(batch.column(name))]
        return decoded_column(images, failed)
