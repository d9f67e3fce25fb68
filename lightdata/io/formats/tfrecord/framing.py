"""Records of TFRecord files: cut out of a stream of bytes, with every checksum checked.

A record is its length (uint64), a checksum of that, its bytes, and a checksum of those; all little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import chain

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lightdata.errors import DecodeError
from lightdata.io.formats.tfrecord.checksum import Bytes, masked_crc, masked_crcs, masked_crcs_of_lengths
from lightdata.io.formats.tfrecord.compression import Stream
from lightdata.kernels.limits import check_file_bytes

BLOCK_BYTES = 1 << 20
"""Bytes that are read and decoded at once, so few that they stay in a core's cache; a longer record is read whole."""

_LONG_BYTES = 16 << 10
_LONGER = 4
"""Where records are so long, blocks are so many times longer: there should be some of them in each."""

MAX_RECORD_BYTES = (2 << 30) - 1
"""Bytes of the longest message of Protocol Buffers."""

HEADER_BYTES = 12
FOOTER_BYTES = 4
_FRAME_BYTES = HEADER_BYTES + FOOTER_BYTES
_HEADER = struct.Struct("<QI")
_LENGTH = struct.Struct("<Q")
_FOOTER = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Block:
    """Records that lie behind one another, all of them sound."""

    content: bytes
    starts: NDArray[np.int64]
    """Where the bytes of each record start in ``content``."""

    ends: NDArray[np.int64]
    offset: int
    """Where ``content`` starts in the file, or in what it expands to."""

    index: int
    """The number of the first record in the file; a damaged stretch counts as one."""

    def place(self, row: int) -> str:
        """Say which record this is, and where."""
        return f"record {self.index + row} at byte {self.offset + int(self.starts[row]) - HEADER_BYTES}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How the records of a stream are cut out."""

    uri: str
    """The file, for errors."""

    size: int | None = None
    """Where the stream ends, if that is known."""

    offset: int = 0
    """Where it starts in the file."""

    index: int = 0
    """The number of its first record."""

    resync: bool = False
    """Go on behind damage."""

    block_bytes: int = BLOCK_BYTES


def iter_blocks(stream: Stream, framing: Framing) -> Iterator[Block | DecodeError]:
    """Cut a stream into records; with ``resync`` each damaged stretch is an error among them.

    >>> import io
    >>> golden = bytes.fromhex("0300000000000000b099490e") + b"abc" + bytes.fromhex("6e57f121")
    >>> [block.starts.tolist() for block in iter_blocks(io.BytesIO(golden * 2), Framing(uri="a"))]
    [[12, 31]]

    Raises
    ------
    DecodeError
        At damage, after the records before it; with ``resync`` only where the stream itself cannot be read on.
    """
    return _Reader(stream, framing).blocks()


def write_record(content: bytes) -> bytes:
    """Frame the bytes of one record.

    >>> write_record(b"abc").hex()
    '0300000000000000b099490e6162636e57f121'
    """
    length = _LENGTH.pack(len(content))
    return b"".join((length, _FOOTER.pack(masked_crc(length)), content, _FOOTER.pack(masked_crc(content))))


