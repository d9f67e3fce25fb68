"""The chunks of a PNG file (PNG Specification, Third Edition, 5.3), walked without expanding or copying any."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from lightdata.errors import LimitError
from lightdata.types.image import Payload

SIGNATURE = b"\x89PNG\r\n\x1a\n"

MOST_TEXT_BYTES = 32 << 20
"""Bytes that compressed text of a file may expand to; Pillow keeps all of it."""

_MOST_OF_ONE = 1 << 20
"""Bytes beyond which Pillow refuses a single text."""

_DEFLATE_RATIO = 1032
"""Times its size that nothing deflated expands beyond."""

_PACKED_TEXT = (b"zTXt", b"iTXt")
_TEXT = (b"tEXt", *_PACKED_TEXT)


_HEAD = struct.Struct(">I4s")


def iter_chunks(data: Payload) -> Iterator[tuple[bytes, int, int]]:
    """List the chunks of a file, as far as it goes: their kind, and where their data start and should end.

    >>> [*iter_chunks(SIGNATURE + bytes(4) + b"IEND")]
    [(b'IEND', 16, 16)]
    """
    at, last = len(SIGNATURE), len(data) - _HEAD.size
    while at <= last:
        size, kind = _HEAD.unpack_from(data, at)
        at += 8
        yield kind, at, at + size
        at += size + 4


def may_turn(data: Payload) -> bool:
    """Say whether a PNG may tell an orientation: in EXIF, or in text about it."""
    return any(
        kind == b"eXIf" or (kind in _TEXT and bytes(data[start : start + 8]) in (b"Raw prof", b"XML:com."))
        for kind, start, _ in iter_chunks(data)
    )


def check_text(data: Payload) -> None:
    """Refuse a PNG whose compressed text may expand to more than anybody writes; other files pass.

    Raises
    ------
    LimitError
        Naming the limit, which is no setting.
    """
    if bytes(data[:8]) != SIGNATURE:
        return
    size = 0
    for kind, start, end in iter_chunks(data):
        if kind in _PACKED_TEXT:
            size += min(_DEFLATE_RATIO * (end - start), _MOST_OF_ONE)
    if size > MOST_TEXT_BYTES:
        raise LimitError(
            f"its compressed text may expand to {size:,} bytes, and of one PNG no more than {MOST_TEXT_BYTES:,} are "
            "read; save it without text"
        )
