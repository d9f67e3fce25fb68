"""Tar archives from outside, read from front to back."""

from __future__ import annotations

import gzip
import logging
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

from lightdata.errors import DecodeError, LightdataError
from lightdata.io.location import FileSystem, locate, read_error, regular_size
from lightdata.kernels.tally import tally

MOST_MEMBER_BYTES = 8 << 30
"""Bytes of a member, at most: a compressed archive may hold any number of zeros."""

_BLOCK = 512
_LOG = logging.getLogger(__name__)


class Member(NamedTuple):
    """One file of an archive."""

    name: str
    content: bytes


def iter_members(path: str, filesystem: FileSystem = None) -> Iterator[Member]:
    """Read the files of an archive, in order; folders, links and devices are left out.

    Raises
    ------
    ReadError
        If it cannot be read.
    DecodeError
        If it is damaged, or ends before it says so.
    """
    location = locate(path, filesystem)
    with ExitStack() as stack:
        try:
            if location.remote is None:
                tally("bytes_read", regular_size(location.path))
                raw: Any = stack.enter_context(open(location.path, "rb"))
            else:
                raw = stack.enter_context(location.remote.open(location.path, "rb"))
            tally("files_opened")
            is_packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = _Counted(stack.enter_context(gzip.GzipFile(fileobj=raw)) if is_packed else raw)
            yield from _members(stream, path)
        except LightdataError:
            raise
        except OSError as error:
            raise read_error(error, path) if error.errno else DecodeError(str(error), uri=path) from error
        except Exception as error:  # a damaged archive can fail in any way
            raise DecodeError(f"not a sound tar archive: {error}", uri=path) from error


class _Counted:
    """A stream that keeps its last block: an archive ends with blocks of zeros, and one that was cut does not."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.last = b""

    def read(self, size: int) -> bytes:
        content: bytes = self._stream.read(size)
        if content:
            self.last = content[-_BLOCK:]
        return content


def _members(stream: _Counted, path: str) -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK * 128, errorlevel=2) as archive:  # type: ignore[call-overload]  # any reader
        for info in archive:
            if not info.isreg():
                if not info.isdir():
                    _LOG.warning("skipped %s::%s: not a regular file", path, info.name)
                continue
            if info.size > MOST_MEMBER_BYTES:
                raise DecodeError(f"{info.name} has {info.size} bytes; at most {MOST_MEMBER_BYTES} are read", uri=path)
            content = archive.extractfile(info)
            body = b"" if content is None else content.read()
            if len(body) != info.size:
                raise DecodeError(f"{info.name} is cut off after {len(body)} of {info.size} bytes", uri=path)
            archive.members = []  # it would keep them all
            yield Member(info.name, body)
    if stream.last.strip(b"\0"):
        raise DecodeError("the archive ends without its end marker; it may have been cut off", uri=path)
