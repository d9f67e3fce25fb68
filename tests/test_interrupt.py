"""Ctrl-C is neither lost nor early where it is held back, and heard where a library waits."""

import _thread
import os
import signal
import threading

import pytest

from lightdata.interrupt import interruptible, interrupts_deferred, interrupts_heard, terminations_raised


def interrupt():
    """Send what Ctrl-C sends."""
    os.kill(os.getpid(), signal.SIGINT)


def in_foreign_thread(call):
    """Run a function in a thread that Python's threading does not know, as those of Polars."""
    found, done = [], threading.Event()

    def run():
        found.append(call())
        done.set()

    _thread.start_new_thread(run, ())
    assert done.wait(10)
    return found[0]


def test_an_interrupt_waits_for_the_end_of_the_block():
    """The block runs to its end, and then the interrupt comes."""
    done = []

    @interrupts_deferred()
    def run():
        interrupt()
        done.append("first")
        with interrupts_deferred():
            interrupt()
        done.append("second")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == ["first", "second"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_the_block_gives_way_to_the_interrupt():
    """An interrupt is raised though the block fails, and the error is kept as its context."""

    @interrupts_deferred()
    def run():
        interrupt()
        raise ValueError("mine")

    with pytest.raises(KeyboardInterrupt) as caught:
        run()
    assert isinstance(caught.value.__context__, ValueError)


def test_a_part_that_hears_ends_the_block_and_the_way_out_is_whole():
    """Where the block hears, the interrupt comes at once; a second one cuts off nothing, and is not raised again."""
    done = []

    @interrupts_deferred()
    def run():
        try:
            with interrupts_heard(), interrupts_heard():
                interrupt()
                done.append("too late")
        finally:
            interrupt()
            with interrupts_heard(), interrupts_deferred():
                interrupt()
            done.append("tidied up")

    with pytest.raises(KeyboardInterrupt) as caught:
        run()
    assert done == ["tidied up"]
    assert caught.value.__context__ is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_part_that_hears_hears_what_came_before():
    """An interrupt that waits is raised as soon as the block hears."""
    done = []

    @interrupts_deferred()
    def run():
        interrupt()
        done.append("first")
        with interrupts_heard():
            done.append("too late")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert done == ["first"]


def test_a_handler_of_the_programs_that_raises_nothing_ends_nothing():
    """It is called where the block hears, and the block goes on to hear."""
    came, before = [], signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        with interrupts_deferred():
            interrupt()
            assert came == []
            with interrupts_heard():
                interrupt()
                assert came == [signal.SIGINT] * 2
            interrupt()
        assert came == [signal.SIGINT] * 3
    finally:
        signal.signal(signal.SIGINT, before)


def test_signals_to_end_wait_and_are_heard_as_interrupts_are():
    """SIGTERM waits in a block within a part that hears, too, and leaves its default handler at the end."""
    done = []

    def run():
        with terminations_raised(), interrupts_deferred(), interrupts_heard():
            with interrupts_deferred():
                os.kill(os.getpid(), signal.SIGTERM)
                done.append("first")
            done.append("too late")

    with pytest.raises(SystemExit) as caught:
        run()
    assert (caught.value.code, done) == (143, ["first"])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_comes_last_of_all_is_forgotten():
    """At the end of the program there is nothing left to interrupt."""
    with interrupts_deferred(is_last=True):
        interrupt()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_pass_the_block_untouched():
    """A thread that hears no Ctrl-C changes no handler, and is not taken for one of Python's."""

    def run():
        with interrupts_deferred():
            return signal.getsignal(signal.SIGINT)

    before = threading.enumerate()
    assert in_foreign_thread(run) is signal.default_int_handler
    assert {*threading.enumerate()} <= {*before}


def test_an_interrupt_reaches_one_who_waits():
    """A Ctrl-C while the next item is awaited is raised at once, and the waiting thread ends with the wait."""
    go_on = threading.Event()

    def items():
        yield 1
        interrupt()
        go_on.wait(10)
        yield 2

    stream = interruptible(items(), "waiter")
    assert next(stream) == 1
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    (left,) = [thread for thread in threading.enumerate() if thread.name.startswith("waiter")]
    go_on.set()
    left.join(10)
    assert not left.is_alive()


@pytest.mark.parametrize("begins", ["here", "elsewhere"])
def test_a_stream_may_be_begun_and_ended_in_different_threads(begins):
    """A stream gives all its items from wherever it is pulled, and leaves no thread."""
    before = threading.enumerate()
    stream = interruptible(iter([1, 2, 3]), "waiter")
    calls = [lambda: next(stream), lambda: in_foreign_thread(lambda: next(stream))]
    first, second = calls if begins == "here" else calls[::-1]
    found = [first(), second()]
    rest = in_foreign_thread(lambda: list(stream)) if begins == "here" else list(stream)
    assert found + rest == [1, 2, 3]
    assert {*threading.enumerate()} <= {*before}


def test_an_error_of_the_items_is_raised_as_it_is():
    """The error of an item that was awaited elsewhere is the very one, and no thread is left."""
    error, before = ValueError("mine"), threading.enumerate()

    def items():
        yield 1
        raise error

    stream = interruptible(items(), "waiter")
    next(stream)
    with pytest.raises(ValueError, match="mine") as caught:
        next(stream)
    assert caught.value is error
    assert {*threading.enumerate()} <= {*before}
