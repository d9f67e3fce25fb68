"""Tar archives from outside, read from front to back."""

from __future__ import annotations

import gzip
import logging
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

from lightdata.errors import DecodeError, RowError
from lightdata.io.location import FileSystem, locate, read_error, regular_size
from lightdata.kernels.limits import check_expansion, check_file_bytes
from lightdata.kernels.tally import tally

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
            stream = _Counted(stack.enter_context(gzip.GzipFile(fileobj=raw)) if is_packed else raw, raw)
            yield from _members(stream, path)
        except RowError as error:
            raise error.at(uri=path) from error.__cause__
        except OSError as error:
            raise read_error(error, path) if error.errno else DecodeError(str(error), uri=path) from error
        except Exception as error:  # a damaged archive can fail in any way
            raise DecodeError(f"not a sound tar archive: {error}", uri=path) from error


class _Counted:
    """A stream that knows what it gave last, and refuses to expand a little into more than a machine holds."""

    def __init__(self, stream: Any, raw: Any) -> None:
        self._stream, self._raw = stream, raw
        self._given = 0
        self._last = b""

    def read(self, size: int) -> bytes:
        """Read so much, or to the end."""
        pieces, missing = [], size
        while missing and (piece := self._stream.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
        content: bytes = b"".join(pieces)
        self._given += len(content)
        check_expansion(self._raw.tell(), self._given)
        self._last = content or self._last
        return content

    def block_at(self, offset: int) -> bytes:
        """Give a block of what was read last."""
        start = offset - (self._given - len(self._last))
        return self._last[start : start + _BLOCK] if start >= 0 else b""


def _members(stream: _Counted, path: str) -> Iterator[Member]:
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_BLOCK * 128, errorlevel=2) as archive:  # type: ignore[call-overload]  # any reader
        for info in archive:
            archive.members = []  # it would keep them all
            if not info.isreg():
                if not info.isdir():
                    _LOG.warning("skipped %s::%s: not a regular file", path, info.name)
                continue
            yield Member(info.name, _content(archive, info, path))
        # To tarfile, a damaged header is the end.
        end = stream.block_at(archive.offset)
    if len(end) < _BLOCK:
        raise DecodeError("the archive ends without its end marker; it may have been cut off", uri=path)
    if end.strip(b"\0"):
        raise DecodeError(f"no header of a file, and no end marker, at byte {archive.offset}", uri=path)


def _content(archive: tarfile.TarFile, info: tarfile.TarInfo, path: str) -> bytes:
    if info.issparse():
        raise DecodeError(f"{info.name} is stored as a sparse file; pack it without --sparse", uri=path)
    check_file_bytes(info.size, "a member", f"{path}::{info.name}")
    content = archive.extractfile(info)
    body = b"" if content is None else content.read()
    if len(body) != info.size:
        raise DecodeError(f"{info.name} is cut off after {len(body)} of {info.size} bytes", uri=path)
    return body
