"""What work is done, counted where it happens and added up for whoever asked for it.

Code that opens, decodes or encodes says so with :func:`tally`, once it has succeeded. That is added to the tally of
the work in hand, which :func:`tallied` names for as long as it makes an item, and only in its own thread: stages that
take turns, and queries of other threads, never see each other's work. Where nobody counts, nothing is added.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from time import perf_counter_ns
from typing import Literal, TypeVar

from lightdata.kernels.warned import Warned

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

Event = Literal[
    "files_opened",
    "bytes_read",
    "headers_read",
    "images_decoded",
    "images_encoded",
    "model_calls",
    "model_rows",
    "nodes_on_gpu",
    "nodes_on_cpu",
]
"""What code below the engine counts; the fields of :class:`Tally` say what each is."""


@dataclass(slots=True)
class Tally:
    """How much was done of each kind of work."""

    files_opened: int = 0
    """Times a file was opened for its rows. A Parquet file is opened once for each row group; footers and headers
    that only say how rows fall into tasks are not counted, nor is listing."""

    bytes_read: int = 0
    """Bytes of these files: whole files, the columns that were asked for of Parquet, the rows of ``.npy``."""

    headers_read: int = 0
    """Headers that told an image's size and mode."""

    images_decoded: int = 0
    """Times pixels were made of an encoded image."""

    images_encoded: int = 0
    """Times an encoded image was made of pixels."""

    model_calls: int = 0
    model_rows: int = 0
    """Images that models were run on."""

    nodes_on_gpu: int = 0
    """Nodes of the graphs of models that a GPU computes, of each session opened there."""

    nodes_on_cpu: int = 0
    """Nodes of the same graphs that fell to the CPU."""

    workers: int = 0
    """Processes that took part."""

    tasks: int = 0
    """Tasks begun."""

    rows: int = 0
    """Rows that came out."""

    nanoseconds: int = 0
    """Time spent on all of it, waiting for nobody else."""

    warned: Warned = field(default_factory=Warned)
    """What decoders warned of."""

    def add(self, other: Tally) -> None:
        """Add what another has counted."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def take(self) -> Tally:
        """Give what was counted so far, and begin anew."""
        taken, nothing = Tally(), Tally()
        taken.add(self)
        for one in fields(self):
            setattr(self, one.name, getattr(nothing, one.name))
        return taken


class _Work(threading.local):
    tally: Tally | None = None
    beat: Callable[[bool | None], object] | None = None
    name: Callable[[int], str | None] | None = None
    row: int = 0


_work = _Work()
"""The work in hand of each thread."""


def tally(event: Event, times: int = 1) -> None:
    """Count something that was done.

    >>> counts = Tally()
    >>> for _ in tallied((tally("headers_read") for _ in range(3)), counts):
    ...     tally("headers_read")  # the consumer's own is nobody's business
    >>> counts.headers_read
    3
    """
    alive()
    if (current := _work.tally) is not None:
        setattr(current, event, getattr(current, event) + times)


def rows_in_hand(name: Callable[[int], str | None] | None) -> None:
    """Say whose rows are worked on from now on: what tells the file of each, for warnings to name."""
    _work.name = name


def row_in_hand(number: int) -> None:
    """Say which of them is looked at next."""
    _work.row = number


def warned(heard: Sequence[tuple[str, str]]) -> None:
    """Take note of what a decoder warned of in one image: pairs of source and words. The row in hand names its file.

    >>> counts = Tally()
    >>> for _ in tallied((warned([("UserWarning", "odd")]) for _ in range(3)), counts):
    ...     pass
    >>> [cases.files for _, cases in counts.warned]
    [3]
    """
    if (current := _work.tally) is not None:
        current.warned.note(heard, None if _work.name is None else _work.name(_work.row))
    else:
        _log.debug("a decoder warned: %s", heard)


def alive() -> None:
    """Say that work goes on, to who watches over this thread."""
    if _work.beat is not None:
        _work.beat(None)


@contextmanager
def building() -> Iterator[None]:
    """Say that something is built that rows need, which may take longer than any row."""
    if _work.beat is None:
        yield
        return
    _work.beat(True)
    try:
        yield
    finally:
        _work.beat(False)


def watched(beat: Callable[[bool | None], object] | None) -> None:
    """Have a function called whenever some work of this thread is done, or no longer.

    It is told whether something begins to be built, or is built; ``None`` for other work.
    """
    _work.beat = beat


def tallied(items: Iterator[_T], counts: Tally) -> Iterator[_T]:
    """Pass items on, and add to ``counts`` what is done to make them and the time it takes."""
    while True:
        outer, _work.tally = _work.tally, counts
        started = perf_counter_ns()
        try:
            item = next(items)
        except StopIteration:
            return
        finally:
            counts.nanoseconds += perf_counter_ns() - started
            _work.tally, _work.name = outer, None  # rows that are named are held
        yield item
        del item  # while the next is made, nobody needs it
