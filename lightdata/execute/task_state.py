"""A task in the hands of workers: what came of it, and what is still to do after a worker died.

How a task is redone. Code that disagrees with this is wrong.
  Again     A task whose worker died is done again, whole, by the worker that replaces it. What came of it before is
            kept: of the output of the next try, so many rows are left out. Rows of a step that gives others each time,
            such as a function that draws numbers, may be of two tries; each row is there once all the same.
  Parts     A task that was tried ``TRIES`` times is done in parts of its rows, one after another: one row, two, four.
            A part whose worker dies is halved. A function that is given batches gets smaller ones then.
  Poison    A row that ends a worker though it is alone is lost: the first operator that lets rows go takes it as
            failed, and where none does, the run ends with an error that names its file.
  Hung      A task that gives no sign of life for ``row_timeout`` is done row by row up to the row that hangs;
            that one is tried ``TRIES`` times in all, for a busy machine is slow too.
  Bounded   A task is kept until it is done, so no more are kept than were sent ahead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from lightdata.errors import HungRowError, LostRowError, RowError, RowTimeoutError, WorkerDiedError
from lightdata.execute.message import TaskMessage
from lightdata.io.memory import BatchTask
from lightdata.io.source import ReadTask, task_bytes
from lightdata.io.uris.redaction import visible
from lightdata.report.account import Told

TRIES = 3
"""How often a task is begun before its rows are suspected one by one."""


class Death(NamedTuple):
    """How a worker ended."""

    cause: str
    """Such as ``SIGSEGV`` or ``exit code 7``."""

    words: str
    is_timeout: bool = False
    """Whether it was ended because it hung."""


class Part(NamedTuple):
    """Rows of a task that are done at once."""

    start: int = 0
    stop: int | None = None
    """``None`` for all that come."""

    tries: int = 0
    """How often a worker died of it, or of what it is a part of."""

    lost: RowError | None = None
    """Why its one row is not to be looked at any more."""

    @property
    def rows(self) -> int | None:
        """How many there are, where that is known."""
        return None if self.stop is None else self.stop - self.start


@dataclass(frozen=True, slots=True)
class PartOfTask:
    """The rows of a task from one number to another."""

    task: ReadTask
    start: int
    stop: int | None

    def read(self, failures: list[RowError] | None = None) -> Iterator[pa.RecordBatch]:
        """Read the task, and leave out what is before and after."""
        first = 0
        for batch in self.task.read(failures):
            start = max(self.start - first, 0)
            stop = batch.num_rows if self.stop is None else min(self.stop - first, batch.num_rows)
            if start < stop:
                yield batch.slice(start, stop - start)
            first += batch.num_rows
            if self.stop is not None and first >= self.stop:
                return


@dataclass(slots=True)
class TaskState:
    """What is known of a task that was sent."""

    number: int
    task: ReadTask | None
    batches: deque[tuple[Any, int, pa.RecordBatch]] = field(default_factory=deque)
    """What came of it and was not taken yet, with its worker and its bytes there."""

    told: list[Told] = field(default_factory=list)
    error: BaseException | None = None
    is_done: bool = False
    uri: str | None = None
    """The file of the row that is done alone."""

    _parts: deque[Part] = field(default_factory=lambda: deque([Part()]))
    _step: int = 0
    """Rows of the next part, twice as many of the one after it; 0 where one row after the other is watched."""

    _received: int = 0
    """Rows of output that came, of all tries."""

    _finished: int = 0
    """Rows of output of the parts that are done."""

    def message(self) -> TaskMessage:
        """Say what to do next."""
        part = self._parts[0]
        task = (
            self._known() if part.rows is None and not part.start else PartOfTask(self._known(), part.start, part.stop)
        )
        done = self._received - self._finished
        return TaskMessage(self.number, task_bytes(task), done, part.tries, part.rows == 1, part.lost)

    def took(self, batch: pa.RecordBatch, worker: Any, nbytes: int) -> None:
        """Keep a batch that came."""
        self._received += batch.num_rows
        self.batches.append((worker, nbytes, batch))

    def has_come(self) -> bool:
        """Whether there is something to hand to the consumer, or to the next task."""
        return bool(self.batches) or self.is_done or self.error is not None

    def handed_on(self, worker: Any, newcomer: Any) -> int:
        """Have what came from a worker acknowledged to the one in its place; gives its bytes."""
        mine = [nbytes for one, nbytes, _ in self.batches if one is worker]
        if mine:
            self.batches = deque((newcomer if one is worker else one, *rest) for one, *rest in self.batches)
        return sum(mine)

    def part_done(self, told: Told, rows: int) -> bool:
        """Go on to the next part; says whether there is one."""
        self.told.append(told)
        self._finished += rows
        part = self._parts.popleft()
        if part.stop is None or (told.seen and told.seen[0] < part.stop - part.start):
            self.is_done = True
        elif not self._parts:
            self._parts.append(self._next(part))
        return not self.is_done

    def part_died(self, death: Death, stage: str, *, is_lenient: bool) -> None:
        """Find out which row is to blame, or what to try next; ``is_lenient`` says whether the stage lets rows go."""
        part = self._parts.popleft()
        tries = part.tries + 1
        if part.lost is not None:
            self._give_up(death, stage)
        elif part.rows == 1 and tries < TRIES:
            self._parts.appendleft(part._replace(tries=tries))
        elif part.rows == 1:
            self._lose(part._replace(tries=tries), death, stage, is_lenient=is_lenient)
        elif death.is_timeout:
            self._step = 0
            stop = part.start + 1 if part.stop is None else part.stop
            self._parts.extendleft(reversed([Part(row, row + 1, tries) for row in range(part.start, stop)]))
        elif part.stop is None and tries < TRIES:
            self._parts.appendleft(part._replace(tries=tries))
        elif part.stop is None:
            self._step = 1
            self._parts.appendleft(Part(part.start, part.start + 1, tries))
        else:
            middle = (part.start + part.stop) // 2
            self._parts.extendleft([Part(middle, part.stop, tries), Part(part.start, middle, tries)])

    def _next(self, part: Part) -> Part:
        start = part.stop or 0
        if part.lost is not None and not self._step:
            return Part(start)  # the row that hung is found
        self._step *= 2
        return Part(start, start + max(self._step, 1), part.tries)

    def _lose(self, part: Part, death: Death, stage: str, *, is_lenient: bool) -> None:
        if not is_lenient:
            self._give_up(death, stage)
            return
        kind = HungRowError if death.is_timeout else LostRowError
        words = death.words if death.is_timeout else f"each worker that looked at this row {death.words}"
        lost = kind(f"{kind.code}({death.cause}): {words}", uri=self.uri, cause=death.cause, attempts=part.tries)
        self._parts.appendleft(part._replace(lost=lost))

    def _give_up(self, death: Death, stage: str) -> None:
        place = f"file {self.uri!r}" if self.uri else f"task {self.number}"
        mend = "leave such rows out with on_error='skip', or mend the file or function"
        if death.is_timeout:
            self.error = RowTimeoutError(f"{place} of {stage}: {death.words}; {mend}")
        else:
            self.error = WorkerDiedError(f"a worker {death.words} while it ran {place} of: {stage}; {mend}")

    def held(self) -> str:
        """Say what it is made of, for who waits for it."""
        names: list[str] = []
        if isinstance(self.task, BatchTask) and "path" in self.task.batch.schema.names:
            names = [str(name) for name in self.task.batch.column("path").to_pylist()]
        part = self._parts[0]
        if names[part.start : part.stop]:
            first, last = names[part.start : part.stop][0], names[part.start : part.stop][-1]
            return f"task {self.number}: {visible(first if first == last else f'{first} to {last}')}"
        return f"task {self.number}" + (f", row {part.start} on" if part.start or part.stop else "")

    def _known(self) -> ReadTask:
        if self.task is None:
            raise RuntimeError("a task that was never read is not done in parts")
        return self.task
