"""Compressed TFRecord files: GZIP and ZLIB, told by their first bytes, expanded as they are read."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import Any, Literal, Protocol

from lightdata.errors import ArgumentError, DecodeError, LimitError
from lightdata.io.formats.tfrecord.checksum import masked_crc
from lightdata.kernels.limits import check_expansion

Packing = Literal["GZIP", "ZLIB"]
Compression = Packing | Literal["auto"] | None

_CHUNK = 64 << 10
_HEADER_BYTES = 12
WINDOW_BITS = {"GZIP": 31, "ZLIB": 15}
_OTHERS = {b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip"}


class Stream(Protocol):
    """Bytes in order; fewer than asked for only at the end."""

    def read(self, size: int, /) -> bytes:
        """Give the next bytes."""
        ...


def check_compression(compression: Any) -> None:
    """Refuse what is no compression of TFRecord files.

    >>> check_compression("GZIP")

    Raises
    ------
    ArgumentError
        Naming those that are.
    """
    if compression not in (None, "auto", *WINDOW_BITS):
        raise ArgumentError(f"compression is 'auto', 'GZIP', 'ZLIB' or None; got {compression!r}")


def compression_of(head: bytes) -> Packing | None:
    """Tell from the first bytes of a file how it is compressed.

    The length of a first record may look like the mark of a compression; its checksum then tells.

    >>> compression_of(zlib.compress(b"abc"))
    'ZLIB'
    """
    length, checksum = head[:8], head[8:_HEADER_BYTES]
    if len(head) >= _HEADER_BYTES and masked_crc(length) == int.from_bytes(checksum, "little"):
        return None
    if head.startswith(b"\x1f\x8b"):
        return "GZIP"
    is_zlib = len(head) > 1 and head[0] == 0x78 and int.from_bytes(head[:2], "big") % 31 == 0  # noqa: PLR2004 - RFC 1950
    return "ZLIB" if is_zlib else None


def other_compression(head: bytes) -> str | None:
    """Name the compression of a file that TFRecord files are never compressed with.

    >>> other_compression(b"BZh91AY&SY")
    'bzip2'
    """
    return next((name for mark, name in _OTHERS.items() if head.startswith(mark)), None)


class Expanded:
    """Reads a compressed stream; what comes before damage is given, then the damage raised."""

    def __init__(self, stream: Stream, compression: Packing, uri: str) -> None:
        self._stream, self._bits, self._uri = stream, WINDOW_BITS[compression], uri
        self._inflate: Any = zlib.decompressobj(self._bits)
        self._input = b""
        self._taken = self._given = 0
        self._damage: DecodeError | None = None

    def read(self, size: int, /) -> bytes:
        """Give the next bytes.

        Raises
        ------
        DecodeError
            If the compressed data are damaged, end too early, or expand to more than a file may.
        """
        pieces: list[bytes] = []
        while size > 0 and (piece := self._next(size)):
            pieces.append(piece)
            size -= len(piece)
        if self._damage is not None and not pieces:
            raise self._damage
        return b"".join(pieces)

    def _next(self, size: int) -> bytes:
        """Expand a little; nothing at the end, or at damage."""
        while self._damage is None:
            if not self._input:
                self._input = self._stream.read(_CHUNK)
                self._taken += len(self._input)
            if self._inflate.eof and not self._begin_member():
                return b""
            is_last = not self._input
            piece = self._expand(min(size, 1 << 20))
            self._given += len(piece)
            try:
                check_expansion(self._taken, self._given, uri=self._uri)
            except LimitError as error:
                self._damage = error
                return b""
            if piece:
                return piece
            if is_last and not self._inflate.eof:
                return self._stop("the compressed data end too early")
        return b""

    def _begin_member(self) -> bool:
        """Go on with what was compressed apart and put behind; zeros fill up blocks of tape."""
        self._input = self._input.lstrip(b"\0")
        while not self._input:
            more = self._stream.read(_CHUNK)
            if not more:
                return False
            self._taken += len(more)
            self._input = more.lstrip(b"\0")
        self._inflate = zlib.decompressobj(self._bits)
        return True

    def _expand(self, size: int) -> bytes:
        before, data = self._inflate.copy(), self._input
        try:
            piece = self._inflate.decompress(data, size)
        except zlib.error as error:
            self._stop(f"the compressed data are damaged: {error}")
            return _until_damage(before, data)
        self._input = self._inflate.unconsumed_tail or self._inflate.unused_data
        return bytes(piece)

    def _stop(self, why: str) -> bytes:
        self._damage = DecodeError(f"{why}; {self._given} bytes were expanded before", uri=self._uri)
        return b""


def _until_damage(inflate: Any, data: bytes) -> bytes:
    """Expand byte by byte what comes before the damage: zlib gives nothing of the data it fails in."""
    pieces = bytearray()
    with suppress(zlib.error):
        for at in range(len(data)):
            pieces += inflate.decompress(data[at : at + 1])
    return bytes(pieces)