def lengths_hold(content: bytes, starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Check the lengths before ``starts`` against their checksums, all at once."""
    heads = sliding_window_view(np.frombuffer(content, np.uint8), HEADER_BYTES)[starts - HEADER_BYTES]
    return masked_crcs_of_lengths(heads[:, :8]) == _uint32(heads[:, 8:])


def records_of(content: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Follow the lengths from record to record, unchecked, as far as whole records go.

    Returns
    -------
    int64 [N], int64 [N]
        Where the bytes of each record start and end.
    """
    at, size, unpack = 0, len(content), _LENGTH.unpack_from
    starts: list[int] = []
    while at + _FRAME_BYTES <= size:
        end = at + _FRAME_BYTES + unpack(content, at)[0]
        if end > size:
            break
        starts.append(at)
        at = end
    befores = np.fromiter(chain(starts, (at,)), np.int64, len(starts) + 1)
    return befores[:-1] + HEADER_BYTES, befores[1:] - FOOTER_BYTES


def whole_length(content: bytes) -> int | None:
    """Tell how long the first record is, with its frame; ``None`` where its length does not hold.

    >>> whole_length(write_record(b"abc"))
    19
    """
    if len(content) < HEADER_BYTES:
        return None
    length, checksum = _HEADER.unpack_from(content)
    is_right = masked_crc(content[:8]) == checksum and length <= MAX_RECORD_BYTES
    return int(length) + _FRAME_BYTES if is_right else None


class _Reader:
    """Holds the part of a stream that is looked at."""

    def __init__(self, stream: Stream, framing: Framing) -> None:
        self._stream, self._framing = stream, framing
        self._held, self._offset, self._index = b"", framing.offset, framing.index
        self._is_ended = False
        self._failure: DecodeError | None = None

    def blocks(self) -> Iterator[Block | DecodeError]:
        usual = wanted = self._framing.block_bytes
        while self._fill(wanted) or self._held:
            starts, ends = records_of(self._held)
            sound = _leading_sound(self._held, starts, ends)
            if sound:
                yield Block(self._held, starts[:sound], ends[:sound], self._offset, self._index)
                self._index += sound
                self._drop(int(ends[sound - 1]) + FOOTER_BYTES)
                is_long = int(ends[sound - 1]) > _LONG_BYTES * sound
                usual = self._framing.block_bytes * (_LONGER if is_long else 1)
            wanted = usual
            if sound == len(starts):
                # A record that goes on behind what is held: look at it alone, and read the rest of it if it can be.
                what, needed = self._missing()
                wanted = max(usual, needed)
                if what is None:
                    continue
            else:
                what = self._damage_of_whole()
            yield self._pass_by(what)
        if self._failure is not None:
            raise self._failure

    def _fill(self, size: int) -> bool:
        """Read until ``size`` bytes are held; ``False`` if nothing came."""
        pieces, held = [self._held] if self._held else [], len(self._held)
        while held < size and not self._is_ended:
            try:
                piece = self._stream.read(min(size - held, _LONGER * self._framing.block_bytes))
            except DecodeError as failure:
                self._failure, piece = failure, b""
            self._is_ended = not piece
            pieces.append(piece)
            held += len(piece)
        grown = held > len(self._held)
        if grown:
            self._held = b"".join(pieces)
        return grown

    def _drop(self, size: int) -> None:
        self._held = self._held[size:]
        self._offset += size

    def _missing(self) -> tuple[str | None, int]:
        """Tell what is wrong with the record that does not fit in what is held, or how many bytes it takes."""
        if not self._held:
            return None, 0
        if len(self._held) < HEADER_BYTES:
            at_end = self._is_ended or not self._fill(HEADER_BYTES) or len(self._held) < HEADER_BYTES
            return ("the file ends within its length", 0) if at_end else (None, 0)
        length, checksum = _HEADER.unpack_from(self._held)
        if masked_crc(self._held[:8]) != checksum:
            return "the checksum of its length is wrong", 0
        if length > MAX_RECORD_BYTES:
            return f"it has {length} bytes, no message has more than {MAX_RECORD_BYTES}", 0
        size = self._framing.size
        end = len(self._held) if self._is_ended else None if size is None else size - self._offset
        if end is not None and length + _FRAME_BYTES > end:
            return f"it has {length} bytes, the file ends {max(0, end - HEADER_BYTES)} after its length", 0
        check_file_bytes(length, "a record", self._framing.uri)
        return None, length + _FRAME_BYTES

    def _damage_of_whole(self) -> str:
        is_length = masked_crc(self._held[:8]) != _HEADER.unpack_from(self._held)[1]
        return f"the checksum of its {'length' if is_length else 'bytes'} is wrong"

    def _pass_by(self, what: str) -> DecodeError:
        """Find where to go on behind the damage that what is held begins with."""
        place = f"record {self._index} at byte {self._offset}: {what}"
        if not self._framing.resync or self._failure is not None:
            raise self._failure or DecodeError(
                f'{place}; resync=True with on_error="skip" goes on behind it', uri=self._framing.uri
            )
        if not self._skip_one():
            self._scan()
        self._index += 1
        where = f"the next sound record is at byte {self._offset}" if self._held else "no sound record follows"
        return DecodeError(f"{place}; {where}", uri=self._framing.uri)

    def _skip_one(self) -> bool:
        """Drop one record, if its length holds and a sound record or the end follows."""
        if len(self._held) < HEADER_BYTES or masked_crc(self._held[:8]) != _HEADER.unpack_from(self._held)[1]:
            return False
        end = _HEADER.unpack_from(self._held)[0] + _FRAME_BYTES
        if end > len(self._held):
            return False
        self._fill(end + HEADER_BYTES)
        if len(self._held) > end and not self._is_sound_at(end):
            return False
        self._drop(end)
        return True

    def _scan(self) -> None:
        """Drop bytes up to the next place where a length and its record both hold."""
        self._drop(1)
        while True:
            self._fill(len(self._held) + self._framing.block_bytes)
            searched = len(self._held)
            for at in _candidates(self._held):
                if self._is_sound_at(at):
                    self._drop(at)
                    return
            if self._is_ended:
                self._drop(len(self._held))
                return
            self._drop(max(0, searched - HEADER_BYTES + 1))

    def _is_sound_at(self, at: int) -> bool:
        if len(self._held) < at + HEADER_BYTES:
            return False
        length, checksum = _HEADER.unpack_from(self._held, at)
        end, size = at + HEADER_BYTES + length, self._framing.size
        is_within = size is None or self._offset + end + FOOTER_BYTES <= size
        if length > MAX_RECORD_BYTES or not is_within or masked_crc(self._held[at : at + 8]) != checksum:
            return False
        self._fill(end + FOOTER_BYTES)
        if len(self._held) < end + FOOTER_BYTES:
            return False
        return masked_crc(self._held[at + HEADER_BYTES : end]) == _FOOTER.unpack_from(self._held, end)[0]


def _leading_sound(content: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> int:
    """Count the records before the first one of which a checksum is wrong."""
    if not len(starts):
        return 0
    holds = lengths_hold(content, starts)
    known = len(starts) if holds.all() else int(holds.argmin())
    starts, ends = starts[:known], ends[:known]
    if not known:
        return 0
    tails = sliding_window_view(np.frombuffer(content, np.uint8), FOOTER_BYTES)[ends]
    sound = masked_crcs(content, starts, ends) == _uint32(tails)
    return known if sound.all() else int(sound.argmin())


def _candidates(content: bytes) -> list[int]:
    """List where a length that a record may have is followed by its checksum."""
    zero = np.frombuffer(content, np.uint8) == 0
    places = len(content) - HEADER_BYTES + 1
    if places < 1:
        return []
    is_short = reduce(np.logical_and, (zero[at : at + places] for at in range(4, 8)))
    # Zeros alone are no header, and there may be many of them.
    is_blank = reduce(np.logical_and, (zero[at : at + places] for at in (0, 1, 2, 3, 8, 9, 10, 11)))
    found = np.flatnonzero(is_short & ~is_blank)
    pieces = np.array_split(found, 1 + len(found) // (1 << 16))
    return [at for piece in pieces for at in piece[lengths_hold(content, piece + HEADER_BYTES)].tolist()]


def _uint32(rows: Bytes) -> NDArray[np.uint32]:
    return np.ascontiguousarray(rows).view("<u4")[:, 0]
