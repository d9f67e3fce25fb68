"""What a Parquet footer says of chunks of columns, looked at where Arrow can still refuse it."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import pyarrow.parquet as pq


class _Unread(io.RawIOBase):
    """A stream of which, once it is closed off, nothing more is read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.is_closed_off = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._stream.seek(offset, whence))

    def tell(self) -> int:
        return int(self._stream.tell())

    def read(self, size: int = -1) -> bytes:
        if self.is_closed_off:
            raise EOFError("values are not to be read")
        return bytes(self._stream.read(size))


def check_chunks(stream: Any, groups: Iterable[int] | None = None) -> None:
    """Have Arrow look at the chunks of some row groups, or of all, without reading a value.

    Python's view of a chunk that contradicts itself ends the process (``row_group.column``: an exception of C++ that
    nothing catches). The reader of rows looks at the same things before it reads any, and raises.

    Raises
    ------
    OSError
        If a chunk is not sound.
    """
    footer = _Unread(stream)
    # With a buffer, values are read when they are asked for.
    with pq.ParquetFile(footer, buffer_size=4096) as file:
        footer.is_closed_off = True
        for group in range(file.metadata.num_row_groups) if groups is None else groups:
            try:
                next(file.iter_batches(1, row_groups=[group], use_threads=False), None)
            except EOFError:
                continue
