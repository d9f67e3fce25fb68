"""Rows that several places of a query read: made once, kept until the last has read them, on disk if they are many."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import pyarrow as pa

from lightdata.config import memory_limit
from lightdata.execute.arena import read_stream, write_stream
from lightdata.kernels.rebatch import owned

SPOOL_SHARE = 4
"""The part of the memory limit that the spools of a query take before they go to disk: one in so many."""


@dataclass(slots=True)
class _Kept:
    """A batch that somebody has still to read."""

    unread: int
    batch: pa.RecordBatch | None = None
    place: tuple[int, int] = (0, 0)
    """Where it is in the file, and how long."""


class Spool:
    """Hands one stream of batches to several readers, each at its own pace, in any thread.

    The reader that is ahead makes the rows; the others find them. So no reader waits for another, whatever the order in
    which they are read. The file has no name, and is gone when nobody holds it. Of a query's ``spools`` each may hold
    the same part in memory.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch], readers: int, spools: int = 1) -> None:
        self._batches = batches
        self._readers = readers
        self._turn = threading.Lock()
        self._kept: list[_Kept | None] = []
        self._held_bytes = 0
        self._limit_bytes = memory_limit() // SPOOL_SHARE // spools
        self._file: IO[bytes] | None = None
        self._is_over = False
        self._error: BaseException | None = None

    def read(self) -> Iterator[pa.RecordBatch]:
        """Stream all batches, from the first."""
        number = 0
        while (batch := self._get(number)) is not None:
            yield batch
            number += 1

    def close(self) -> None:
        """End the stream behind it, and let go of everything."""
        with self._turn:
            self._is_over = True
            self._kept.clear()
            if hasattr(self._batches, "close"):
                self._batches.close()
            if self._file is not None:
                self._file.close()

    def _get(self, number: int) -> pa.RecordBatch | None:
        with self._turn:
            if number >= len(self._kept) and not self._is_over:
                self._make()
            if number < len(self._kept):
                return self._taken(number)
            if self._error is not None:
                raise self._error
            return None

    def _make(self) -> None:
        try:
            batch = next(self._batches, None)
        except BaseException as error:  # noqa: BLE001 - every reader gets it in its place
            self._error, batch = error, None
        if batch is None:
            self._is_over = True
            return
        batch = owned(batch)
        nbytes = batch.get_total_buffer_size()
        if self._held_bytes + nbytes > self._limit_bytes:
            self._kept.append(_Kept(self._readers, place=self._spilled(batch)))
            return
        self._held_bytes += nbytes
        self._kept.append(_Kept(self._readers, batch=batch))

    def _taken(self, number: int) -> pa.RecordBatch:
        kept = self._kept[number]
        if kept is None:
            raise RuntimeError(f"more readers than the {self._readers} that were announced")
        batch = kept.batch if kept.batch is not None else self._unspilled(*kept.place)
        kept.unread -= 1
        if not kept.unread:
            self._held_bytes -= 0 if kept.batch is None else kept.batch.get_total_buffer_size()
            self._kept[number] = None
        return batch

    def _spilled(self, batch: pa.RecordBatch) -> tuple[int, int]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="lightdata-")  # noqa: SIM115 - closed with the spool
        start = self._file.seek(0, os.SEEK_END)
        write_stream(batch, self._file)
        return start, self._file.tell() - start

    def _unspilled(self, start: int, nbytes: int) -> pa.RecordBatch:
        if self._file is None:
            raise RuntimeError("nothing was spilled")
        self._file.seek(start)
        return read_stream(self._file.read(nbytes))
