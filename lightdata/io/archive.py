"""Zip archives from outside, checked before anything in them is expanded."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import IO, Any

from lightdata.errors import DecodeError, LightdataError
from lightdata.io.location import FileSystem, locate, read_error, regular_size
from lightdata.kernels.tally import tally

MOST_MEMBERS = 1_000_000
"""Members of an archive; a list of more takes gigabytes."""

MOST_MEMBER_BYTES = 8 << 30
"""Bytes that one member may expand to."""

MOST_RATIO = 200
"""Times its packed size that a member may expand to, once it is large."""

_SMALL_BYTES = 1 << 20
"""Members that expand to no more may do so from any size: a page of one colour packs very well."""

_ENCRYPTED = 0x1


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
                archive = stack.enter_context(zipfile.ZipFile(location.path))
            else:
                stream = stack.enter_context(location.remote.open(location.path, "rb"))
                archive = stack.enter_context(zipfile.ZipFile(stream))
            tally("files_opened")
            check_members(archive.infolist(), path)
            yield archive
        except LightdataError:
            raise
        except OSError as error:
            raise read_error(error, path) if error.errno else DecodeError(str(error), uri=path) from error
        except Exception as error:  # a damaged archive can fail in any way
            raise DecodeError(f"not a sound zip archive: {error}", uri=path) from error


def check_members(members: Sequence[zipfile.ZipInfo], path: str) -> None:
    """Refuse a list of members that no honest writer makes.

    Raises
    ------
    DecodeError
        If there are too many, two share a name, or two share bytes.
    """
    if len(members) > MOST_MEMBERS:
        raise DecodeError(f"it has {len(members)} members; at most {MOST_MEMBERS} are read", uri=path)
    seen: set[str] = set()
    for member in members:
        if member.filename in seen:
            raise DecodeError(f"two members are named {member.filename!r}", uri=path)
        seen.add(member.filename)
    placed = sorted(members, key=lambda member: member.header_offset)
    for one, after in pairwise(placed):
        if one.header_offset + one.compress_size > after.header_offset:
            raise DecodeError(f"members {one.filename!r} and {after.filename!r} overlap", uri=path)


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str) -> bytes:
    """Expand one member, no further than it says and an honest one may.

    Raises
    ------
    DecodeError
        If it is encrypted, damaged, packed too tightly to be honest, or longer than it says.
    """
    name = f"{path}::{member.filename}"
    if member.flag_bits & _ENCRYPTED:
        raise DecodeError("encrypted; unpack it first", uri=name)
    if member.file_size > MOST_MEMBER_BYTES:
        raise DecodeError(f"it expands to {member.file_size} bytes; at most {MOST_MEMBER_BYTES} are read", uri=name)
    if member.file_size > max(_SMALL_BYTES, MOST_RATIO * member.compress_size):
        raise DecodeError(
            f"{member.compress_size} bytes expand to {member.file_size}, more than {MOST_RATIO} to 1", uri=name
        )
    try:
        with archive.open(member) as stream:
            content = _read_exactly(stream, member.file_size, name)
    except LightdataError:
        raise
    except Exception as error:  # a damaged member can fail in any way
        raise DecodeError(f"cannot be unpacked: {error}", uri=name) from error
    tally("bytes_read", member.compress_size)
    return content


def _read_exactly(stream: IO[Any], size: int, name: str) -> bytes:
    content: bytes = stream.read(size + 1)
    if len(content) != size:
        raise DecodeError(f"it says {size} bytes, and expands to others", uri=name)
    return content
