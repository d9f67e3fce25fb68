"""Zip archives from outside (PKWARE's APPNOTE 6.3.9), checked before anything in them is expanded."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

from lightdata.errors import DecodeError, LightdataError, RowError
from lightdata.io.location import FileSystem, locate, read_error, read_range, regular_size
from lightdata.kernels.limits import check_expansion, check_file_bytes
from lightdata.kernels.tally import tally

MOST_MEMBERS = 1_000_000
"""Members of an archive; a list of more takes gigabytes."""

_MOST_LIST_BYTES = 256 << 20
"""Bytes of the list of members, at most: it is read whole, and takes ten times as much once it is."""

_ENCRYPTED = 0x1
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_MAGIC = b"PK\x03\x04"
_ENTRY = b"PK\x01\x02"
_LEAST_ENTRY = 46
"""Bytes of an entry of the list, without a name."""

_SLACK = 512
"""Bytes read beyond a member's name, for what else its local header holds; where that is more, it is read again."""


class Packed(NamedTuple):
    """A member of an archive, and all that is needed to unpack it without the list of the others."""

    name: str
    offset: int
    """Of its local header, in bytes."""

    packed_bytes: int
    unpacked_bytes: int
    method: int
    checksum: int
    flags: int


def list_packed(path: str, filesystem: FileSystem = None) -> list[Packed]:
    """List the files of an archive, folders left out.

    Raises
    ------
    ReadError
        If it cannot be read.
    DecodeError
        If it is no archive, or one made to do harm.
    """
    with opened_zip(path, filesystem) as archive:
        return [
            Packed(
                name=member.filename,
                offset=member.header_offset,
                packed_bytes=member.compress_size,
                unpacked_bytes=member.file_size,
                method=member.compress_type,
                checksum=member.CRC,
                flags=member.flag_bits,
            )
            for member in archive.infolist()
            if not member.is_dir()
        ]


def unpacked(path: str, filesystem: FileSystem, member: Packed) -> bytes:
    """Read one member where it lies, and expand it.

    Raises
    ------
    ReadError
        If the archive cannot be read.
    DecodeError
        If the member is encrypted, damaged, packed in another way than "deflate", or more than an honest one may be.
    """
    name = f"{path}::{member.name}"
    _check_member(member, name)
    guess = _LOCAL_HEADER.size + len(member.name.encode()) + _SLACK
    content = read_range(path, member.offset, member.offset + guess + member.packed_bytes, filesystem)
    if len(content) < _LOCAL_HEADER.size or not content.startswith(_MAGIC):
        raise DecodeError("its header is not where the archive says", uri=name)
    *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack_from(content)
    start = _LOCAL_HEADER.size + name_bytes + extra_bytes
    stop = start + member.packed_bytes
    if stop > len(content):
        content = read_range(path, member.offset, member.offset + stop, filesystem)
    packed = memoryview(content)[start:stop]
    if len(packed) != member.packed_bytes:
        raise DecodeError(f"cut off: it has {len(packed)} of {member.packed_bytes} bytes", uri=name)
    return _expanded(packed, member, name)


def _check_member(member: Packed, name: str) -> None:
    if member.flags & _ENCRYPTED:
        raise DecodeError("encrypted; unpack the archive first", uri=name)
    check_file_bytes(max(member.unpacked_bytes, member.packed_bytes), "a member", name)
    check_expansion(member.packed_bytes, member.unpacked_bytes, uri=name)
    if member.method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DecodeError(f"packed by method {member.method}; only stored and deflated members are read", uri=name)


def _expanded(packed: memoryview, member: Packed, name: str) -> bytes:
    if member.method == zipfile.ZIP_STORED:
        content = bytes(packed)
    else:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = stream.decompress(packed, member.unpacked_bytes + 1)
        except zlib.error as error:
            raise DecodeError(f"cannot be unpacked: {error}", uri=name) from error
    if len(content) != member.unpacked_bytes:
        raise DecodeError(f"it says {member.unpacked_bytes} bytes, and expands to others", uri=name)
    if zlib.crc32(content) != member.checksum:
        raise DecodeError("its checksum is wrong", uri=name)
    return content


@contextmanager
def opened_zip(path: str, filesystem: FileSystem = None) -> Iterator[zipfile.ZipFile]:
    """Open an archive, local or remote, whose list of members is sound; errors name the file.

    Raises
    ------
    ReadError
        If it cannot be read.
    DecodeError
        If it is no archive, or one made to do harm: names twice, members that overlap, more than can be held.
    """
    location = locate(path, filesystem)
    with ExitStack() as stack:
        try:
            if location.remote is None:
                regular_size(location.path)
                stream: Any = stack.enter_context(open(location.path, "rb"))
            else:
                stream = stack.enter_context(location.remote.open(location.path, "rb"))
            archive = stack.enter_context(zipfile.ZipFile(_Listed(stream)))
            tally("files_opened")
            check_members(archive.infolist(), path)
            yield archive
        except RowError as error:
            raise error.at(uri=path) from error.__cause__
        except LightdataError:
            raise
        except OSError as error:
            raise read_error(error, path) if error.errno else DecodeError(str(error), uri=path) from error
        except Exception as error:  # a damaged archive can fail in any way
            raise DecodeError(f"not a sound zip archive: {error}", uri=path) from error


class _Listed:
    """A file whose list of members is looked at before :mod:`zipfile` makes an object of each."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Read on.

        Raises
        ------
        DecodeError
            If so much is wanted that it can only be the list of too many members.
        """
        if size > _MOST_LIST_BYTES:
            raise DecodeError(f"its list of members has {size:,} bytes; at most {_MOST_LIST_BYTES:,} are read")
        if size > _LEAST_ENTRY * MOST_MEMBERS and (count := self._count(size)) > MOST_MEMBERS:
            raise DecodeError(f"it has {count:,} members; at most {MOST_MEMBERS:,} are read")
        return bytes(self._file.read(size))

    def _count(self, size: int) -> int:
        """Count entries ahead; a name may hold their mark too, but not so often."""
        start, count, tail = self._file.tell(), 0, b""
        while size > 0 and (piece := self._file.read(min(size, 1 << 20))):
            count += (tail + piece).count(_ENTRY)
            tail, size = piece[1 - len(_ENTRY) :], size - len(piece)
        self._file.seek(start)
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def check_members(members: Sequence[zipfile.ZipInfo], path: str) -> None:
    """Refuse a list of members that no honest writer makes.

    Raises
    ------
    DecodeError
        If two share a name, or two share bytes.
    """
    seen: set[str] = set()
    for member in members:
        if member.filename in seen:
            raise DecodeError(f"two members are named {member.filename!r}", uri=path)
        seen.add(member.filename)
    placed = sorted(members, key=lambda member: member.header_offset)
    for one, after in pairwise(placed):
        if one.header_offset + one.compress_size > after.header_offset:
            raise DecodeError(f"members {one.filename!r} and {after.filename!r} overlap", uri=path)
