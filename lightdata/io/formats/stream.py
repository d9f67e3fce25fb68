"""Files as streams of bytes, expanded where their name says that they are compressed."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pyarrow as pa

from lightdata.errors import DecodeError, LightdataError, RowError
from lightdata.io.location import FileSystem, locate, read_error, regular_size
from lightdata.kernels.limits import check_expansion
from lightdata.kernels.tally import tally

COMPRESSED = {"gz": "gzip", "gzip": "gzip", "bz2": "bz2", "zst": "zstd", "lz4": "lz4"}
"""What the last ending of a compressed file's name says of it."""


_PIECE_BYTES = 64 << 10
"""Bytes that are read at once; so many are lost before damage in a compressed file."""

MOST_LINE_BYTES = 256 << 20
"""Bytes of a line, at most."""


def with_compressed(*extensions: str) -> tuple[str, ...]:
    """List endings, alone and followed by those of compressed files.

    >>> with_compressed("csv")[:3]
    ('csv', 'csv.gz', 'csv.gzip')
    """
    return tuple(f"{one}{more}" for one in extensions for more in ("", *(f".{ending}" for ending in COMPRESSED)))


@contextmanager
def opened_stream(path: str, filesystem: FileSystem = None) -> Iterator[Any]:
    """Open a file, local or remote, as an Arrow stream of what it holds; errors name the file.

    Raises
    ------
    ReadError
        If it cannot be read.
    DecodeError
        If what is in it is damaged, as whoever reads the stream tells.
    """
    location = locate(path, filesystem)
    with ExitStack() as stack:
        try:
            if location.remote is None:
                tally("bytes_read", regular_size(location.path))
                stream = stack.enter_context(pa.OSFile(location.path))
            else:
                stream = stack.enter_context(location.remote.open(location.path, "rb"))
            tally("files_opened")
            codec = COMPRESSED.get(path.rpartition(".")[2].lower())
            yield stream if codec is None else stack.enter_context(_Expanded(stream, codec))
        except RowError as error:
            raise error.at(uri=path) from error.__cause__
        except LightdataError:
            raise
        except OSError as error:
            # Arrow raises OSError without a number for damage that it finds.
            raise read_error(error, path) if error.errno else DecodeError(str(error), uri=path) from error
        except (pa.ArrowException, ValueError, EOFError) as error:
            raise DecodeError(str(error), uri=path) from error


class _Expanded(io.RawIOBase):
    """What a compressed stream holds, as long as it does not expand too far."""

    def __init__(self, packed: Any, codec: str) -> None:
        self._packed = packed
        self._stream = pa.CompressedInputStream(packed, codec)
        self._given = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Read on.

        Raises
        ------
        LimitError
            If it goes beyond ``max_expansion``.
        """
        pieces: list[bytes] = []
        left = sys.maxsize if size < 0 else size
        while left > 0 and (piece := self._stream.read(min(left, _PIECE_BYTES))):
            pieces.append(piece)
            left -= len(piece)
            self._given += len(piece)
            check_expansion(self._packed.tell(), self._given)
        return b"".join(pieces)

    def close(self) -> None:
        self._stream.close()
        super().close()


def line_blocks(stream: Any, block_bytes: int) -> Iterator[list[bytes]]:
    """Cut a stream into lines, without what ends them, some megabytes at a time; a byte order mark is no text.

    Raises
    ------
    DecodeError
        If a line has no end: a compressed file may hold any number of zeros.
    """
    begun: list[bytes] = []
    for block in _blocks(stream, block_bytes):
        end = block.rfind(b"\n")
        if end >= 0:
            yield _lines(b"".join([*begun, block[:end]]))
            begun = [block[end + 1 :]]
        elif sum(map(len, begun)) <= MOST_LINE_BYTES:
            begun.append(block)
        else:
            raise DecodeError(f"a line has more than {MOST_LINE_BYTES} bytes")
    if rest := b"".join(begun):
        yield _lines(rest)


def _lines(block: bytes) -> list[bytes]:
    lines = block.split(b"\n")
    return [line.removesuffix(b"\r") for line in lines] if b"\r" in block else lines


def _blocks(stream: Any, size: int) -> Iterator[bytes]:
    """Read a stream to its end, or to where it is damaged: what comes before that is sound."""
    pieces: list[bytes] = []
    try:
        while piece := bytes(stream.read(_PIECE_BYTES)):
            pieces.append(piece if pieces else piece.removeprefix(codecs.BOM_UTF8))
            if len(pieces) * _PIECE_BYTES >= size:
                yield b"".join(pieces)
                pieces = [b""]  # not the first
    except (OSError, ValueError, EOFError, pa.ArrowException):  # among ValueErrors are those of limits
        yield b"".join(pieces)
        raise
    yield b"".join(pieces)
