"""What a query is lowered to: a source, stages that workers run, and steps of the calling process between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from lightdata.errors import DecodeError, RowError
from lightdata.expr.deferred import is_deferred
from lightdata.io.source import URI, Pushdowns, ReadTask, Source
from lightdata.io.uris.redaction import safe_url
from lightdata.kernels.tally import Tally, building, rows_in_hand, tallied
from lightdata.physical.passed_tasks import PassedTasks
from lightdata.report.account import Account, Boundary

_T = TypeVar("_T")


@dataclass(slots=True)
class Context:
    """What a stage keeps in one worker from task to task."""

    resources: dict[Any, Any] = field(default_factory=dict)
    """Built functions and open sessions, by the operator that uses them."""

    failures: list[RowError] = field(default_factory=list)
    """Where an operator adds rows of its batch in hand that failed and were let go."""

    lost: list[RowError] = field(default_factory=list)
    """Why the one row of a task is not to be looked at, until an operator that lets rows go takes it as failed."""

    is_again: bool = False
    """Whether the current task was begun before: what it writes may be there."""

    number: int = 0
    """The current task, counted through the stage."""

    content: Callable[[], bytes] = bytes
    """Gives the current task as it is sent to workers."""

    account: Account = field(default_factory=Account)
    """The rows of the current task."""

    tally: Tally = field(default_factory=Tally)
    """What the stage has done here."""

    has_begun: bool = False
    """Whether it has had a task."""

    closing: dict[Any, Callable[[Any], object]] = field(default_factory=dict)
    """What ends those of them that hold threads and connections."""

    def resource(self, key: Any, build: Callable[[], Any], close: Callable[[Any], object] | None = None) -> Any:
        """Give what an operator built before, or build it; ``close`` ends it when the stage is over."""
        if key not in self.resources:
            with building():  # a model may take longer than any row
                self.resources[key] = build()
            if close is not None:
                self.closing[key] = close
        return self.resources[key]

    def raise_lost(self) -> None:
        """Fail for a row that ended each worker that looked at it.

        Raises
        ------
        RowError
            If that is the row at hand.
        """
        if self.lost:
            raise self.lost.pop()

    def drop(self, key: Any) -> None:
        """Forget what an operator built, and end it where it holds anything."""
        built, close = self.resources.pop(key, None), self.closing.pop(key, None)
        if close is not None:
            close(built)

    def close(self) -> None:
        """End what operators opened: to be collected it may have to wait for an error that somebody keeps."""
        for key in [*self.closing]:
            self.drop(key)


class Operator(Protocol):
    """Turns batches into batches; picklable, and it opens what it needs where it runs."""

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Process the batches of one task, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkStage:
    """Operators that run one after another on a task, in one worker, batch by batch."""

    operators: tuple[Operator, ...]
    name: str
    is_heavy: bool = True
    """Whether it touches files, pixels or a user's code; only that is worth a worker."""

    max_workers: int | None = None
    """Workers that may run it, where a user limits the copies of a function."""

    begins: Boundary = field(default_factory=Boundary)
    """What was done before, in a run that was cut off and that goes on here."""

    def run(self, task: ReadTask, context: Context) -> Iterator[pa.RecordBatch]:
        """Read a task and pass it through all operators; ``context.account`` then tells what became of its rows."""
        context.tally.tasks += 1
        if not context.has_begun:
            context.has_begun = True
            context.tally.workers += 1
        account = context.account = Account(self.operators)
        batches = task.read(account.failures())
        for place, operator in enumerate(self.operators):
            of_operator = replace(context, failures=account.failures(place))
            batches = operator.run(account.entering(place, batches), of_operator)
        rows = 0
        for batch in tallied(batches, context.tally):
            rows += batch.num_rows
            context.tally.rows += batch.num_rows
            yield without_hidden(batch)
            del batch  # while the next one is made, nobody here needs it
        account.check(rows)


def lets_rows_go(stage: WorkStage) -> bool:
    """Whether some operator of a stage takes rows as failed and goes on."""
    return any(getattr(one, "on_error", "raise") != "raise" for one in stage.operators if not _makes_files(one))


def _makes_files(operator: Operator) -> bool:
    return hasattr(operator, "sink")


