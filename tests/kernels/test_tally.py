"""Work is counted for whoever asked for it, and for nobody else."""

import pickle
import threading

import pytest

from lightdata.kernels.tally import Tally, tallied, tally


def decoded(items, times=1):
    """Pass items on, and count some images for each."""
    for item in items:
        tally("images_decoded", times)
        yield item


def test_work_between_items_is_not_counted():
    """Only what makes an item counts: the consumer's own work, before, between and after, does not."""
    counts = Tally()
    tally("files_opened")
    for _ in tallied(decoded(range(3)), counts):
        tally("files_opened")
    tally("files_opened")
    assert (counts.images_decoded, counts.files_opened) == (3, 0)
    assert counts.nanoseconds > 0


def test_streams_that_take_turns_or_nest_do_not_mix():
    """Each stream counts its own, also one that is consumed while an item of another is made."""
    first, second, outer, inner = Tally(), Tally(), Tally(), Tally()
    list(zip(tallied(decoded(range(4)), first), tallied(decoded(range(4), 10), second), strict=True))

    def nesting():
        for item in tallied(decoded(range(2), 100), inner):
            tally("headers_read")
            yield item

    list(tallied(nesting(), outer))
    assert (first.images_decoded, second.images_decoded) == (4, 40)
    assert (outer.headers_read, outer.images_decoded, inner.images_decoded) == (2, 0, 200)


def test_threads_do_not_mix():
    """Work of one thread never reaches the tally that is current in another."""
    tallies = [Tally() for _ in range(8)]
    barrier = threading.Barrier(len(tallies))

    def work(number):
        barrier.wait()
        for _ in tallied(decoded(range(200), number), tallies[number]):
            tally("images_decoded", 1000)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(tallies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.images_decoded for one in tallies] == [200 * number for number in range(len(tallies))]


def test_what_was_done_before_an_error_counts():
    """An error ends the counting, keeps the count and gives the thread back to who had it."""

    def failing():
        tally("images_decoded")
        yield 1
        tally("images_decoded")
        raise ZeroDivisionError

    counts = Tally()
    with pytest.raises(ZeroDivisionError):
        list(tallied(failing(), counts))
    tally("images_decoded")
    assert counts.images_decoded == 2


def test_a_stream_that_is_closed_closes_what_it_reads():
    """Closing ends the stream behind it, and keeps what was counted."""
    ended = []

    def source():
        try:
            yield from decoded(range(9))
        finally:
            ended.append(True)

    counts = Tally()
    stream = tallied(source(), counts)
    assert next(stream) == 0
    stream.close()
    del stream
    assert ended == [True]
    assert counts.images_decoded == 1


def test_tallies_add_up_travel_and_begin_anew():
    """What is taken is all that was counted since the last time, and adding it elsewhere loses nothing."""
    counts, total = Tally(images_decoded=2, rows=5), Tally(rows=1)
    total.add(pickle.loads(pickle.dumps(counts.take())))
    counts.bytes_read += 7
    total.add(counts.take())
    assert total == Tally(images_decoded=2, rows=6, bytes_read=7)
    assert counts == Tally()
