"""Memory between two processes: slots that come back, pages that are given back, batches that have their own."""

import os
import sys

import numpy as np
import pyarrow as pa
import pytest

from lightdata.execute.arena import Arena, ArenaView, read_apart, stream_size, write_apart

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


def test_a_slot_comes_back_when_the_last_array_has_gone_and_nothing_in_python_runs_then():
    """A Ctrl-C that comes just then is not lost, nor is the slot."""
    arena = Arena(1 << 20)
    view = ArenaView(os.dup(arena.fd))
    slots = [arena.write(batch_of(100_000), stream_size(batch_of(100_000))) for _ in range(2)]
    column = view.read(*slots[0]).column(0)
    view.leave(slots[1][0])
    assert view.take_freed() == [slots[1][0]]
    ran = []
    sys.setprofile(lambda frame, event, _: ran.append(frame.f_code.co_name) if event == "call" else None)
    del column
    sys.setprofile(None)
    assert (ran, view.take_freed(), view.take_freed()) == ([], [slots[0][0]], [])
    arena.close_fd()
