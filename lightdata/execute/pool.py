"""Run stages in worker processes.

How the pool behaves. Code that disagrees with this is wrong.
  Success    Every task is answered once; batches leave in task order.
  Failure    The first error in task order is raised, after the batches before it; the rest is cancelled.
  Closed     The consumer stops early: workers are told to stop, and those that do not within a second are killed.
  Crash      A dead worker is a Failure that names its stage and how it died.
  Warm       Workers that are idle wait for the next query; they end with the interpreter, or when it dies.
  Bounded    What workers made and nobody took stays under ``memory_limit_bytes``, a batch for each worker apart.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing.connection import Connection, wait
from typing import Any

import pyarrow as pa

from lightdata.config import config
from lightdata.errors import ExecutionError, WorkerDiedError
from lightdata.execute.arena import read_stream
from lightdata.execute.closures import dumps
from lightdata.execute.cores import cpu_count
from lightdata.execute.executor import run_steps
from lightdata.execute.inline import run_here
from lightdata.execute.message import (
    AckMessage,
    BatchMessage,
    DoneMessage,
    FailedMessage,
    StageMessage,
    TaskMessage,
)
from lightdata.execute.processes import Worker, leased
from lightdata.io.memory import BatchTask
from lightdata.io.polars_stream import POLARS_SHARE
from lightdata.io.source import ReadTask
from lightdata.physical.operators.read_files import ReadFilesOperator
from lightdata.physical.polars_segment import PolarsSegment
from lightdata.physical.stage import Context, Pipeline, WorkStage
from lightdata.report.account import Told
from lightdata.report.run_log import RunLog, StageLog

_QUEUED = 2
"""Tasks a worker holds: the one it works on, and the next, so that it never waits for the calling process."""

_AHEAD = 4
"""Tasks for each worker, from the one the consumer waits for to the newest: how far workers run ahead."""

SMALL_BYTES = 4 << 20
"""Bytes of a query's only task below which no worker is asked."""


class RemoteTraceback(Exception):  # noqa: N818 - shown as the cause of the user's error, never raised by itself
    """The traceback of an error, as it was in the worker."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


class PoolExecutor:
    """Stages run in worker processes; steps between them in the calling process."""

    def __init__(self, *, workers: int, log: RunLog | None = None, inline_tasks: int = 0) -> None:
        self._workers = workers
        self._log = log or RunLog()
        self._inline_tasks = inline_tasks
        self._stage_bytes = config().memory_limit_bytes

    def run(self, pipeline: Pipeline, /) -> Iterator[pa.RecordBatch]:
        """Stream the pipeline's batches."""
        self._stage_bytes = bytes_for_each_stage(pipeline)
        return run_steps(pipeline, self.run_stage)

    def run_stage(self, stage: WorkStage, tasks: Iterator[ReadTask]) -> Iterator[pa.RecordBatch]:
        """Work off tasks: the first few here, where a query that wants few rows ends before a worker has started."""
        return self._run_stage(stage, tasks, Context(tally=self._log.stage(stage.name)))

    def _run_stage(self, stage: WorkStage, tasks: Iterator[ReadTask], context: Context) -> Iterator[pa.RecordBatch]:
        here = islice(tasks, self._inline_tasks if stage.is_heavy else None)  # None: all of them
        log = StageLog(self._log)
        yield from run_here(stage, here, context, log)
        first, second = next(tasks, None), next(tasks, None)
        if first is None:
            return
        if second is None and is_small(stage, first):
            yield from run_here(stage, iter([first]), context, log)
            return
        count = min(self._workers, stage.max_workers or self._workers)
        rest = chain([first] if second is None else [first, second], tasks)
        with leased(count, context.tally) as workers:
            yield from _StageRun(stage, rest, workers, log, self._stage_bytes).batches()


@dataclass(slots=True)
class _TaskState:
    """What is known of a task that was sent."""

    number: int
    batches: deque[tuple[Worker, int, pa.RecordBatch]] = field(default_factory=deque)
    is_done: bool = False
    told: Told = field(default_factory=Told)
    error: BaseException | None = None


