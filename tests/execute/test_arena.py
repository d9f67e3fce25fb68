"""Memory between two processes: slots that come back, pages that are given back, batches that have their own."""

import os
import sys

import numpy as np
import pyarrow as pa
import pytest

from lightdata.execute.arena import Arena, read_apart, stream_size, write_apart

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pages are counted as Linux counts them")


def held_bytes(arena):
    return os.fstat(arena.fd).st_blocks * 512


def batch_of(nbytes):
    return pa.record_batch({"x": np.ones(nbytes, np.uint8)})


def test_pages_that_no_slot_needs_are_given_back():
    """Freed slots give their pages back, slots in use keep their rows."""
    arena = Arena(64 << 20)
    kept, gone = batch_of(1 << 20), batch_of(16 << 20)
    first = arena.write(kept, stream_size(kept))
    second = arena.write(gone, stream_size(gone))
    arena.give_back()
    assert held_bytes(arena) > 16 << 20
    arena.release([second[0]])
    arena.give_back()
    assert 1 << 20 <= held_bytes(arena) < 2 << 20
    start, size = first
    with pa.ipc.open_stream(arena._map[start : start + size]) as reader:
        assert reader.read_next_batch().equals(kept)


def test_a_batch_may_have_memory_of_its_own():
    """A batch is the same on the other side, and its memory ends with it."""
    batch = batch_of(3 << 20)
    before = len(os.listdir("/proc/self/fd"))
    arrived = read_apart(write_apart(batch, stream_size(batch)))
    assert arrived.equals(batch)
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    del arrived
    assert len(os.listdir("/proc/self/fd")) == before
