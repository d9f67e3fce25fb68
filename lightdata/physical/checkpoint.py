"""Where a run that writes goes on if it is cut off: what of its stages is written, and what is to be done again.

How a run of several stages is taken up again. Code that disagrees with this is wrong.
  Kept      A task of the last stage that is written, and of the stages before it the tasks all of whose rows are.
  Noted     After each task of the last stage, in row order: its files, the rows that failed in what is kept, and where
            each stage stands. A line that is not whole was not noted.
  Resumed   The source's tasks that are kept are not cut again, nor read. The first stage goes on with the next one; of
            what each stage then gives, the rows that are written already are dropped.
  Only      Where all steps between stages keep rows and their order, and all rows come from one source. Elsewhere, and
            where there is one stage, tasks that are written are known one by one (see ``io/sinks/journal.py``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, NamedTuple

import pyarrow as pa

from lightdata.errors import ExecutionError, RowError
from lightdata.io.sinks.commit import write_errors
from lightdata.io.sinks.journal import Journal, Line
from lightdata.io.sinks.sink import StagedFile
from lightdata.physical.driver_steps import Conform, DropRows, Rebatch
from lightdata.physical.operators.write import describe_files
from lightdata.physical.passed_tasks import PassedTasks
from lightdata.physical.stage import DriverStep, Pipeline, SourceScan, WorkStage
from lightdata.report.account import Boundary
from lightdata.report.run_log import RunLog


class Point(NamedTuple):
    """Where a run goes on."""

    checksum: int = 0
    """Of the tasks of the source that are kept."""

    stages: tuple[Boundary, ...] = ()
    """The last task of each stage that is kept; none where nothing is."""


@dataclass(slots=True)
class Checkpoint:
    """Notes how far a run has come, and begins it where an earlier one was cut off."""

    journal: Journal
    log: RunLog
    _lines: Sequence[Line] = ()
    _stages: tuple[WorkStage, ...] = ()
    _passed: PassedTasks | None = None
    _kept: list[Boundary] = field(default_factory=list)
    _waiting: deque[StagedFile] = field(default_factory=deque)
    """Files of tasks that may not have ended."""

    def begin(self, pipeline: Pipeline) -> Pipeline:
        """Leave out of a pipeline what was done before."""
        self._lines = self.journal.lines()
        point = _point(self._lines)
        stages = [step for step in pipeline.steps if isinstance(step, WorkStage)]
        self._kept = list(point.stages) or [Boundary()] * len(stages)
        self._passed = PassedTasks(self._kept[0].tasks, point.checksum)
        self.log.keeps_ends = True
        self.log.add_failures(error for line in self._lines for error in line.failures)
        steps = list(_going_on(pipeline.steps, self._kept))
        self._stages = tuple(step for step in steps if isinstance(step, WorkStage))
        start: Any = pipeline.start
        return Pipeline(start=replace(start, passed=self._passed), steps=tuple(steps))

    def noting(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass on the described files, those of before first, and note each when its task has ended."""
        for line in self._lines:
            yield describe_files(line.files)
        try:
            for batch in batches:
                self._waiting += [StagedFile(**row) for row in batch.to_pylist()]
                yield batch
                self._note()  # when the next is asked for, the task that gave this one has ended
            self._note()
        except BaseException:
            with suppress(ExecutionError):  # what ended the run matters more
                self._note()
            raise
        finally:
            if isinstance(batches, Generator):
                batches.close()

    def _note(self) -> None:
        log = self.log.stage_logs.get(id(self._stages[-1]))
        while log is not None and log.ends:
            before = self._kept[-1].rows
            self._kept[-1], failures = log.ends.popleft()
            rows = self._kept[-1].seen_first
            files = [self._waiting.popleft() for _ in range(self._kept[-1].rows - before)]
            for number in reversed(range(len(self._stages) - 1)):
                failures = self._keep(number, rows) + failures
                rows = self._kept[number].seen_first
            point = {"checksum": self._checksum(), "stages": self._kept}
            with write_errors(str(self.journal.folder.parent)):
                self.journal.add_line(Line(files, tuple(failures), point))

    def _keep(self, number: int, rows: int) -> list[RowError]:
        """Keep the tasks of a stage of whose output so many rows are written; gives those that failed in them."""
        ends = self.log.stage_logs[id(self._stages[number])].ends
        failures: list[RowError] = []
        while ends and ends[0][0].rows <= rows:
            self._kept[number], of_task = ends.popleft()
            failures += of_task
        return failures

    def _checksum(self) -> int:
        """Give the checksum of the source's tasks that are kept, and forget those before."""
        passed, done = self._passed, self._kept[0].tasks
        if passed is None or not done:
            return 0
        for number in [one for one in passed.checksums if one < done]:
            del passed.checksums[number]
        return passed.checksums[done]


def can_go_on(pipeline: Pipeline) -> bool:
    """Whether what is noted of a pipeline's tasks tells what of them all is written."""
    stages = [step for step in pipeline.steps if isinstance(step, WorkStage)]
    between = [step for step in pipeline.steps if not isinstance(step, WorkStage)]
    keeps_rows = all(isinstance(step, Conform | Rebatch) for step in between)
    return isinstance(pipeline.start, SourceScan) and len(stages) > 1 and keeps_rows


def _going_on(steps: Sequence[WorkStage | DriverStep], kept: Sequence[Boundary]) -> Iterator[WorkStage | DriverStep]:
    """Let stages begin where they are to, each followed by what drops those of its rows that are written."""
    stages = zip(kept, [*(after.seen_first - before.rows for before, after in pairwise(kept)), 0], strict=True)
    for step in steps:
        if isinstance(step, WorkStage):
            begins, written = next(stages)
            yield replace(step, begins=begins)
            if written:
                yield DropRows(n=written)
        else:
            yield step


def _point(lines: Sequence[Line]) -> Point:
    if not lines:
        return Point()
    told = lines[-1].point
    stages = tuple(Boundary(tasks, tuple(seen), rows) for tasks, seen, rows in told["stages"])
    return Point(told["checksum"], stages)
