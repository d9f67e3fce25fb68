"""Encoded bytes to images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pyarrow as pa

from lightdata.config import batch_limit
from lightdata.errors import DecodeError, RowError
from lightdata.kernels.columns import pixels_to_column
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
    decode_into,
    decoded_column,
    opened,
)
from lightdata.kernels.header import read_header
from lightdata.kernels.raster import Raster
from lightdata.kernels.resize import resize
from lightdata.kernels.tally import row_in_hand
from lightdata.physical.operators.cut_pixels import cut_for_pixels, encoded_columns
from lightdata.physical.stage import Context, in_row_order, name_rows, uri_of, with_column
from lightdata.types.image import (
    DYNAMIC_STORAGE,
    RAW,
    EncodedImage,
    ImageArray,
    ImageType,
    Payload,
    binary_values,
    dynamic_images,
    images_of_fields,
    iter_images,
    raw_pixels,
)
from lightdata.types.plain_array import number_array, plain_array


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

    decodes: bool = False
    """Whether the next thing that is wanted is pixels: then each file is looked at once."""

    keeps_rows: ClassVar[bool] = True

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Decode the column of each batch."""
        for batch in batches:
            held = [batch]
            del batch  # else it would still be there while the next one is read
            yield from self._parts(held.pop(), context)

    def _parts(self, batch: pa.RecordBatch, context: Context) -> Iterator[pa.RecordBatch]:
        """Look at rows until their pixels would take too much, make a part of those, and go on."""
        most, part = batch_limit(), _Part(0)
        name_rows(batch)
        for number, held in enumerate(_values(batch.column(self.column))):
            row_in_hand(number)
            try:
                if self.on_error != "raise":
                    context.raise_lost()
                one = None if held is None else self._image(held)
            except (RowError, MemoryError) as error:
                one, located = None, self._located(batch, number, error)
                if self.on_error == "raise":
                    if part.images:
                        yield from self._part(batch, part, context)
                    raise located from error.__cause__
                part.failures.append(located)
            if one is not None and part.images and part.nbytes + one.nbytes > most:
                yield from self._part(batch, part, context)
                part = _Part(number)
                name_rows(batch)
            part.add(one)
        yield from self._part(batch, part, context)

    def _part(self, batch: pa.RecordBatch, part: _Part, context: Context) -> Iterator[pa.RecordBatch]:
        """Make the images of some rows; those before one that fails are passed on before the error is raised."""
        halves: tuple[_Part, ...] = ()
        made: list[tuple[pa.RecordBatch, list[RowError]]] = []
        try:
            made.append(self._made(batch, part))
        except MemoryError as error:  # for all of them at once; what was made of them goes with it
            halves = part.halves() or (self._without(batch, part, error),)
        except RowError as error:
            if before := part.images[: (error.row or 0) - part.start]:
                yield from self._part(batch, _Part(part.start, before), context)
            raise
        for half in halves:
            yield from self._part(batch, half, context)
        if made:
            context.failures += made[0][1]
            yield made.pop()[0]

    def _made(self, batch: pa.RecordBatch, part: _Part) -> tuple[pa.RecordBatch, list[RowError]]:
        """Make the images of some rows, and tell which of them failed."""
        failures = list(part.failures)

        def failed(number: int, error: DecodeError) -> None:
            located = self._located(batch, part.start + number, error)
            if self.on_error == "raise":
                raise located from error.__cause__
            failures.append(located)

        rows = batch.slice(part.start, len(part.images))
        name_rows(rows)
        made = with_column(rows, self.column, self._array(part.images, rows.column(self.column), failed))
        if self.on_error == "skip" and failures:
            lost = {failure.row for failure in failures}
            kept = [part.start + number not in lost for number in range(len(part.images))]
            made = made.filter(number_array(np.array(kept)))
        return made, sorted(failures, key=lambda failure: failure.row or 0)

    def _without(self, batch: pa.RecordBatch, part: _Part, error: MemoryError) -> _Part:
        """Let the only row of a part go, for which there is no memory."""
        located = self._located(batch, part.start, error)
        if self.on_error == "raise":
            raise located from error
        return _Part(part.start, [None], [located])

    def _located(self, batch: pa.RecordBatch, number: int, error: RowError | MemoryError) -> RowError:
        failure = DecodeError.of_memory(error) if isinstance(error, MemoryError) else error
        return failure.at(uri=uri_of(batch, number), row=number, stage=f"decode({self.column})")

    def _image(self, payload: Payload | EncodedImage) -> Opened:
        if isinstance(payload, EncodedImage):
            return Opened.of(payload)
        if self.exif_transpose:
            found = opened(payload, self.mode)
            if self.size is not None:
                decoded = to_smaller_raster(found.image, *self.size) or to_raster(found.image)
                return Opened.of(from_raster(resize(decoded, *self.size, "bilinear")))
            if found.image.encoding == RAW and self.mode is not None:  # of a foreign format
                return Opened.of(from_pillow(convert(to_pillow(read_header(payload)), self.mode)))
            return found
        image = Raster(decode_file(payload, self.mode, upright=False))
        return Opened.of(from_raster(image if self.size is None else resize(image, *self.size, "bilinear")))

    def _array(self, images: list[Opened | None], files: pa.Array, failed: OnFailure) -> pa.Array:
        if self.output_type.spec.is_fixed:
            return pixels_to_column(
                [None if one is None else raw_pixels(one.image) for one in images], self.output_type
            )
        if self.decodes or (self.on_error != "raise" and self.keep_pixels):
            return decoded_column(images, failed)
        checked = images if self.on_error == "raise" else [self._checked(*row, failed) for row in enumerate(images)]
        return _images_of(files, [one and one.image for one in checked])

    def _checked(self, number: int, one: Opened | None, failed: OnFailure) -> Opened | None:
        """Decode an image only to know whether it can be."""
        row_in_hand(number)
        try:
            if one is not None:
                decode_into(one, np.empty(one.nbytes, np.uint8))
        except DecodeError as error:
            failed(number, error)
            return None
        return one


