"""Encoded bytes to the frames they hold: one row for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from lightdata.config import batch_limit
from lightdata.errors import DecodeError, RowError
from lightdata.kernels.decode import to_pixels
from lightdata.kernels.frames import iter_frames
from lightdata.kernels.tally import row_in_hand
from lightdata.physical.stage import Context, in_halves, name_rows, uri_of, with_column
from lightdata.types.image import RAW, EncodedImage, Payload, binary_values, dynamic_images, raw_image
from lightdata.types.plain_array import plain_array


class _Frame(NamedTuple):
    """One row to be."""

    row: int
    """The row of the batch whose file it is of."""

    number: int
    image: EncodedImage | None

    @property
    def decoded_bytes(self) -> int:
        return 0 if self.image is None else self.image.decoded_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFramesOperator:
    """Make a row of each frame, in batches of at most ``batch_rows`` rows whose pixels take at most ``batch_bytes``.

    A file of one frame keeps its own bytes. Where a frame is broken, those before it are passed on, and one error
    stands for it and all after it.
    """

    column: str
    frame: str
    exif_transpose: bool
    on_error: str
    keep_pixels: bool
    """Whether somebody later looks at pixels, so that those decoded for a check are kept."""

    batch_rows: int

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Split the files of each batch."""
        for batch in batches:
            yield from self._split(batch, context)

    def _split(self, batch: pa.RecordBatch, context: Context) -> Iterator[pa.RecordBatch]:
        limit, size = batch_limit(), 0
        held: list[_Frame] = []
        try:
            for one in self._frames(batch, context):
                if held and (size + one.decoded_bytes > limit or len(held) == self.batch_rows):
                    yield from self._batches(batch, held)
                    held, size = [], 0
                held.append(one)
                size += one.decoded_bytes
        except RowError:
            if held:
                yield from self._batches(batch, held)
            raise
        yield from self._batches(batch, held)

    def _frames(self, batch: pa.RecordBatch, context: Context) -> Iterator[_Frame]:
        for row, payload in enumerate(binary_values(batch.column(self.column))):
            number = 0
            name_rows(batch)
            row_in_hand(row)
            try:
                if self.on_error != "raise":
                    context.raise_lost()
                for image in self._images(payload):
                    yield _Frame(row, number, image)
                    number += 1
                    name_rows(batch)
                    row_in_hand(row)
            except (RowError, MemoryError) as error:
                located = _of_frame(error, number).at(
                    uri=uri_of(batch, row), row=row, stage=f"split_frames({self.column})"
                )
                if self.on_error == "raise":
                    raise located from error.__cause__
                context.failures.append(located)
                if self.on_error == "null":
                    yield _Frame(row, number, None)

    def _images(self, payload: Payload | None) -> Iterator[EncodedImage | None]:
        if payload is None:
            yield None
            return
        for image in iter_frames(payload, upright=self.exif_transpose):
            if image.encoding == RAW or self.on_error == "raise":
                yield image
            else:
                pixels = to_pixels(image)
                yield raw_image(pixels, image.mode) if self.keep_pixels else image

    def _batches(self, batch: pa.RecordBatch, frames: list[_Frame]) -> Iterator[pa.RecordBatch]:
        return in_halves(frames, lambda some, _: self._batch(batch, some))

    def _batch(self, batch: pa.RecordBatch, frames: Sequence[_Frame]) -> pa.RecordBatch:
        without_bytes = with_column(batch, self.column, pa.nulls(batch.num_rows))
        rows = without_bytes.take(plain_array([one.row for one in frames], pa.int64()))
        out = with_column(rows, self.column, dynamic_images([one.image for one in frames]))
        return with_column(out, self.frame, plain_array([one.number for one in frames], pa.int64()))


def _of_frame(error: RowError | MemoryError, number: int) -> RowError:
    """Say which frame is broken, where it is not the only one."""
    failure = DecodeError.of_memory(error) if isinstance(error, MemoryError) else error.at()
    if number:
        cause = failure.cause
        failure = type(failure)(f"frame {number}: {failure.message}", cause=cause)
    return failure
