"""Ctrl-C at moments at which it would be lost: held back for an instant, or listened for while a library waits.

A ``KeyboardInterrupt`` that is raised inside a callback of Polars, or while pyarrow imports pandas, is swallowed there;
and where a library waits without looking, none is raised at all.

How a run ends by a signal. Code that disagrees with this is wrong.
  SIGINT    Is Python's own: KeyboardInterrupt, unless the program has a handler of its own.
  SIGTERM   and SIGHUP raise SystemExit while a run is open, with exit code 143 or 129, so that workers are ended and
            staged files removed. Only where they would have ended the process: a handler of the program's, or nohup's
            deafness, stays. A second one, while the first is obeyed, changes nothing.
  Way out   What a run leaves to be undone is undone with signals held back; where it waits, for rows, a lock or a
            network, they are heard, until the first has come: nobody who presses Ctrl-C twice is left with half a run.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")

_TERMINATIONS = [number for name in ("SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]

_LISTEN_S = 0.1
"""Seconds between looks: a Ctrl-C that comes just before the main thread begins to wait does not wake it."""


@contextmanager
def terminations_raised() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a block as Ctrl-C does; blocks may overlap in any order.

    >>> with terminations_raised():
    ...     done = "all of it"
    """
    with _turn:
        _open.blocks += 1
        if _open.blocks == 1 and _is_main():
            for number in _TERMINATIONS:
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, _terminate)
    try:
        yield
    finally:
        with _turn:
            _open.blocks -= 1
            if not _open.blocks and _is_main():
                _open.is_ending = False
                for number in _TERMINATIONS:
                    if signal.getsignal(number) is _terminate:
                        signal.signal(number, signal.SIG_DFL)


def _terminate(number: int, _: object) -> None:
    if not _open.is_ending:
        _open.is_ending = True
        raise SystemExit(128 + number)


@dataclass(slots=True)
class _Open:
    """Blocks that are to be ended by signals."""

    blocks: int = 0
    is_ending: bool = False
    """Whether a signal has come, and is being obeyed."""

    hold: _Hold | None = None
    """The innermost block in which signals wait."""


_open = _Open()
_turn = threading.RLock()


@contextmanager
def interrupts_deferred(*, is_last: bool = False) -> Iterator[None]:
    """Let Ctrl-C, and the signals that end a run, wait until the block is done.

    With ``is_last`` they are forgotten then: the program has ended, and has nothing left that they could end.

    >>> with interrupts_deferred():
    ...     done = "all of it"
    """
    hold = _Hold(_open.hold, _handlers() if _is_main() else {})
    try:
        for number in hold.handlers:
            signal.signal(number, hold.take)
        if hold.handlers:
            _open.hold = hold
        yield
    finally:
        if hold.handlers:
            _open.hold = hold.before
        hold.is_over = True
        for number, handler in hold.handlers.items():
            signal.signal(number, handler)
        if hold.came and not is_last:
            signal.raise_signal(hold.came[0])


@contextmanager
def interrupts_heard() -> Iterator[None]:
    """Hear signals after all while a part of a block that defers them runs; the first one closes the ear again.

    >>> with interrupts_deferred():
    ...     with interrupts_heard():
    ...         waited = "long"
    """
    hold = _open.hold if _is_main() else None
    if hold is None or hold.is_heard or hold.has_ended:
        yield
        return
    try:
        hold.is_heard = True
        if hold.came:
            hold.take(hold.came.pop(0), None)
        yield
    finally:
        hold.is_heard = False


class _Hold:
    """A block of the main thread in which signals wait."""

    def __init__(self, before: _Hold | None, handlers: dict[int, Any]) -> None:
        self.before = before
        """The block that it is in."""

        self.handlers = handlers
        """What is done on each signal outside of it."""

        self.came: list[int] = []
        self.is_heard = False
        self.has_ended = False
        """Whether a signal has raised its exception in it: what follows is the way out, which no other one cuts off."""

        self.is_over = False

    def take(self, number: int, frame: Any) -> None:
        """Keep a signal for later, or do what it is for."""
        if self.is_over:
            self.handlers[number](number, frame)
        elif self.is_heard:
            self.is_heard, self.has_ended = False, True
            self.handlers[number](number, frame)
            self.is_heard, self.has_ended = True, False  # a handler of the program's, which raised nothing
        elif not self.has_ended:
            self.came.append(number)


def _handlers() -> dict[int, Any]:
    """Give what is done on signals that raise an exception."""
    handlers: dict[int, Any] = {}
    if callable(interrupt := signal.getsignal(signal.SIGINT)):  # else nobody hears it, or it ends all at once
        handlers[signal.SIGINT] = interrupt
    for number in _TERMINATIONS:
        handler = signal.getsignal(number)
        if handler is _terminate or isinstance(getattr(handler, "__self__", None), _Hold):
            handlers[number] = handler
    return handlers


def interruptible(items: Iterator[_T], name: str) -> Iterator[_T]:
    """Give items of an iterator that waits where no Ctrl-C is heard; none of them is ``None``.

    The main thread lets another one, called ``name``, wait. Other threads hear no Ctrl-C and wait themselves: a stream
    may be begun in the one and ended in the other.

    >>> list(interruptible(iter("ab"), "waiter"))
    ['a', 'b']
    """
    waiter = _Waiter(items, name)
    try:
        while True:
            item = waiter.next() if _is_main() else next(items, None)
            if item is None:
                return
            yield item
            del item  # while the next is waited for, nobody needs it
    finally:
        waiter.end()


class _Waiter(Generic[_T]):
    """A thread that pulls an item each time it is asked to, and hands over the item or its error."""

    def __init__(self, items: Iterator[_T], name: str) -> None:
        self._asked: SimpleQueue[bool] = SimpleQueue()
        self._given: SimpleQueue[tuple[_T | None, BaseException | None]] = SimpleQueue()
        self._is_waited_for = False
        self._thread: threading.Thread | None = None  # to make one in a thread of Polars' would make that Python's
        self._items, self._name = items, name

    def _pull(self) -> None:
        item: _T | None = None
        while self._asked.get():
            try:
                item = next(self._items, None)
                self._given.put((item, None))
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                self._given.put((None, error))
                return
            if item is None:
                return
            del item

    def next(self) -> _T | None:
        """Wait for the next item, ``None`` at the end, and raise a Ctrl-C as soon as it comes."""
        if self._thread is None:
            with interrupts_deferred():  # one that came here would leave a thread that nobody knows of
                self._thread = threading.Thread(target=self._pull, name=self._name)
                self._thread.start()
        self._is_waited_for = True
        self._asked.put(True)
        while True:
            try:
                item, error = self._given.get(timeout=_LISTEN_S)
                break
            except Empty:
                continue
        self._is_waited_for = False
        if error is None:
            return item
        try:
            raise error
        finally:
            del error  # it would hold itself by its traceback

    def end(self) -> None:
        """Let the thread end; one that still waits ends with its wait."""
        self._asked.put(False)
        while self._thread is not None and not self._is_waited_for and self._thread.is_alive():
            time.sleep(0.00002)  # to join it would make a thread of Python's out of one of Polars'


def _is_main() -> bool:
    """Whether this is the main thread; asks without making a thread of Python's out of one of Polars'."""
    return threading.get_ident() == threading.main_thread().ident