class _StageRun:
    """One stage, its tasks and its workers."""

    def __init__(
        self,
        stage: WorkStage,
        tasks: Iterator[ReadTask],
        workers: list[Worker],
        log: StageLog,
        limit_bytes: int,
    ) -> None:
        self._stage = stage
        self._limit_bytes = limit_bytes
        self._tasks = tasks
        self._workers = workers
        self._log = log
        self._order: deque[_TaskState] = deque()
        self._by_number: dict[int, _TaskState] = {}
        self._exhausted = False
        self._sent = 0
        self._begin()

    def _begin(self) -> None:
        message = StageMessage(
            dumps(self._stage),
            config(),
            os.getcwd(),
            list(sys.path),
            self._limit_bytes // len(self._workers),
        )
        for worker in self._workers:
            worker.tasks.clear()
            worker.send(message)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the stage's batches, in task order."""
        while True:
            self._fill()
            if not self._order:
                return
            head = self._order[0]
            if head.batches:
                worker, nbytes, batch = head.batches.popleft()
                yield batch
                del batch  # a slot is free when the consumer lets go, not when the next batch comes
                worker.send(AckMessage(nbytes, worker.view.take_freed() if worker.view else []))
            elif head.error is not None:
                raise head.error
            elif head.is_done:
                self._log.add(head.told)  # in row order, whichever worker was first
                self._order.popleft()
                del self._by_number[head.number]
            else:
                self._receive()

    def _fill(self) -> None:
        """Send tasks to workers that hold fewer than they may; an error of the source takes its place in the order."""
        limit = _AHEAD * len(self._workers)
        while not self._exhausted and len(self._order) < limit and (worker := self._hungry()) is not None:
            state = _TaskState(self._sent)
            try:
                task = next(self._tasks, None)
            except Exception as error:  # noqa: BLE001 - it is raised in its turn
                state.error, self._exhausted = error, True
                task = None
            if task is None and state.error is None:
                self._exhausted = True
                return
            self._order.append(state)
            self._by_number[state.number] = state
            self._sent += 1
            if task is not None:
                worker.tasks.append(state.number)
                worker.send(TaskMessage(state.number, pickle.dumps(task, protocol=5)))

    def _hungry(self) -> Worker | None:
        worker = min(self._workers, key=lambda one: len(one.tasks), default=None)
        return worker if worker is not None and len(worker.tasks) < _QUEUED else None

    def _receive(self) -> None:
        """Wait for workers, and take what they say."""
        connections: dict[Connection, Worker] = {worker.connection: worker for worker in self._workers}
        for ready in wait(list(connections)):
            worker = connections[ready]  # type: ignore[index]  # wait gives back what it was given
            try:
                self._handle(worker, worker.receive())
            except (EOFError, ConnectionResetError):
                self._buried(worker)

    def _handle(self, worker: Worker, message: Any) -> None:
        match message:
            case BatchMessage(number=number, nbytes=nbytes, offset=offset, content=content):
                if offset is None or worker.view is None:
                    batch = read_stream(content or b"")
                else:
                    batch = worker.view.read(offset, nbytes)
                self._by_number[number].batches.append((worker, nbytes, batch))
            case DoneMessage(number=number, told=told):
                worker.tasks.remove(number)
                self._by_number[number].is_done = True
                self._by_number[number].told = told
            case FailedMessage(number=number, error=error, traceback=text):
                worker.tasks.remove(number)
                self._by_number[number].error = _remade(error, text)

    def _buried(self, worker: Worker) -> None:
        death = worker.death()
        worker.kill()
        self._workers.remove(worker)
        held = worker.tasks[0] if worker.tasks else None
        error = WorkerDiedError(
            f"a worker {death} while it ran task {held} of: {self._stage.name}"
            if held is not None
            else f"a worker {death} before it did anything"
        )
        if held is None and self._workers:
            return
        state = self._by_number[held] if held is not None else self._order[0]
        state.error = error
        for number in list(worker.tasks)[1:]:
            self._by_number[number].error = ExecutionError("its worker died before it began")


def _remade(content: bytes, text: str) -> BaseException:
    error, notes = pickle.loads(content)  # noqa: S301 - from our own worker
    error.__notes__ = notes
    error.__cause__ = RemoteTraceback(text)
    return error


def bytes_for_each_stage(pipeline: Pipeline) -> int:
    """Share ``memory_limit_bytes`` out: to Polars, where the query runs in it, and to the stages, which may all run."""
    parts = list(pipeline.walk())
    limit = config().memory_limit_bytes
    if any(isinstance(part.start, PolarsSegment) for part in parts):
        limit -= limit // POLARS_SHARE
    heavy = sum(isinstance(step, WorkStage) and step.is_heavy for part in parts for step in part.steps)
    return limit // max(heavy, 1)


def worker_count() -> int:
    """Give the number of worker processes: as configured, else one for each core this process may use."""
    if config().workers is not None:
        return max(config().workers or 0, 1)
    return cpu_count()


def is_small(stage: WorkStage, task: ReadTask) -> bool:
    """Whether a task is done here before a worker would have started."""
    if not isinstance(task, BatchTask):
        return False
    size = task.batch.get_total_buffer_size()
    if stage.operators and isinstance(reader := stage.operators[0], ReadFilesOperator):
        size += sum(_size(path) for path in task.batch.column(reader.path).to_pylist())
    return bool(size < SMALL_BYTES)


def _size(path: str | None) -> int:
    try:
        return os.stat(path or "").st_size
    except OSError:
        return 0
