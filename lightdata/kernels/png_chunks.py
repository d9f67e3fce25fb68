"""The chunks of a PNG file (PNG Specification, Third Edition, 5.3), walked without expanding or copying any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lightdata.errors import LimitError
from lightdata.types.image import Payload

SIGNATURE = b"\x89PNG\r\n\x1a\n"

MOST_TEXT_BYTES = 32 << 20
"""Bytes that compressed text of a file may expand to; Pillow keeps all of it."""

_MOST_OF_ONE = 1 << 20
"""Bytes beyond which Pillow refuses a single text."""

_DEFLATE_RATIO = 1032
"""Times its size that nothing deflated expands beyond."""

_TEXT = (b"tEXt", b"zTXt", b"iTXt")


class Chunk(NamedTuple):
    """One chunk."""

    kind: bytes
    size: int
    """Of its data, in bytes, as it says."""

    start: bytes
    """The first eight bytes of its data."""


def iter_chunks(data: Payload) -> Iterator[Chunk]:
    """List the chunks of a file, as far as it goes.

    >>> [chunk.kind for chunk in iter_chunks(SIGNATURE + bytes(4) + b"IEND")]
    [b'IEND']
    """
    view = memoryview(data)
    at = len(SIGNATURE)
    while at + 8 <= len(view):
        size = int.from_bytes(view[at : at + 4])
        yield Chunk(bytes(view[at + 4 : at + 8]), size, bytes(view[at + 8 : at + 16]))
        at += 12 + size


def may_turn(data: Payload) -> bool:
    """Say whether a PNG may tell an orientation: in EXIF, or in text about it."""
    return any(
        chunk.kind == b"eXIf" or (chunk.kind in _TEXT and chunk.start in (b"Raw prof", b"XML:com."))
        for chunk in iter_chunks(data)
    )


def check_text(data: Payload) -> None:
    """Refuse a PNG whose compressed text may expand to more than anybody writes; other files pass.

    Raises
    ------
    LimitError
        Naming the limit, which is no setting.
    """
    if bytes(memoryview(data)[:8]) != SIGNATURE:
        return
    size = sum(
        min(_DEFLATE_RATIO * chunk.size, _MOST_OF_ONE)
        for chunk in iter_chunks(data)
        if chunk.kind in (b"zTXt", b"iTXt")
    )
    if size > MOST_TEXT_BYTES:
        raise LimitError(
            f"its compressed text may expand to {size:,} bytes, and of one PNG no more than {MOST_TEXT_BYTES:,} are "
            "read; save it without text"
        )
