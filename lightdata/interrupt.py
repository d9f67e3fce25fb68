"""Ctrl-C at moments at which it would be lost: held back for an instant, or listened for while a library waits.

A ``KeyboardInterrupt`` that is raised inside a callback of Polars, or while pyarrow imports pandas, is swallowed there;
and where a library waits without looking, none is raised at all.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

_T = TypeVar("_T")

_LISTEN_S = 0.1
"""Seconds between looks: a Ctrl-C that comes just before the main thread begins to wait does not wake it."""


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Let Ctrl-C wait until the block is done.

    >>> with interrupts_deferred():
    ...     done = "all of it"
    """
    handler = signal.getsignal(signal.SIGINT) if _is_main() else None
    if handler is None:
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


def interruptible(items: Iterator[_T], name: str) -> Iterator[_T]:
    """Give items of an iterator that waits where no Ctrl-C is heard; none of them is ``None``.

    The main thread lets another one, called ``name``, wait. Other threads hear no Ctrl-C and wait themselves: a stream
    may be begun in the one and ended in the other.

    >>> list(interruptible(iter("ab"), "waiter"))
    ['a', 'b']
    """
    waiters: list[threading.Thread] = []
    pool = ThreadPoolExecutor(1, name, initializer=lambda: waiters.append(threading.current_thread()))
    coming: Future[_T | None] = Future()
    coming.set_result(None)
    try:
        while True:
            if _is_main():
                with interrupts_deferred():  # one that came here would leave a thread that nobody knows of
                    coming = pool.submit(next, items, None)
                while not wait([coming], _LISTEN_S).done:
                    pass
                item = coming.result()
            else:
                item = next(items, None)
            if item is None:
                return
            yield item
    finally:
        pool.shutdown(wait=False)
        while coming.done() and any(waiter.is_alive() for waiter in waiters):
            time.sleep(0.0002)  # to join it would make a thread of Python's out of one of Polars'


def _is_main() -> bool:
    """Whether this is the main thread; asks without making a thread of Python's out of one of Polars'."""
    return threading.get_ident() == threading.main_thread().ident
