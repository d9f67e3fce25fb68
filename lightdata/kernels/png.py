"""Pixels to a PNG file, many times faster than Pillow's encoder, by less choice of filters.

Pillow tries all five filters on every row, and then searches long for repeats. Here an image has one filter, found by
one look at its bytes, and ISA-L looks for repeats, or zlib where ISA-L is not there. The format is that of the PNG
Specification, Third Edition (W3C, https://www.w3.org/TR/png-3/); its sections are named below.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""Section 5.2."""

LAYOUTS = {"L": (8, 0), "LA": (8, 4), "RGB": (8, 2), "RGBA": (8, 6), "I;16": (16, 0)}
"""Bit depth and colour type of each mode; section 11.2.1, table 12."""

_NONE, _UP = 0, 2
"""Filter types; section 9.2."""

_LEVEL = 1
_FLAT = 0.5
"""Where more bytes than this are those above them, an image may be drawn, and is smaller without a filter."""

_CHUNK_BYTES = 2**31 - 1
"""The most that a chunk holds; section 5.3."""


class Deflate(Protocol):
    """Makes zlib streams, and checksums; ``zlib`` and ``isal.isal_zlib`` are such modules."""

    def compress(self, data: Any, /, level: int) -> bytes:
        """Compress bytes to a zlib stream (RFC 1950)."""
        ...

    def crc32(self, data: Any, value: int = 0, /) -> int:
        """Go on with a CRC-32."""
        ...


DEFLATE: Deflate = zlib
"""The fastest there is: isal is a dependency, but some machines have no wheel of it."""

with suppress(ImportError):
    from isal import isal_zlib

    DEFLATE = isal_zlib


def encode_png(pixels: NDArray[Any], mode: str, deflate: Deflate = DEFLATE) -> bytes:
    r"""Make a PNG file of pixels, without loss and without metadata.

    Parameters
    ----------
    pixels : uint8 [H, W] or [H, W, C], or uint16 [H, W]
        At least one of them, in native byte order.
    mode : "L", "LA", "RGB", "RGBA" or "I;16"
        What the channels are.
    deflate : module
        What compresses.

    Examples
    --------
    >>> encode_png(np.zeros((2, 3), np.uint8), "L")[:8]
    b'\x89PNG\r\n\x1a\n'
    """
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, *LAYOUTS[mode], 0, 0, 0)  # no interlace; section 11.2.1
    data = _compressed(_rows(pixels), deflate)
    parts = [SIGNATURE, *_chunk(b"IHDR", header, deflate)]
    for start in range(0, len(data), _CHUNK_BYTES):
        parts += _chunk(b"IDAT", memoryview(data)[start : start + _CHUNK_BYTES], deflate)
    parts += _chunk(b"IEND", b"", deflate)
    return b"".join(parts)


def _rows(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """View pixels as bytes ``[H, N]``, high bytes first; section 7.1."""
    stored = pixels.astype(">u2") if pixels.dtype.itemsize > 1 else pixels
    return np.ascontiguousarray(stored).view(np.uint8).reshape(len(pixels), -1)


def _compressed(rows: NDArray[np.uint8], deflate: Deflate) -> bytes:
    """Compress rows; of drawings, which may be smaller with or without a filter, in both ways."""
    filtered = _up(rows)
    data = deflate.compress(filtered, _LEVEL)
    if np.count_nonzero(filtered) < filtered.size * (1 - _FLAT):
        data = min(data, deflate.compress(_unfiltered(rows), _LEVEL), key=len)
    return data


def _up(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Subtract from each row the one above it, and put the filter's type before it; section 9.2."""
    out = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    out[:, 0] = _UP
    out[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=out[1:, 1:])
    return out


def _unfiltered(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    out = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    out[:, 0] = _NONE
    out[:, 1:] = rows
    return out


def _chunk(kind: bytes, data: bytes | memoryview, deflate: Deflate) -> Iterator[bytes | memoryview]:
    """Give the parts of a chunk: length, type, data, and the CRC of the last two; section 5.3."""
    yield struct.pack(">I4s", len(data), kind)
    yield data
    yield struct.pack(">I", deflate.crc32(data, deflate.crc32(kind)))
