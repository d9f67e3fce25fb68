"""Many encoded images to one column of pixels, each decoded straight into the column's buffer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.config import batch_limit
from lightdata.errors import DecodeError
from lightdata.kernels.decode import to_pixels
from lightdata.kernels.header import read_header
from lightdata.kernels.jpeg import JpegHeader, decode_with_header, read_jpeg_header
from lightdata.kernels.tally import row_in_hand, tally
from lightdata.types.image import RAW, EncodedImage, ImageArray, Payload, images_of_fields
from lightdata.types.plain_array import number_array, plain_array, repeated

OnFailure = Callable[[int, DecodeError], None]
"""Is told which row could not be decoded, and why; if it does not raise, the row becomes null."""


class Opened(NamedTuple):
    """An image whose header was read."""

    image: EncodedImage
    nbytes: int
    """Bytes of its pixels."""

    jpeg: JpegHeader | None = None
    """What simplejpeg needs, where it may decode."""

    @classmethod
    def of(cls, image: EncodedImage) -> Opened:
        """Prepare a row of an image column for decoding; what it says of its size may not be true."""
        jpeg = read_jpeg_header(image.payload) if image.encoding == "jpeg" else None
        is_true = jpeg is not None and jpeg.size == (image.height, image.width)
        return cls(image, image.decoded_bytes, jpeg if is_true else None)


def opened(payload: Payload, mode: str | None = None) -> Opened:
    """Read the header of a file; ``mode`` is that to decode to, by default the one that keeps everything.

    Raises
    ------
    DecodeError
        If the header is not that of an image.
    """
    jpeg = read_jpeg_header(payload)
    if jpeg is None:
        header = read_header(payload)
        header = header if mode is None else header._replace(mode=mode)
        return Opened(header, header.decoded_bytes)
    tally("headers_read")
    image = EncodedImage(payload, "jpeg", mode or jpeg.mode, *jpeg.size)
    return Opened(image, image.decoded_bytes, jpeg)


def decoded_column(images: Sequence[Opened | None], on_failure: OnFailure) -> ImageArray:
    """Decode images into one column; null stays null.

    Raises
    ------
    MemoryError
        If there is no memory for all of them together.

    Examples
    --------
    >>> from lightdata.types.image import raw_image
    >>> decoded_column([Opened.of(raw_image(np.zeros((2, 3), np.uint8))), None], print).null_count
    1
    """
    room = np.empty(sum(one.nbytes for one in images if one is not None), np.uint8)
    end, ends, kept = 0, [0], []
    for number, one in enumerate(images):
        image = None if one is None else one.image
        if one is not None:
            row_in_hand(number)
            try:
                decode_into(one, room[end : end + one.nbytes])
                end += one.nbytes
            except DecodeError as error:
                on_failure(number, error)
                image = None
        ends.append(end)
        kept.append(image)
    return _column(room, ends, kept)


def decode_into(one: Opened, room: NDArray[np.uint8]) -> None:
    """Put the pixels of an image where they belong.

    Raises
    ------
    DecodeError
        If the image is broken, its pixels are not as many as its header says, or there is no memory for them.
    """
    image = one.image
    try:
        if one.jpeg is not None and decode_with_header(image.payload, one.jpeg, image.mode, out=room) is not None:
            return
        pixels = np.ascontiguousarray(to_pixels(image)).reshape(-1).view(np.uint8)
    except MemoryError as error:
        raise DecodeError.of_memory(error) from error
    if len(pixels) != len(room):
        raise DecodeError(f"the header tells {image.width}x{image.height} pixels, and the file has others")
    room[...] = pixels


def _column(pixels: NDArray[np.uint8], ends: list[int], images: list[EncodedImage | None]) -> ImageArray:
    count = len(images)
    payload = pa.Array.from_buffers(
        pa.large_binary(), count, [None, pa.py_buffer(np.array(ends, np.int64)), pa.py_buffer(pixels)]
    )
    valid = [image is not None for image in images]
    sizes = np.array([(0, 0) if image is None else (image.height, image.width) for image in images], np.int32)
    height, width = sizes.reshape(count, 2).T
    modes = {image.mode for image in images if image is not None}
    mode = (
        repeated(modes.pop(), count)
        if len(modes) == 1
        else plain_array(["" if image is None else image.mode for image in images], pa.large_string())
    )
    fields = [payload, repeated(RAW, count), mode, number_array(height), number_array(width)]
    return images_of_fields(fields, None if all(valid) else [not ok for ok in valid])


def cut_by_bytes(sizes: Sequence[int]) -> Iterator[slice]:
    """Cut rows so that each part takes at most as many bytes as a batch may, or one row.

    >>> list(cut_by_bytes([0, 0])), list(cut_by_bytes([]))
    ([slice(0, 2, None)], [slice(0, 0, None)])
    """
    limit = batch_limit()
    start, size = 0, 0
    for number, nbytes in enumerate(sizes):
        if size + nbytes > limit and number > start:
            yield slice(start, number)
            start, size = number, 0
        size += nbytes
    if start < len(sizes) or not sizes:
        yield slice(start, len(sizes))
