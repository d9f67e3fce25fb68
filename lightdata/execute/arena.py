"""Batches between two processes through memory they share.

How an arena behaves. Code that disagrees with this is wrong.
  Write      The owner copies a batch into a free slot, once, as an Arrow IPC stream, and sends (offset, length) by
             pipe.
  Read       The peer wraps the slot without a copy. When the last array that looks at it is gone, it reports the
             offset.
  Free       The owner reuses a slot only after its offset came back. Pages are touched once and kept while it works;
             at rest it gives back those that no slot needs.
  Full       A batch that finds no slot has memory of its own, which goes with it; where descriptors cannot travel at
             any time (macOS), or for a small one, its bytes go by pipe: slower, never stuck.
  Death      The memory has no name (memfd on Linux, an unlinked file elsewhere); the kernel frees it with its last
             user.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
import weakref
from collections import deque
from collections.abc import Iterator

import pyarrow as pa

_ALIGNMENT = 64
"""Bytes; what Arrow recommends for its buffers."""

SENDS_APART = hasattr(os, "memfd_create")
"""Whether a batch may have memory of its own."""


class Arena:
    """The writing side."""

    def __init__(self, size_bytes: int) -> None:
        self.fd = _anonymous_file(size_bytes)
        self._map = mmap.mmap(self.fd, size_bytes)
        self._free = [(0, size_bytes)]
        self._used: dict[int, int] = {}

    def write(self, batch: pa.RecordBatch, nbytes: int) -> tuple[int, int] | None:
        """Copy a batch in; gives offset and length, or ``None`` where no slot is large enough."""
        offset = self._allocate(nbytes)
        if offset is None:
            return None
        out = pa.FixedSizeBufferWriter(pa.py_buffer(memoryview(self._map)[offset : offset + nbytes]))
        write_stream(batch, out)
        return offset, nbytes

    def release(self, offsets: list[int]) -> None:
        """Take slots back."""
        for offset in offsets:
            self._free.append((offset, self._used.pop(offset)))
        if offsets:
            self._free = list(_joined(sorted(self._free)))

    def give_back(self) -> None:
        """Give the system the pages that no slot needs, where it takes them."""
        for offset, size in self._free if hasattr(mmap, "MADV_REMOVE") else ():
            start = -(-offset // mmap.PAGESIZE) * mmap.PAGESIZE
            length = (offset + size - start) // mmap.PAGESIZE * mmap.PAGESIZE
            if length > 0:
                self._map.madvise(mmap.MADV_REMOVE, start, length)

    def close_fd(self) -> None:
        """Close the descriptor once the peer has its own; the mapping stays."""
        os.close(self.fd)

    def _allocate(self, nbytes: int) -> int | None:
        need = -(-nbytes // _ALIGNMENT) * _ALIGNMENT
        for place, (offset, size) in enumerate(self._free):
            if size >= need:
                self._used[offset] = need
                self._free[place : place + 1] = [(offset + need, size - need)] if size > need else []
                return offset
        return None


class ArenaView:
    """The reading side."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, os.fstat(fd).st_size)
        os.close(fd)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self._watched: dict[int, _Watch] = {}
        self._gone: deque[_Watch] = deque()
        """What was let go of, by whichever thread was the last to look at it."""

        self._unread: list[int] = []

    def read(self, offset: int, nbytes: int) -> pa.RecordBatch:
        """Wrap a slot as a batch, without a copy."""
        slot = _Slot(self)
        # Nothing in Python runs when it goes: a Ctrl-C that came just then would be lost, and the slot with it.
        self._watched[offset] = watch = _Watch(slot, self._gone.append)
        watch.offset = offset
        return read_stream(pa.foreign_buffer(self._address + offset, nbytes, base=slot))

    def leave(self, offset: int) -> None:
        """Have a slot reported that nobody will read."""
        self._unread.append(offset)

    def take_freed(self) -> list[int]:
        """Give the offsets nobody looks at any more."""
        freed, self._unread = self._unread, []
        for _ in range(len(self._gone)):
            freed.append(offset := self._gone.popleft().offset)
            del self._watched[offset]
        return freed


class _Slot:
    """Lives as long as an array looks at the slot, and the memory with it."""

    def __init__(self, view: ArenaView) -> None:
        self._view = view


class _Watch(weakref.ref[_Slot]):
    """Tells when a slot has gone."""

    offset: int


def write_apart(batch: pa.RecordBatch, nbytes: int) -> int:
    """Copy a batch into memory of its own; gives its descriptor."""
    fd = _anonymous_file(nbytes)
    with mmap.mmap(fd, nbytes) as room:
        write_stream(batch, pa.FixedSizeBufferWriter(pa.py_buffer(memoryview(room))))
    return fd


def read_apart(fd: int) -> pa.RecordBatch:
    """Wrap a batch that has memory of its own, which ends with the last array that looks at it."""
    room = mmap.mmap(fd, os.fstat(fd).st_size)
    os.close(fd)
    return read_stream(pa.py_buffer(room))


def stream_size(batch: pa.RecordBatch) -> int:
    """Measure a batch as an Arrow IPC stream, in bytes."""
    counted = pa.MockOutputStream()
    write_stream(batch, counted)
    return int(counted.size())


def write_stream(batch: pa.RecordBatch, out: object) -> None:
    """Write a batch as an Arrow IPC stream."""
    with pa.ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)


def read_stream(buffer: pa.Buffer | bytes) -> pa.RecordBatch:
    """Read the one batch of an Arrow IPC stream; it looks at the buffer, and keeps it alive."""
    with pa.ipc.open_stream(buffer) as reader:
        return reader.read_next_batch()


def _anonymous_file(size_bytes: int) -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("lightdata")
    else:
        with tempfile.TemporaryFile() as file:  # unlinked at once; the duplicate keeps it
            fd = os.dup(file.fileno())
    os.ftruncate(fd, size_bytes)
    return fd


def _joined(parts: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start, size = parts[0]
    for offset, more in parts[1:]:
        if offset == start + size:
            size += more
        else:
            yield start, size
            start, size = offset, more
    yield start, size
