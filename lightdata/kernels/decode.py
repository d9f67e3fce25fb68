"""Encoded bytes to pixels.

Pillow reads every format and is the reference. simplejpeg, where installed, decodes JPEG faster to the same pixels
and refuses whatever is cut or odd; Pillow then has the last word.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightdata.kernels.foreign import decode_foreign, foreign_format
from lightdata.kernels.header import decode_errors, open_image, orientation_of, read_header, stored_mode
from lightdata.kernels.tally import tally
from lightdata.types.image import RAW, EncodedImage, Payload, raw_pixels

try:
    import simplejpeg
except ImportError:  # an optional extra
    simplejpeg = None

_JPEG_COLORSPACES = {("Gray", "L"): "GRAY", ("Gray", "RGB"): "RGB", ("YCbCr", "RGB"): "RGB", ("RGB", "RGB"): "RGB"}
"""What a file holds and what is asked for, where both decoders agree: simplejpeg's word for the latter."""

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


def decode_jpeg(data: Payload, mode: str) -> NDArray[np.uint8] | None:
    """Decode an upright JPEG to ``[H, W]`` for grey as "L", ``[H, W, 3]`` for "RGB"; ``None`` leaves it to Pillow."""
    if simplejpeg is None or bytes(memoryview(data)[:2]) != b"\xff\xd8":
        return None
    try:
        _, _, colorspace, _ = simplejpeg.decode_jpeg_header(data, strict=True)
        if (colorspace, mode) not in _JPEG_COLORSPACES or has_exif(data):
            return None
        pixels = simplejpeg.decode_jpeg(data, _JPEG_COLORSPACES[colorspace, mode], strict=True)
    except ValueError:
        return None
    tally("images_decoded")
    return np.squeeze(pixels, axis=2) if pixels.shape[2] == 1 else pixels


def has_exif(data: Payload) -> bool:
    """Say whether a JPEG may have EXIF or XMP before its pixels, by walking its markers (ITU T.81, B.1).

    Both tell an orientation. Where markers are not plainly one after the other, Pillow shall look.
    """
    view = memoryview(data)
    at = 2
    while at + 10 <= len(view) and view[at] == 0xFF and view[at + 1] not in (0xDA, 0xD9):  # noqa: PLR2004 - markers
        if view[at + 1] in (0xE1, 0xFF):  # APP1, or a fill byte
            return True
        at += 2 + int.from_bytes(view[at + 2 : at + 4])
    return at + 10 <= len(view) and view[at] != 0xFF  # noqa: PLR2004 - no marker where one should be


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
    if image.encoding == RAW:
        return raw_pixels(image)
    if image.encoding == "jpeg" and (pixels := decode_jpeg(image.payload, image.mode)) is not None:
        return pixels
    return np.asarray(decode_file(image.payload, image.mode))


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


def from_pillow(image: Image.Image) -> EncodedImage:
    """Describe a Pillow image as a row of pixels."""
    kept = convert(image, stored_mode(image))
    return EncodedImage(np.asarray(kept).tobytes(), RAW, kept.mode, kept.height, kept.width)
