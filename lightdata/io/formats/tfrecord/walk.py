"""Files that are not compressed, walked from length to length: cut into parts and counted without being read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lightdata.io.formats.tfrecord.compression import Compression, compression_of
from lightdata.io.formats.tfrecord.framing import FOOTER_BYTES, HEADER_BYTES, lengths_hold, records_of, whole_length
from lightdata.io.location import FileSystem, locate, regular_size

PART_BYTES = 32 << 20
"""Bytes of a part, at least."""

_LEAST, _MOST, _MANY = 4 << 10, 1 << 20, 16
"""Bytes that are read at once: few where records are long, so that most of them is passed over."""


class Span(NamedTuple):
    """Records of a file that lie behind one another."""

    start: int
    """Where the first one starts."""

    number: int
    """Which record of the file that is."""

    stop: int
    """Where the last one ends."""

    rows: int | None
    """How many they are; ``None`` behind a length that does not hold."""


def can_walk(path: str, filesystem: FileSystem, compression: Compression, least_bytes: int = 0) -> bool:
    """Whether a file is on this machine, not compressed and no smaller than that."""
    location = locate(path, filesystem)
    if location.remote is not None or compression in ("GZIP", "ZLIB"):
        return False
    if regular_size(location.path) < least_bytes:
        return False
    with open(location.path, "rb") as file:
        return compression is None or compression_of(file.read(HEADER_BYTES)) is None


def spans(path: str, filesystem: FileSystem, *, rows: int, part_bytes: int = PART_BYTES) -> Iterator[Span]:
    """Cut a file into spans of at least so many rows and bytes; the last one may have fewer."""
    location = locate(path, filesystem)
    size = regular_size(location.path)
    start = index = held = known = 0
    with open(location.path, "rb", buffering=0) as file:
        for at, count in _steps(file, size):
            held += count
            if held >= rows and at - start >= part_bytes:
                yield Span(start, index, at, held)
                start, index, held = at, index + held, 0
            known = at
        if start < size:
            yield Span(start, index, size, held if known == size else None)


def _steps(file: Any, size: int) -> Iterator[tuple[int, int]]:
    """Walk on by some records at a time: where the next one starts, and how many were passed."""
    at, reads = 0, _LEAST
    yield 0, 0
    while at < size:
        file.seek(at)
        content = file.read(reads)
        starts, ends = records_of(content)
        if len(starts):
            if not lengths_hold(content, starts).all():
                return
            at += int(ends[-1]) + FOOTER_BYTES
        else:
            length = whole_length(content)
            if length is None or at + length > size:
                return
            at += length
        reads = min(reads * 2, _MOST) if len(starts) >= _MANY else _LEAST
        yield at, max(1, len(starts))
