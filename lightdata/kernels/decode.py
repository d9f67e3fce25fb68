"""Encoded bytes to pixels.

Pillow reads every format and is the reference; JPEG files go another way where that gives the same pixels (see
:mod:`lightdata.kernels.jpeg`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightdata.kernels.foreign import decode_foreign, foreign_format
from lightdata.kernels.header import decode_errors, open_image, orientation_of, read_header, stored_mode
from lightdata.kernels.jpeg import decode_jpeg, decode_scaled, scale_for
from lightdata.kernels.raster import Raster
from lightdata.kernels.tally import tally
from lightdata.types.image import RAW, EncodedImage, Payload, raw_pixels

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""


def decode_file(data: Payload, mode: str | None = None, *, upright: bool = True) -> Image.Image:
    """Decode the first frame of an image file.

    Parameters
    ----------
    data : bytes-like
        The whole file.
    mode : str, optional
        The mode to convert to; by default the one that keeps everything (see :func:`stored_mode`).
    upright : bool
        Apply the EXIF orientation; TIFF files are always upright.

    Raises
    ------
    DecodeError
        If the file is broken, cut short or too large.
    """
    with decode_errors():
        image = loaded(open_image(data), mode, upright=upright)
        image.info.pop("transparency", None)  # pixels are all there is: a later conversion must not bring it back
        return image


def loaded(image: Image.Image, mode: str | None = None, *, upright: bool = True) -> Image.Image:
    """Decode the frame at hand of an opened file, as :func:`decode_file` does."""
    image.load()
    tally("images_decoded")
    turn = _UPRIGHT.get(orientation_of(image))  # asked after loading, which turns TIFF files upright
    image = convert(image, mode or stored_mode(image))
    return image.transpose(turn) if upright and turn is not None else image


def convert(image: Image.Image, mode: str) -> Image.Image:
    """Convert to a stored mode without clipping.

    16-bit and 32-bit grey are scaled by 1/256 on their way to 8 bits: Pillow would cut everything above 255.
    """
    if image.mode == mode:
        return image
    if image.mode.startswith("I;16") and mode == "I;16":
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    if image.mode.startswith("I") and mode in ("L", "LA", "RGB", "RGBA"):
        grey = np.asarray(image).astype(np.int64) >> 8
        return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert(mode)
    return image.convert(mode)


def to_pillow(image: EncodedImage) -> Image.Image:
    """Give one row of an image column as a Pillow image, upright."""
    if image.encoding != RAW:
        return decode_file(image.payload, image.mode)
    pixels = raw_pixels(image)
    return Image.fromarray(pixels)


def to_pixels(image: EncodedImage) -> NDArray[Any]:
    """Give one row of an image column as an array ``[H, W]`` or ``[H, W, C]``, upright.

    >>> from lightdata.types.image import raw_image
    >>> to_pixels(raw_image(np.zeros((2, 3), np.uint8))).shape
    (2, 3)
    """
    return to_raster(image).array()


def to_raster(image: EncodedImage) -> Raster:
    """Decode one row of an image column, upright, in whichever form is the faster.

    Raises
    ------
    DecodeError
        If the file is broken, cut short or too large.
    """
    if image.encoding == RAW:
        return Raster(raw_pixels(image), image.mode)
    pixels = decode_jpeg(image.payload, image.mode) if image.encoding == "jpeg" else None
    return Raster(decode_file(image.payload, image.mode) if pixels is None else pixels, image.mode)


def to_smaller_raster(image: EncodedImage, height: int, width: int) -> Raster | None:
    """Decode one row of an image column that is resized next, at a part of its size; ``None`` where that is no gain.

    Whether it is depends on the image and the size alone, so that equal queries give equal pixels.
    """
    if image.encoding != "jpeg" or scale_for((image.height, image.width), (height, width)) is None:
        return None
    smaller = decode_scaled(image.payload, image.mode, height, width)
    return None if smaller is None else Raster(smaller[0], image.mode, smaller[1])


def decode_pixels(data: Payload) -> NDArray[Any]:
    """Decode an image file of any format that can be read, upright, also to pixels that no image mode holds.

    For use in ``map``, where OpenEXR and Radiance HDR files in colour become tensors.

    Parameters
    ----------
    data : bytes-like
        The whole file.

    Returns
    -------
    array [H, W] or [H, W, C]
        As the file has them: float32 [H, W, 3] for HDR.

    Raises
    ------
    DecodeError
        If the file is broken, cut short or too large.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (4, 3)).save(file, "PNG")
    >>> decode_pixels(file.getvalue()).shape
    (3, 4, 3)
    """
    kind = foreign_format(data)
    return to_pixels(read_header(data)) if kind is None else decode_foreign(data, kind)[0]


def from_raster(image: Raster) -> EncodedImage:
    """Describe an image as a row of pixels; an array that lies side by side is not copied."""
    if image.held is None:
        return from_pillow(image.pillow())
    pixels: Any = np.ascontiguousarray(image.held)
    return EncodedImage(memoryview(pixels).cast("B"), RAW, image.mode, image.height, image.width)


def from_pillow(image: Image.Image) -> EncodedImage:
    """Describe a Pillow image as a row of pixels."""
    kept = convert(image, stored_mode(image))
    return EncodedImage(np.asarray(kept).tobytes(), RAW, kept.mode, kept.height, kept.width)
