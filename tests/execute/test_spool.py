"""Rows that several places read: each at its own pace, from memory or from disk."""

import threading

import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.execute.spool import Spool


def batches(count, error=None, closed=None):
    try:
        for number in range(count):
            yield pa.record_batch({"a": [number] * 100})
        if error is not None:
            raise error
    finally:
        if closed is not None:
            closed.append(True)


@pytest.fixture(params=[2 << 30, 1], ids=["in memory", "on disk"])
def limit(request):
    before = ld.config().memory_limit_bytes
    ld.config(memory_limit_bytes=request.param)
    yield request.param
    ld.config(memory_limit_bytes=before)


def first_values(stream):
    return [batch.column("a")[0].as_py() for batch in stream]


def test_each_reader_gets_all_batches(limit):
    """Readers at different pace, the first to the end before the second begins, find the same."""
    spool = Spool(batches(20), 3)
    ahead, behind = spool.read(), spool.read()
    assert first_values(next(ahead) for _ in range(5)) == [0, 1, 2, 3, 4]
    assert first_values(behind) == list(range(20))
    assert first_values(ahead) == list(range(5, 20))
    assert first_values(spool.read()) == list(range(20))
    spool.close()


def test_readers_in_threads(limit):
    """Readers in several threads find the same, whoever is ahead."""
    spool = Spool(batches(200), 4)
    found = []
    threads = [threading.Thread(target=lambda: found.append(first_values(spool.read()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert found == [list(range(200))] * 4
    spool.close()


def test_an_error_reaches_every_reader_after_the_rows_before_it(limit):
    """Each reader gets the rows, then the very error."""
    error = ValueError("broken")
    spool = Spool(batches(3, error), 2)
    for stream in (spool.read(), spool.read()):
        assert first_values(next(stream) for _ in range(3)) == [0, 1, 2]
        with pytest.raises(ValueError, match="broken") as caught:
            next(stream)
        assert caught.value is error
    spool.close()


def test_what_all_have_read_is_let_go():
    """A batch is held until the last reader has it, and no longer."""
    spool = Spool(batches(10), 2)
    one, other = spool.read(), spool.read()
    assert len(first_values(one)) == 10
    held = spool._held_bytes
    assert held > 0
    assert len(first_values(other)) == 10
    assert spool._held_bytes == 0


def test_closing_ends_the_stream_behind(limit):
    """After close the stream behind is closed, and readers end."""
    closed = []
    spool = Spool(batches(10, closed=closed), 2)
    stream = spool.read()
    next(stream)
    spool.close()
    assert closed == [True]
    assert list(stream) == []


def test_more_readers_than_announced_are_refused():
    """What was let go cannot be read again."""
    spool = Spool(batches(2), 1)
    list(spool.read())
    with pytest.raises(RuntimeError, match="more readers than the 1"):
        list(spool.read())