def _values(column: pa.Array) -> Sequence[Payload | EncodedImage | None]:
    return iter_images(column) if isinstance(column, ImageArray) else binary_values(column)


@dataclass(slots=True)
class _Part:
    """Rows whose pixels are made together."""

    start: int
    """Of the batch."""

    images: list[Opened | None] = field(default_factory=list)
    failures: list[RowError] = field(default_factory=list)
    nbytes: int = 0

    def halves(self) -> tuple[_Part, ...]:
        """Cut it in two, if there is more than one row."""
        middle = len(self.images) // 2
        split = self.start + middle
        return (
            ()
            if not middle
            else (
                _Part(self.start, self.images[:middle], [one for one in self.failures if (one.row or 0) < split]),
                _Part(split, self.images[middle:], [one for one in self.failures if (one.row or 0) >= split]),
            )
        )

    def add(self, one: Opened | None) -> None:
        self.images.append(one)
        self.nbytes += 0 if one is None else one.nbytes


def _images_of(files: pa.Array, images: list[EncodedImage | None]) -> pa.Array:
    """Build a column of images; where they are all as their files have them, without a copy of these."""
    if isinstance(files, ImageArray):
        return files if images.count(None) == files.null_count else dynamic_images(images)
    if (
        None in images
        or files.type != pa.large_binary()
        or any(image.encoding == RAW for image in images if image is not None)
    ):
        return dynamic_images(images)
    _, encodings, *known = zip(*images, strict=True) if images else [()] * 5
    fields = [
        plain_array(values, kind.type) for values, kind in zip((encodings, *known), [*DYNAMIC_STORAGE][1:], strict=True)
    ]
    return images_of_fields([files, *fields])


@dataclass(frozen=True, slots=True, kw_only=True)
class ToPixelsOperator:
    """Decode every image column, for a consumer that asks for pixels: workers do it, not the caller."""

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """Decode all image columns of each batch."""
        return in_row_order(cut_for_pixels(batches), self._decoded_batch)

    def _decoded_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        out = batch
        for name in encoded_columns(batch):
            out = with_column(out, name, self._pixels(batch, name))
        return out

    def _pixels(self, batch: pa.RecordBatch, name: str) -> pa.Array:
        def failed(number: int, error: DecodeError) -> None:
            raise error.at(uri=uri_of(batch, number), row=number, stage=f"decode({name})") from error.__cause__

        images = [None if image is None else Opened.of(image) for image in iter_images(batch.column(name))]
        name_rows(batch)
        return decoded_column(images, failed)
