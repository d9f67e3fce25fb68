"""JPEG files by simplejpeg, wherever it gives the pixels that Pillow gives; whoever gets ``None`` asks Pillow.

simplejpeg drives libjpeg-turbo as Pillow does, and refuses whatever is cut or odd. What it does not do, reading the
EXIF orientation, is done here by walking the file's markers (ITU T.81, B.1).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lightdata.config import config
from lightdata.kernels.limits import FREE_PIXEL_BYTES, is_inflated
from lightdata.kernels.raster import Box
from lightdata.kernels.tally import tally
from lightdata.types.image import Payload

try:
    import simplejpeg
except ImportError:  # there is no wheel for every platform
    simplejpeg = None

ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held, 1 to 8 (EXIF 2.32, 4.6.4)."""

_MODES = {"Gray": "L", "YCbCr": "RGB", "RGB": "RGB"}
"""The mode of what a file holds, where both decoders agree."""

_COLORSPACES = {("Gray", "L"): "GRAY", ("Gray", "RGB"): "RGB", ("YCbCr", "RGB"): "RGB", ("RGB", "RGB"): "RGB"}
"""What a file holds and what is asked for: simplejpeg's word for the latter."""

_PLAIN_HEAD_BYTES = 4096
"""How far the first scan is looked for in one go."""

_FIRST_NOTABLE = re.compile(rb"\xff(?:[\xe1-\xef]|\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04))", re.DOTALL)
"""An application's segment that is not JFIF's, or the first scan, whose length goes with its components."""

_SCALES = (8, 4, 2)
"""Parts of its size that libjpeg-turbo decodes a JPEG to faster than to the whole."""

_FREE_PIXELS = FREE_PIXEL_BYTES // 3
"""Pixels that are never too many for a file."""

_ENOUGH = 2
"""How many times the size that is wanted must be left after a scaled decode."""


