"""HEIF files (.heic, .heif), through pillow-heif, which is loaded when the first of them is seen."""

from __future__ import annotations

import io

from PIL import Image

from lightdata.errors import DecodeError
from lightdata.types.image import Payload

_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")
_MOST_BRANDS = 256
"""Bytes of the first box that are looked at; real ones take 24 to 60."""


def is_heif(data: Payload) -> bool:
    """Say whether a file begins as HEIF that is not AVIF (ISO 23008-12, 10.2).

    >>> is_heif(bytes.fromhex("00000018") + b"ftypheic" + bytes(4) + b"mif1heic"), is_heif(b"GIF89a")
    (True, False)
    """
    box = bytes(memoryview(data)[:_MOST_BRANDS])
    if box[4:8] != b"ftyp" or box[8:12] not in _HEIF:
        return False
    brands = box[8 : int.from_bytes(box[:4])]
    return not any(brands[at : at + 4] in _AVIF for at in range(0, len(brands), 4))


def open_heif(data: Payload) -> Image.Image:
    """Open a HEIF file held in memory, without decoding it.

    Raises
    ------
    DecodeError
        If pillow-heif is not installed.
    """
    try:
        from pillow_heif import HeifImageFile  # noqa: PLC0415 - an optional extra that takes long to load
    except ImportError:
        raise DecodeError("a HEIF file, which takes a decoder of its own: pip install lightdata[heif]") from None
    opened: Image.Image = HeifImageFile(io.BytesIO(data))
    return opened
