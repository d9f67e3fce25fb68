"""A pipeline while it is being lowered, from its start on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import pyarrow as pa

from lightdata.physical.driver_steps import Rebatch
from lightdata.physical.stage import Confluence, DriverStep, Operator, Pipeline, SharedRows, SourceScan, WorkStage
from lightdata.plan.node import Plan
from lightdata.plan.schema import schema_of
from lightdata.plan.words import step_name
from lightdata.types.schema import Schema

TASK_ROWS = 32
"""Rows of a task of files, images or tensors: enough to make a task's cost small, few enough to share out evenly."""

READING_TASK_ROWS = 128
"""Rows of a task of files that many threads wait for: more than there are threads, for all of a task are waited for."""

PLAIN_TASK_ROWS = 4096
"""Rows of a task of numbers and text that a user's function sees."""

LIGHT_TASK_ROWS = 65_536
"""Rows of a task that only Arrow and Polars see."""

Places = dict[int, Any]
"""What runs each step of a plan: the stage, segment or step of the calling process, by the ``id`` of the step."""


class Work(Enum):
    """What a stage spends its time on; it decides how many rows a task has."""

    PIXELS = "files, images and tensors"
    READING = "waiting for files from elsewhere"
    FUNCTION = "a user's function on numbers and text"
    WRITING = "writing numbers and text"
    LIGHT = "Arrow and Polars alone"


def rows_for(work: Work) -> int:
    """Give the rows of a task."""
    match work:
        case Work.PIXELS:
            return TASK_ROWS
        case Work.READING:
            return READING_TASK_ROWS
        case Work.FUNCTION:
            return PLAIN_TASK_ROWS
        case Work.WRITING | Work.LIGHT:
            return LIGHT_TASK_ROWS