class JpegHeader(NamedTuple):
    """What a JPEG says of itself before its pixels."""

    height: int
    """Pixels, as stored."""

    width: int
    """Pixels, as stored."""

    colorspace: str
    """simplejpeg's word."""

    orientation: int
    """The EXIF orientation, 1 to 8."""

    @property
    def mode(self) -> str:
        """The mode that keeps everything."""
        return _MODES[self.colorspace]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, upright."""
        return (self.width, self.height) if self.orientation >= 5 else (self.height, self.width)  # noqa: PLR2004 - turned


def read_jpeg_header(data: Payload) -> JpegHeader | None:
    """Read the header of a JPEG that simplejpeg may decode; ``None`` for all else, or if it is broken or too large.

    >>> read_jpeg_header(b"GIF89a") is None
    True
    """
    if simplejpeg is None or len(data) < 4 or data[0] != 0xFF:  # noqa: PLR2004 - what every JPEG begins with
        return None
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data, strict=True)
    except ValueError:
        return None
    pixels = height * width
    if colorspace not in _MODES or pixels > config().max_image_pixels:
        return None
    if pixels > _FREE_PIXELS and is_inflated(pixels * (1 if colorspace == "Gray" else 3), len(data)):
        return None
    orientation = jpeg_orientation(data)
    return None if orientation is None else JpegHeader(height, width, colorspace, orientation)


def jpeg_orientation(data: Payload) -> int | None:
    """Read the EXIF orientation of a JPEG; 1 where it has none, ``None`` where Pillow shall look.

    >>> jpeg_orientation(bytes.fromhex("ffd8 ffda 0008 0101 00 003f00"))
    1
    """
    found = _FIRST_NOTABLE.search(data, 2, _PLAIN_HEAD_BYTES)
    return 1 if found and found[0][1] == 0xDA else _walked_orientation(memoryview(data))  # noqa: PLR2004 - start of scan


def _walked_orientation(view: memoryview) -> int | None:
    at, orientation, seen = 2, 1, 0
    while at + 4 <= len(view) and view[at] == 0xFF:  # noqa: PLR2004 - begins a marker
        marker, length = view[at + 1], int.from_bytes(view[at + 2 : at + 4])
        if marker in (0xDA, 0xD9):  # the scan, or the end
            return orientation
        segment = bytes(view[at + 4 : at + 2 + length]) if marker in (0xE1, 0xE2) else b""
        if segment.startswith(b"Exif\0\0"):
            found, seen = _exif_orientation(segment[6:]), seen + 1
            if found is None or seen > 1:
                return None
            orientation = found
        elif b"Orientation" in segment or segment.startswith(b"MPF\0"):  # XMP may tell it too; of several pictures
            return None
        at += 2 + length
    return None  # markers are not plainly one after the other


def _exif_orientation(tiff: bytes) -> int | None:
    """Look for the tag in the first directory of EXIF (TIFF 6.0, section 2)."""
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(tiff[:4])
    if order is None:
        return None

    def number(start: int, length: int) -> int:
        return int.from_bytes(tiff[start : start + length], order)  # type: ignore[arg-type]  # one of the two words

    start = number(4, 4)
    end = start + 2 + 12 * number(start, 2)
    if end > len(tiff):
        return None
    for entry in range(start + 2, end, 12):
        if number(entry, 2) == ORIENTATION:
            is_one_short = number(entry + 2, 2) == 3 and number(entry + 4, 4) == 1  # noqa: PLR2004 - SHORT
            value = number(entry + 8, 2)
            return (value if value in range(1, 9) else 1) if is_one_short else None
    return 1


def decode_jpeg(data: Payload, mode: str) -> NDArray[np.uint8] | None:
    """Decode a JPEG, upright.

    Parameters
    ----------
    data : bytes-like
        The whole file.
    mode : "L" or "RGB"

    Returns
    -------
    uint8 [H, W] or [H, W, 3]
        Or ``None``: then Pillow has the last word.
    """
    header = read_jpeg_header(data)
    return None if header is None else decode_with_header(data, header, mode)


def decode_with_header(
    data: Payload,
    header: JpegHeader,
    mode: str,
    *,
    out: NDArray[np.uint8] | None = None,
    least: tuple[int, int] = (0, 0),
) -> NDArray[np.uint8] | None:
    """Decode a JPEG whose header was read, as :func:`decode_jpeg`; into ``out``, one axis of as many bytes, if given.

    With ``least``, a height and width as stored, it may come out at 1/2, 1/4 or 1/8 of its size, but no smaller.
    """
    colorspace = _COLORSPACES.get((header.colorspace, mode))
    if colorspace is None:
        return None
    is_turned = header.orientation != 1
    try:
        pixels = simplejpeg.decode_jpeg(
            data,
            colorspace,
            min_height=least[0],
            min_width=least[1],
            buffer=None if is_turned else out,
            strict=True,
        )
    except ValueError:
        return None
    tally("images_decoded")
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    return _turned(pixels, header.orientation, out) if is_turned else pixels


def decode_scaled(data: Payload, mode: str, height: int, width: int) -> tuple[NDArray[np.uint8], Box] | None:
    """Decode an upright JPEG for resizing it to ``height`` and ``width``, at a part of its size.

    libjpeg-turbo decodes to 1/2, 1/4 or 1/8 by leaving out high frequencies (ITU T.81, A.3.3, on fewer coefficients).
    At least twice the size that is wanted is kept in both directions. Pixels at two of the edges may lie partly outside
    the image: the box says which part of the result it is. How much that changes is measured in docs/decisions/0010.

    ``None`` if less would be left, with ``config(exact_pixels=True)``, and as for :func:`decode_jpeg`.
    """
    header = None if config().exact_pixels else read_jpeg_header(data)
    if header is None:
        return None
    scale = scale_for(header.size, (height, width))
    if scale is None:
        return None
    pixels = decode_with_header(data, header, mode, least=(-(-header.height // scale), -(-header.width // scale)))
    return None if pixels is None else (pixels, _part_of(header, scale))


def scale_for(size: tuple[int, int], wanted: tuple[int, int]) -> int | None:
    """Give the part of its size to decode a JPEG to, before it is resized from one height and width to another.

    >>> scale_for((400, 500), (100, 100)), scale_for((400, 500), (224, 224))
    (2, None)
    """
    for scale in _SCALES:
        if all(-(-side // scale) >= _ENOUGH * least for side, least in zip(size, wanted, strict=True)):
            return scale
    return None


def _part_of(header: JpegHeader, scale: int) -> Box:
    """Give the part of the upright pixels that the image is: as stored, the rest is at its right and its bottom."""
    height, width = (side / scale for side in header.size)
    left = -(-header.size[1] // scale) - width if header.orientation in (2, 3, 6, 7) else 0.0
    top = -(-header.size[0] // scale) - height if header.orientation in (3, 4, 7, 8) else 0.0
    return Box(left, top, left + width, top + height)


def _turned(pixels: NDArray[Any], orientation: int, out: NDArray[np.uint8] | None) -> NDArray[Any]:
    turned = turn(pixels, orientation)
    if out is None:
        return np.ascontiguousarray(turned)
    out = out.reshape(turned.shape)
    out[...] = turned
    return out


def turn(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """View pixels upright that a camera stored in one of the eight EXIF orientations.

    >>> turn(np.array([[1, 2], [3, 4]]), 6).tolist()
    [[3, 1], [4, 2]]
    """
    turned = pixels.swapaxes(0, 1) if orientation >= 5 else pixels  # noqa: PLR2004 - 5 to 8 are the quarter turns
    match orientation:
        case 2 | 6:
            return turned[:, ::-1]
        case 3 | 7:
            return turned[::-1, ::-1]
        case 4 | 8:
            return turned[::-1]
    return turned
