"""Runs a model over a stream of batches: cut to calls, in order, on as many lanes as a device is worth.

How it behaves, on every device alike:

    Order      Answers leave in the order of what was given, however many lanes there are.
    Rows       A call has ``rows`` rows at most, and exactly so many where the device wants one shape.
    Memory     A call that the device has no memory for is made again with half the rows, and so are all later ones.
    Failure    Of what fails, here or in what is given, the first is raised, after all answers before it.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lightdata.errors import DeviceError
from lightdata.inference.lane import Lane, Pin
from lightdata.inference.model import ImageInput, Model, ValueInput
from lightdata.inference.profile import nodes_by_provider

_T = TypeVar("_T")
_LOG = logging.getLogger("lightdata")
_NO_MEMORY = re.compile(
    r"out of memory|failed to allocate memory|cuda_error_out_of_memory|cudaErrorMemoryAllocation"
    r"|CUDNN_STATUS_ALLOC_FAILED|CUBLAS_STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)
_GAIN = 0.97
"""What a doubled call must take for each row, of what it took before, to be worth its memory."""

Answer = list[NDArray[Any]]
"""One array ``[N, ...]`` for each output that is kept."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Rows that go into one call, as far as that may be so large."""

    values: Mapping[str, NDArray[Any]]
    """``[N, ...]`` by input."""

    rows: NDArray[np.intp] | None = None
    """Which rows of their batch they are; ``None`` for all, in order."""

    def __len__(self) -> int:
        return _length(self.values)


