"""Run stages in worker processes.

How the pool behaves. Code that disagrees with this is wrong.
  Success    Every task is answered once; batches leave in task order.
  Failure    The first error in task order is raised, after the batches before it; the rest is cancelled.
  Closed     The consumer stops early: workers are told to stop, and those that do not within a second are killed.
  Crash      A worker that died, or was stopped, is replaced, and what it held is done again (see ``task_state.py``):
             what came of it is kept, and nothing is delivered twice. Steps whose work is seen elsewhere must bear that:
             writers make other staged files, and only those that a finished task tells of are committed; ``uri.write``
             takes a file that is there with the same bytes for its own. A user's function may run twice for a row.
  Start      Workers that die before they have loaded a stage are replaced ``RESTARTS`` times, each; then the run ends.
  Loop       So does it when ``DEATHS`` workers died with no task, nor part of one, finished between.
  Watch      A worker that hangs is ended (``row_timeout``); where nothing goes on, the log says who holds what.
  Warm       Workers that are idle wait for the next query; they end with the interpreter, or when it dies.
  Bounded    As ``memory_shares.py`` says: a worker that has its credit on the way waits for the consumer. What one
             that died had on the way counts for the one in its place.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, islice
from multiprocessing.connection import Connection, wait
from typing import Any

import pyarrow as pa

from lightdata.config import config, memory_limit
from lightdata.errors import WorkerDiedError
from lightdata.execute.arena import read_apart, read_stream
from lightdata.execute.closures import dumps
from lightdata.execute.cores import cpu_count
from lightdata.execute.executor import run_steps
from lightdata.execute.inline import run_here
from lightdata.execute.memory_shares import arena_bytes, bytes_for_each_stage, credit_bytes, settings_of_worker
from lightdata.execute.message import (
    AckMessage,
    BatchMessage,
    DoneMessage,
    FailedMessage,
    HoldsMessage,
    StageMessage,
)
from lightdata.execute.processes import GONE, Worker, leased
from lightdata.execute.task_state import Death, TaskState
from lightdata.execute.watch import LOOK_S, Watch
from lightdata.io.memory import BatchTask
from lightdata.io.source import ReadTask
from lightdata.physical.operators.read_files import ReadFilesOperator
from lightdata.physical.stage import Context, Pipeline, WorkStage, lets_rows_go
from lightdata.report.run_log import RunLog, StageLog

_QUEUED = 2
"""Tasks a worker holds: the one it works on, and the next, so that it never waits for the calling process."""

_AHEAD = 4
"""Tasks for each worker, from the one the consumer waits for to the newest: how far workers run ahead."""

RESTARTS = 3
"""How often a worker that dies before it has loaded its stage is replaced."""

DEATHS = 16
"""Workers that may die while nothing is finished: more than it takes to find one row in a task."""

_SLOW_S = 0.02
"""Seconds for some tasks to come, above which the consumer is not to wait for more of them."""

_BEAT_S = 1.0
"""Seconds between signs of life, at most."""

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
        self._stage_bytes = memory_limit()

    def run(self, pipeline: Pipeline, /) -> Iterator[pa.RecordBatch]:
        """Stream the pipeline's batches."""
        self._stage_bytes = bytes_for_each_stage(pipeline)
        return run_steps(pipeline, self.run_stage)

    def run_stage(self, stage: WorkStage, tasks: Iterator[ReadTask]) -> Iterator[pa.RecordBatch]:
        """Work off tasks: the first few here, where a query that wants few rows ends before a worker has started."""
        return self._run_stage(stage, tasks, Context(tally=self._log.stage(stage.name), number=stage.begins.tasks))

    def _run_stage(self, stage: WorkStage, tasks: Iterator[ReadTask], context: Context) -> Iterator[pa.RecordBatch]:
        here = islice(tasks, self._inline_tasks if stage.is_heavy else None)  # None: all of them
        log = self._log.stage_log(stage, stage.begins)
        yield from run_here(stage, here, context, log)
        first = next(tasks, None)
        if first is None:
            return
        is_only, others = _peeked(tasks)
        if is_only and is_small(stage, first):
            yield from run_here(stage, iter([first]), context, log)
            return
        count = min(self._workers, stage.max_workers or self._workers)
        rest = chain([first], others)
        with leased(count, context.tally, arena_bytes(self._stage_bytes, count)) as workers:
            yield from _StageRun(stage, rest, workers, log, self._stage_bytes, context.number).batches()


