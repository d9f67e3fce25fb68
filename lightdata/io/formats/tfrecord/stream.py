"""TFRecord files as streams of their records' bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from lightdata.errors import DecodeError, LightdataError
from lightdata.io.formats.tfrecord.compression import Compression, Expanded, Stream, compression_of, other_compression
from lightdata.io.formats.tfrecord.framing import HEADER_BYTES
from lightdata.io.location import FileSystem, locate, read_error, regular_size
from lightdata.kernels.tally import tally


class Opened(NamedTuple):
    """An open file, at the first byte that is asked for."""

    stream: Stream
    size: int | None
    """Where the stream ends, counted from the file's start; ``None`` where only reading tells."""


class _Raw:
    """Reads a file up to some byte, and counts what was read."""

    def __init__(self, file: Any, left: int | None) -> None:
        self._file, self._left = file, left

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, perhaps fewer."""
        content = bytes(self._file.read(size if self._left is None else min(size, self._left)))
        if self._left is not None:
            self._left -= len(content)
        tally("bytes_read", len(content))
        return content


class _Headed:
    """A stream of which the first bytes were looked at."""

    def __init__(self, head: bytes, stream: Stream) -> None:
        self._head, self._stream = head, stream

    def read(self, size: int, /) -> bytes:
        """Give the next bytes, perhaps fewer."""
        if not self._head:
            return self._stream.read(size)
        given, self._head = self._head[:size], self._head[size:]
        return given


@contextmanager
def opened(
    path: str, filesystem: FileSystem, compression: Compression, start: int = 0, stop: int | None = None
) -> Iterator[Opened]:
    """Open a file for its bytes from ``start`` to ``stop``, expanded; only what is not compressed can be cut.

    Raises
    ------
    ReadError
        If it cannot be read.
    DecodeError
        If it is compressed in a way that no TFRecord file is.
    """
    location = locate(path, filesystem)
    with ExitStack() as stack:
        size: int | None
        try:
            if location.remote is None:
                size = regular_size(location.path)
                file = stack.enter_context(open(location.path, "rb", buffering=0))
            else:
                file = stack.enter_context(location.remote.open(location.path, "rb"))
                size = file.size if isinstance(getattr(file, "size", None), int) else None
            tally("files_opened")
            if start:
                file.seek(start)
            end = size if stop is None else stop
            yield _expanded(
                _Raw(file, None if end is None else end - start), compression, path, end, is_whole=not start
            )
        except LightdataError:
            raise
        except OSError as error:
            raise read_error(error, path) from error


def _expanded(raw: Stream, compression: Compression, path: str, end: int | None, *, is_whole: bool) -> Opened:
    if compression == "auto" and is_whole:
        head = b""
        while len(head) < HEADER_BYTES and (more := raw.read(HEADER_BYTES - len(head))):
            head += more
        compression, raw = compression_of(head), _Headed(head, raw)
        if compression is None and (name := other_compression(head)) is not None:
            raise DecodeError(f"it is compressed with {name}; only GZIP and ZLIB are read, expand it first", uri=path)
    if compression is None or compression == "auto":
        return Opened(raw, end)
    return Opened(Expanded(raw, compression, path), None)