@dataclass(slots=True)
class Builder:
    """What has been lowered so far."""

    workers: int
    places: Places = field(default_factory=dict)
    kept: list[Plan] = field(default_factory=list)
    """The steps of the query that ``fragment`` was made of, first one first."""

    members: list[Plan] = field(default_factory=list)
    """The steps of the query that are in the stage that is being built."""

    current: Plan | None = None
    """The step of the query that is being lowered."""

    start: SourceScan | SharedRows | Confluence | None = None
    fragment: Plan | None = None
    """Steps that are not lowered yet: relational ones, and light ones around them, down to where rows come from."""

    is_relational: bool = False
    """Whether Polars must run the fragment."""

    steps: list[WorkStage | DriverStep] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    is_heavy: bool = False
    most_rows: int = field(default_factory=lambda: LIGHT_TASK_ROWS)
    """Rows of a task of the stage that is being built, at most."""

    least_rows: int = 1
    batch_rows: int = 1
    """What the rows of a task must be a multiple of, so that batches never span tasks."""

    rows_are_listed: bool = False
    """Whether tasks still hold the source's rows one for one, so that cutting the source cuts batches."""

    is_source_cut: bool = True
    """Whether the stage that is being built gets its tasks from the source, which cuts them as the stage wants."""

    asks_polars: bool = False
    """Whether a light operator of the stage that is being built evaluates expressions in Polars."""

    coming_rows: int | None = None
    """Rows of the batches that the stage before gives, at most; ``None`` where nobody knows."""

    def begin(self, step: Plan | None) -> None:
        """Say which step of the query the next operators are of, if any."""
        self.current = step

    def add(
        self,
        operator: Operator,
        name: str,
        work: Work,
        *,
        columns: Work = Work.LIGHT,
        asks_polars: bool = False,
    ) -> None:
        """Add an operator to the stage; ``columns`` says what the rows that it gets are made of."""
        if work is not Work.LIGHT and self.asks_polars and not self.is_heavy and self._rows_are_here():
            self.most_rows = PLAIN_TASK_ROWS
            self.cut()  # the calling process has Polars and the rows: no worker need load the one and get the other
        self.asks_polars |= asks_polars
        self.is_heavy |= work is not Work.LIGHT
        self.most_rows = min(self.most_rows, rows_for(work), rows_for(columns))
        self.operators.append(operator)
        self.names.append(name)
        if self.current is not None:
            self.members.append(self.current)

    def add_limited(self, operator: Operator, step: Plan, workers: int | None, work: Work) -> None:
        """Add an operator; where fewer workers may run it than there are, in a stage of its own."""
        limit = self.limited(workers)
        if limit is not None:
            self.cut()
        self.add(operator, step_name(step), work, columns=work_of(schema_of(step.inputs[0])))
        if limit is not None:
            self.cut(max_workers=limit)

    def cut(self, *between: DriverStep, max_workers: int | None = None) -> None:
        """End the stage, and add steps of the calling process after it."""
        if self.operators:
            self._end_stage(max_workers)
        for step in between:
            self.steps.append(step)
            if self.current is not None:
                self.places.setdefault(id(self.current), step)
            self.coming_rows = step.rows if isinstance(step, Rebatch) else self.coming_rows
            self.is_source_cut = False

    def gives(self, rows: int) -> None:
        """Say how many rows the batches of the stage that was just ended have, at most."""
        self.coming_rows = rows

    def place(self, steps: Sequence[Plan], runs: Any) -> None:
        """Note what runs some steps of the query."""
        self.places.update((id(step), runs) for step in steps)

    def _end_stage(self, max_workers: int | None) -> None:
        rows = self.task_rows()
        if self.is_source_cut and isinstance(self.start, SourceScan):
            self.start = replace(self.start, task_rows=rows)
            self.coming_rows = rows
        elif self.is_heavy and (self.coming_rows is None or not self.least_rows <= self.coming_rows <= rows):
            multiple = self.batch_rows if self.least_rows == 1 else None
            self.steps.append(Rebatch(rows=rows, multiple_of=multiple))  # shared out evenly among workers
            self.coming_rows = rows
        stage = WorkStage(
            operators=tuple(self.operators),
            name=" > ".join(self.names),
            is_heavy=self.is_heavy,
            max_workers=max_workers,
        )
        self.steps.append(stage)
        self.place(self.members, stage)
        self.members = []
        self.operators, self.names, self.is_heavy, self.is_source_cut = [], [], False, False
        self.asks_polars = False
        self.most_rows, self.least_rows, self.batch_rows = LIGHT_TASK_ROWS, 1, 1

    def _rows_are_here(self) -> bool:
        """Whether the stage that is being built gets rows that the calling process holds."""
        is_first = self.is_source_cut and isinstance(self.start, SourceScan)
        return is_first and self.start.source.rows_are_listed  # type: ignore[union-attr]  # just asked

    def task_rows(self) -> int:
        """Give the rows of a task of the stage that is being built."""
        return -(-max(self.most_rows, self.least_rows) // self.batch_rows) * self.batch_rows

    def rebatch(self, rows: int) -> None:
        """End the stage, and cut the stream every few ``rows``: the rows of a batch may come from several tasks."""
        self.cut(Rebatch(rows=-(-TASK_ROWS // rows) * rows, multiple_of=rows))
        self.batch_rows = rows

    def limited(self, workers: int | None) -> int | None:
        """Give a limit on workers, or ``None`` where it is none."""
        return workers if workers is not None and workers < self.workers else None

    def pipeline(self) -> Pipeline:
        """Give what was built."""
        if self.start is None:
            raise TypeError("a pipeline must start somewhere")
        return Pipeline(start=self.start, steps=tuple(self.steps))


def work_of(schema: Schema | None) -> Work:
    """Tell what rows of these columns are made of."""
    return Work.PIXELS if schema is None or any(map(_is_large, schema.values())) else Work.LIGHT


def _is_large(kind: pa.DataType) -> bool:
    return pa.types.is_nested(kind) or pa.types.is_large_binary(kind) or isinstance(kind, pa.BaseExtensionType)