class _StageRun:
    """One stage, its tasks and its workers."""

    def __init__(
        self,
        stage: WorkStage,
        tasks: Iterator[ReadTask],
        workers: list[Worker],
        log: StageLog,
        limit_bytes: int,
        first: int,
    ) -> None:
        self._stage = stage
        self._tasks = tasks
        self._workers = workers
        self._log = log
        self._order: deque[TaskState] = deque()
        self._by_number: dict[int, TaskState] = {}
        self._held_back: dict[Worker, deque[int]] = {}
        """Tasks of workers that do an earlier one again: behind that, they might wait for credit that never comes."""

        self._exhausted = False
        self._next = first
        """The number of the next task; those before it were done here."""

        self._deaths = 0
        self._watch = Watch(stage.name)
        timeout_s = config().row_timeout
        self._message = StageMessage(
            dumps(stage),
            settings_of_worker(limit_bytes, len(workers)),
            _folder(),
            list(sys.path),
            credit_bytes(limit_bytes, len(workers)),
            None if timeout_s is None else min(timeout_s / 4, _BEAT_S),
            logging.getLogger("lightdata").getEffectiveLevel(),
        )
        for worker in workers:
            worker.begin(self._message)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Stream the stage's batches, in task order."""
        while True:
            self._let_go()
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
                self._log.add(head.told)
                raise head.error
            elif not head.is_done:
                self._receive()

    def _let_go(self) -> None:
        """Take note of the first tasks where nothing is left of them: in row order, whichever worker was first."""
        while self._order and (head := self._order[0]).is_done and not head.batches and head.error is None:
            self._log.add(head.told)
            self._order.popleft()
            del self._by_number[head.number]

    def _fill(self) -> None:
        """Send tasks to workers that hold fewer than they may; an error of the source takes its place in the order.

        Where tasks are slow to come, as those that another stage makes, what is ready goes to the consumer between.
        """
        limit, looked = _AHEAD * len(self._workers), time.monotonic()
        while not self._exhausted and len(self._order) < limit and (worker := self._hungry()) is not None:
            if time.monotonic() - looked > _SLOW_S:
                while self._receive(0):
                    pass
                looked = time.monotonic()
                if self._order and self._order[0].has_come():
                    return
                continue  # the worker may have died
            state = TaskState(self._next, None)
            try:
                state.task = next(self._tasks, None)
            except Exception as error:  # noqa: BLE001 - it is raised in its turn
                state.error, self._exhausted = error, True
            if state.task is None and state.error is None:
                self._exhausted = True
                return
            self._order.append(state)
            self._by_number[state.number] = state
            self._next += 1
            if state.task is not None:
                worker.give(state.message())

    def _hungry(self) -> Worker | None:
        worker = min(self._workers, key=lambda one: len(one.tasks))
        return worker if len(worker.tasks) < _QUEUED and worker not in self._held_back else None

    def _receive(self, timeout_s: float = LOOK_S) -> bool:
        """Wait for workers, and take what they say; whether any has said something."""
        connections: dict[Connection, Worker] = {worker.connection: worker for worker in self._workers}
        spoken = wait(list(connections), timeout_s)
        for ready in spoken:
            worker = connections[ready]  # type: ignore[index]  # wait gives back what it was given
            try:
                message = worker.receive()
            except GONE:
                self._buried(worker, worker.death())
            else:
                self._handle(worker, message)
        for worker, death in self._watch.look(self._workers, self._by_number):
            self._buried(worker, death)
        return bool(spoken)

    def _handle(self, worker: Worker, message: Any) -> None:
        match message:
            case BatchMessage(number=number, nbytes=nbytes):
                self._by_number[number].took(_arrived(worker, message), worker, nbytes)
            case DoneMessage(number=number, told=told, rows=rows):
                worker.tasks.remove(number)
                self._deaths = 0
                if self._by_number[number].part_done(told, rows):
                    worker.give(self._by_number[number].message())
                else:
                    self._go_on(worker)
            case FailedMessage(number=number, error=error, traceback=text):
                worker.tasks.remove(number)
                self._by_number[number].error = _remade(error, text)
                self._go_on(worker)
            case HoldsMessage(number=number, uri=uri):
                self._by_number[number].uri = uri

    def _buried(self, worker: Worker, death: Death) -> None:
        """Replace a worker that died, and have what it held done again."""
        numbers = deque([*worker.tasks, *self._held_back.pop(worker, ())])
        self._deaths += 1
        is_blamed = worker.is_loaded and bool(worker.tasks)
        self._check_starts(worker, death)
        self._workers[self._workers.index(worker)] = newcomer = worker.replaced()
        inherited = sum(state.handed_on(worker, newcomer) for state in self._order)
        newcomer.begin(self._message._replace(on_the_way=inherited))
        if is_blamed:
            held = self._by_number[numbers[0]]
            held.part_died(death, self._stage.name, is_lenient=lets_rows_go(self._stage))
            if held.error is not None:
                numbers.popleft()
        self._held_back[newcomer] = numbers
        self._go_on(newcomer)

    def _go_on(self, worker: Worker) -> None:
        """Give a worker the next of the tasks that were held back."""
        numbers = self._held_back.get(worker)
        if numbers:
            worker.give(self._by_number[numbers.popleft()].message())
        elif numbers is not None:
            del self._held_back[worker]

    def _check_starts(self, worker: Worker, death: Death) -> None:
        """End the run where workers cannot be started, or none lives long enough to do anything.

        Raises
        ------
        WorkerDiedError
            Saying how they die.
        """
        worker.failed_starts += not worker.is_loaded
        what = "it loaded" if worker.pid is not None else "it started, for"
        if worker.failed_starts > RESTARTS:
            worker.kill()
            raise WorkerDiedError(
                f"a worker {death.words} while {what}: {self._stage.name}; so did {RESTARTS} in its place. "
                "What it printed may say why; config(workers=0) runs the query in this process"
            )
        if self._deaths > DEATHS:
            worker.kill()
            raise WorkerDiedError(
                f"a worker {death.words}; so ended {DEATHS} others before it, and nothing was done between: "
                f"{self._stage.name}. Something that all rows need is broken, such as a library or a model"
            )


def _peeked(tasks: Iterator[ReadTask]) -> tuple[bool, Iterator[ReadTask]]:
    """Say whether there are no more tasks, and give those there are; an error of the next one is raised in its turn."""
    try:
        second = next(tasks, None)
    except Exception as error:  # noqa: BLE001 - whatever it is
        return False, map(_raise, [error])
    return second is None, tasks if second is None else chain([second], tasks)


def _raise(error: Exception) -> ReadTask:
    raise error


def _arrived(worker: Worker, message: BatchMessage) -> pa.RecordBatch:
    """Wrap a batch where it lies."""
    if message.apart is not None:
        return read_apart(message.apart)
    if message.offset is None or worker.view is None:
        return read_stream(message.content or b"")
    return worker.view.read(message.offset, message.nbytes)


def _remade(content: bytes, text: str) -> BaseException:
    error, notes = pickle.loads(content)  # noqa: S301 - from our own worker
    with suppress(Exception):  # a class of others may not be changed
        error.__notes__ = notes
        error.__cause__ = RemoteTraceback(text)
    return error


def _folder() -> str | None:
    """Give the folder that paths are relative to; ``None`` if it was removed, and no relative path leads anywhere."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


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