class Runner:
    """An open session with its lanes."""

    def __init__(
        self,
        session: Any,
        model: Model,
        *,
        rows: int | None,
        most_rows: int,
        lanes: int = 1,
        pin: Pin | None = None,
    ) -> None:
        self.session = session
        self.nodes: Mapping[str, int] = {}
        """How many nodes of the graph each execution provider runs, where the session is profiled until it has run."""

        self.rows = rows
        """Rows of a call; ``None`` until the first rows have told how many are fastest."""

        self.is_profiled = False
        """Whether the session keeps a profile, which its first call ends."""

        self._most = most_rows
        self.model = model
        self._is_padded = lanes > 1 or model.fixed_rows is not None
        self._guard = threading.Lock()
        self._lanes: SimpleQueue[Lane] = SimpleQueue()
        self._all = [Lane(session, model, pin) for _ in range(lanes)]
        for lane in self._all:
            self._lanes.put(lane)
        self._threads = ThreadPoolExecutor(lanes, thread_name_prefix="lightdata-infer") if lanes > 1 else None

    @property
    def inputs(self) -> Sequence[ImageInput | ValueInput]:
        """What the session takes."""
        return self.model.inputs

    def calls(self, rows: int) -> int:
        """Tell how many calls so many rows take."""
        return -(-rows // (self.rows or self._most))

    def close(self) -> None:
        """End threads, and free what is locked in memory."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        for lane in self._all:
            lane.close()
        if self.is_profiled:
            nodes_by_provider(self.session)  # nothing was run, and its file would be left

    def stream(self, work: Iterator[tuple[_T, Sequence[Feed]]]) -> Iterator[tuple[_T, list[Answer]]]:
        """Answer what is given, each with its key, in order; while some is computed the next is made."""
        if self._threads is None:
            yield from ((key, [self._answer(feed.values) for feed in feeds]) for key, feeds in work)
            return
        pending: deque[tuple[_T, list[list[Future[Answer]]]]] = deque()
        failure: list[Exception] = []
        try:
            for key, feeds in _until_failure(work, failure):
                pending.append((key, [self._begun(feed.values, self._threads) for feed in feeds]))
                if len(pending) > len(self._all):
                    yield _finished(*pending.popleft())
            while pending:
                yield _finished(*pending.popleft())
        finally:
            for begun in (one for _, feeds in pending for one in feeds):
                for future in begun:
                    future.cancel()
        if failure:
            raise failure[0]

    def _begun(self, values: Mapping[str, NDArray[Any]], threads: ThreadPoolExecutor) -> list[Future[Answer]]:
        self._find_rows(values)
        step = self.rows or self._most
        return [threads.submit(self._answer, part) for part in _parts(values, step)]

    def _answer(self, values: Mapping[str, NDArray[Any]]) -> Answer:
        self._find_rows(values)
        lane = self._lanes.get()
        try:
            return _joined([*self._calls(lane, values)])
        finally:
            self._lanes.put(lane)

    def _calls(self, lane: Lane, values: Mapping[str, NDArray[Any]]) -> Iterator[Answer]:
        start, count = 0, _length(values)
        while start < count:
            rows = self.rows or self._most
            part = {name: array[start : start + rows] for name, array in values.items()}
            try:
                answer = lane.run(part, rows if self._is_padded else _length(part))
            except Exception as error:
                if not _NO_MEMORY.search(str(error)):
                    raise
                self._halve(rows, error)
                continue
            yield answer
            start += rows

    def _halve(self, rows: int, error: Exception) -> None:
        with self._guard:
            if self.rows is not None and self.rows < rows:
                return  # the other lane has met the same
            if rows == 1 or self.model.fixed_rows is not None:
                raise DeviceError(
                    f"the device has no memory for {rows} rows of {self.model.file.name} in one call: {error}"
                ) from error
            self.rows = rows // 2
            _LOG.warning("the device has no memory for %d rows in one call; going on with %d", rows, self.rows)

    def _profile(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Ask, with the first row, where the nodes of the graph run: it warms the device up too."""
        with self._guard:
            if not self.is_profiled:
                return
            self.is_profiled = False
            lane = self._lanes.get()
            try:
                lane.run({name: array[:1] for name, array in values.items()}, self.model.fixed_rows or 1)
                self.nodes = nodes_by_provider(self.session)
            finally:
                self._lanes.put(lane)

    def _find_rows(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Find the largest call that pays, where nobody has said how large it should be."""
        if self.is_profiled:
            self._profile(values)
        if self.rows is not None:
            return
        with self._guard:
            lane = self._lanes.get()
            try:
                self.rows = self.rows or best_rows(lambda rows: _timed(lane, values, rows), self._most)
            finally:
                self._lanes.put(lane)
        _LOG.info("batch_size='auto' takes %d rows for %s", self.rows, self.model.file.name)


def _until_failure(items: Iterator[_T], failure: list[Exception]) -> Iterator[_T]:
    """Pass items on; what goes wrong ends them, and is kept."""
    try:
        yield from items
    except Exception as error:  # noqa: BLE001 - raised after the answers before it
        failure.append(error)


def best_rows(seconds: Callable[[int], float], most: int) -> int:
    """Double the rows of a call for as long as each row gets cheaper by it; memory that does not suffice ends it.

    >>> best_rows(lambda rows: 1.0 + rows / 100, 64)
    64
    >>> best_rows(lambda rows: rows * (1.0 if rows < 8 else 2.0), 64)
    1
    """
    best, cost, rows = 1, seconds(1), 2
    while rows <= most:
        try:
            found = seconds(rows) / rows
        except Exception as error:
            if not _NO_MEMORY.search(str(error)):
                raise
            break
        if found > cost * _GAIN:
            break
        best, cost, rows = rows, found, rows * 2
    return best


def _timed(lane: Lane, values: Mapping[str, NDArray[Any]], rows: int) -> float:
    filled = {name: np.repeat(array[:1], rows, axis=0) for name, array in values.items()}
    lane.run(filled, rows)  # a device searches for its kernels when it first sees a shape
    started = time.perf_counter()
    lane.run(filled, rows)
    return time.perf_counter() - started


def _length(values: Mapping[str, NDArray[Any]]) -> int:
    return len(next(iter(values.values())))


def _parts(values: Mapping[str, NDArray[Any]], rows: int) -> Iterator[dict[str, NDArray[Any]]]:
    for start in range(0, _length(values), rows):
        yield {name: array[start : start + rows] for name, array in values.items()}


def _joined(answers: list[Answer]) -> Answer:
    if len(answers) == 1:
        return answers[0]
    return [np.concatenate(parts) for parts in zip(*answers, strict=True)]


def _finished(key: _T, begun: list[list[Future[Answer]]]) -> tuple[_T, list[Answer]]:
    return key, [_joined([future.result() for future in futures]) for futures in begun]