class DriverStep(Protocol):
    """Works on the stream of all batches, in the calling process."""

    def run(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Process all batches, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceScan:
    """Starts a pipeline with the tasks of a source."""

    source: Source
    pushdowns: Pushdowns
    task_rows: int
    passed: PassedTasks | None = None
    """Counts the tasks, where a run may be cut off and go on."""

    def tasks(self) -> Iterator[ReadTask]:
        """Cut the source."""
        tasks = self.source.tasks(self.pushdowns, task_rows=self.task_rows)
        return tasks if self.passed is None else self.passed.after(tasks)


class Confluence(Protocol):
    """Starts a pipeline with the rows of other pipelines, in the calling process."""

    @property
    def inputs(self) -> tuple[Pipeline, ...]:
        """The pipelines whose rows it takes."""
        ...

    def run(self, streams: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """Make one stream of theirs."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRows:
    """Starts a pipeline with rows that other places of the query read too: they are made once."""

    pipeline: Pipeline
    number: int
    """The same wherever the same rows are read."""

    readers: int
    """Places that read them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A query, or an input of one, ready to run: where its rows come from, then step after step."""

    start: SourceScan | SharedRows | Confluence
    steps: tuple[WorkStage | DriverStep, ...]

    @property
    def inputs(self) -> tuple[Pipeline, ...]:
        """The pipelines it reads from."""
        match self.start:
            case SourceScan():
                return ()
            case SharedRows(pipeline=pipeline):
                return (pipeline,)
            case _:
                return self.start.inputs

    def walk(self) -> Iterator[Pipeline]:
        """List the pipelines that this one reads from, each once, and itself last."""
        seen: set[int] = set()
        for one in self.inputs:
            for pipeline in one.walk():
                if id(pipeline) not in seen:
                    seen.add(id(pipeline))
                    yield pipeline
        yield self


def in_row_order(
    batches: Iterator[pa.RecordBatch], process: Callable[[pa.RecordBatch], pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Process batches; where a row fails, the rows before it are processed and passed on before the error is raised.

    So a limit that is satisfied by them never meets the error, and of two errors the one of the earlier row is raised.
    While others work on a result, nothing here holds it or what it was made of. Where there is no memory for all rows
    at once they are processed in halves, down to one that there is none for.
    """
    for batch in batches:
        held = [batch]
        del batch
        yield from _in_row_order(held, process)


def _in_row_order(
    held: list[pa.RecordBatch], process: Callable[[pa.RecordBatch], pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    made: list[pa.RecordBatch] = []
    try:
        made.append(process(held[0]))
    except RowError as error:
        if error.row:
            yield from _in_row_order([held[0].slice(0, error.row)], process)
        raise
    except MemoryError as error:
        if held[0].num_rows <= 1:
            raise DecodeError.of_memory(error).at(uri=uri_of(held[0], 0), row=0) from error
    batch = held.pop()
    if made:
        del batch
        yield made.pop()
        return
    middle = batch.num_rows // 2
    yield from _in_row_order([batch.slice(0, middle)], process)
    yield from _in_row_order([batch.slice(middle)], process)


def in_halves(
    items: list[_T], make: Callable[[list[_T], int], pa.RecordBatch], start: int = 0
) -> Iterator[pa.RecordBatch]:
    """Make one batch of items, which are then let go; where there is no memory for that, one of each half.

    ``make`` is given some of them and the place of the first.

    Raises
    ------
    MemoryError
        If there is none for a single one.
    """
    made: list[pa.RecordBatch] = []
    try:
        made.append(make(items, start))
    except MemoryError:
        if len(items) <= 1:
            raise
    if made:
        items.clear()
        yield made.pop()
        return
    middle = len(items) // 2
    rest = items[middle:]
    del items[middle:]
    yield from in_halves(items, make, start)
    yield from in_halves(rest, make, start + middle)


def hidden_names(batch: pa.RecordBatch) -> list[str]:
    """Name the columns that users never see."""
    return [name for name in batch.schema.names if name == URI]


def visible_names(batch: pa.RecordBatch) -> list[str]:
    """Name the columns that users see."""
    return [name for name in batch.schema.names if name != URI]


def without_hidden(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Leave hidden columns out."""
    visible = visible_names(batch)
    return batch if len(visible) == batch.num_columns else batch.select(visible)


def without_deferred(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Leave columns out that only expressions read, and that have been read."""
    kept = [name for name in batch.schema.names if name == URI or not is_deferred(name)]
    return batch if len(kept) == batch.num_columns else batch.select(kept)


def uri_of(batch: pa.RecordBatch, row: int) -> str | None:
    """Name the file a row came from, where that is known."""
    for name in (URI, "path"):
        if name in batch.schema.names and pa.types.is_large_string(batch.column(name).type):
            return batch.column(name)[row].as_py()
    return None


def name_rows(batch: pa.RecordBatch, start: int = 0) -> None:
    """Have warnings name the files of the rows of a batch, counted from ``start``."""

    def name(row: int) -> str | None:
        uri = uri_of(batch, start + row) if start + row < batch.num_rows else None
        return None if uri is None else safe_url(uri)

    rows_in_hand(name)


def with_column(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    """Add a column, or replace the one of that name where it stands."""
    place = batch.schema.get_field_index(name)
    field = pa.field(name, column.type)
    return batch.append_column(field, column) if place < 0 else batch.set_column(place, field, column)
