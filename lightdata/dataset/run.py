"""Run a plan: verify, optimize, lower, execute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lightdata.config import config
from lightdata.execute.executor import Executor, close
from lightdata.execute.inline import InlineExecutor
from lightdata.execute.pool import PoolExecutor, worker_count
from lightdata.execute.processes import prepare
from lightdata.io.memory import MemorySource, RangeSource
from lightdata.io.source import Extent
from lightdata.kernels.rebatch import owned
from lightdata.optimize.stages import optimize
from lightdata.physical.builder import TASK_ROWS
from lightdata.physical.driver_steps import LimitRows
from lightdata.physical.lower import lower
from lightdata.physical.polars_segment import PolarsSegment
from lightdata.physical.stage import Pipeline, SharedRows, SourceScan, WorkStage
from lightdata.plan.effect import writes
from lightdata.plan.estimate import Estimate, estimate
from lightdata.plan.node import Limit, MapBatches, MapRows, Plan, ReadFiles, Scan, Write
from lightdata.plan.seed import with_seeds
from lightdata.plan.verify import verify
from lightdata.report.progress import with_progress
from lightdata.report.run_log import RunLog

if TYPE_CHECKING:
    from lightdata.io.sinks.journal import Journal

_INLINE_TASKS = 4
"""Tasks that a query for a few rows runs in the calling process before it asks workers: it mostly ends sooner."""


ExecutorFor = Callable[[Plan, RunLog], Executor]
"""Chooses what runs an optimized plan, and is told what happens."""


def executor_for(plan: Plan, log: RunLog) -> Executor:
    """Take the pool, or the calling process where there are to be no workers."""
    if config().workers == 0:
        return InlineExecutor(log)
    few = _INLINE_TASKS if wants_few_rows(plan) else 0
    return PoolExecutor(workers=worker_count(), log=log, inline_tasks=few)


_executor_for: ContextVar[ExecutorFor] = ContextVar("executor_for", default=executor_for)


@contextmanager
def executed_by(choose: ExecutorFor) -> Iterator[None]:
    """Run the queries of a block with other executors."""
    token = _executor_for.set(choose)
    try:
        yield
    finally:
        _executor_for.reset(token)


def run(
    plan: Plan, *, verb: str, log: RunLog, pixels: bool = False, kept: bool = False, journal: Journal | None = None
) -> Iterator[Any]:
    """Stream the rows of a plan as batches, in order.

    Parameters
    ----------
    plan : Plan
    verb : str
        What the progress line calls the work.
    log : RunLog
        What is told what happens.
    pixels : bool
        Decode image columns where the work is done, for a consumer that asks for pixels.
    kept : bool
        Give what a consumer may keep: batches that hold no worker's memory, or the frames that Polars made.
    journal : Journal, optional
        Of a query that writes: what was done before, and where what is done is noted.
    """
    verify(plan)
    log.max_errors = _max_errors(plan)
    if _needs_workers(plan):
        prepare()  # it starts while the query is planned
    plan = with_seeds(plan)
    if config().optimize:
        plan, _ = optimize(plan)
    pipeline = lower(plan, workers=worker_count(), pixels=pixels, frames=kept)
    executor = _executor_for.get()(plan, log)
    batches = executor.run(pipeline) if journal is None else _resumed(pipeline, executor, journal, log)
    rows = rows_written if isinstance(plan, Write) else len

    def counted(batch: pa.RecordBatch) -> pa.RecordBatch:
        log.rows += rows(batch)
        return batch

    try:
        told = with_progress(map(counted, batches), verb=verb, total=lambda: rows_coming(pipeline), rows=rows)
        yield from map(owned, told) if kept and holds_more(pipeline) else told
        log.check(is_over=True)
    except Exception as error:
        log.add_last(error)
        raise
    finally:
        close(batches)
        log.tell()


def _resumed(pipeline: Pipeline, executor: Executor, journal: Journal, log: RunLog) -> Iterator[pa.RecordBatch]:
    """Run a query that writes from where it was cut off."""
    from lightdata.physical.checkpoint import Checkpoint, can_go_on  # noqa: PLC0415 - only for queries that are written

    if not can_go_on(pipeline):
        return executor.run(pipeline)
    checkpoint = Checkpoint(journal, log)
    return checkpoint.noting(executor.run(checkpoint.begin(pipeline)))


def _max_errors(plan: Plan) -> float | None:
    """Give the rows that may fail: the least that a reader of the plan lets go, else what is configured."""
    sources = (step.source for step in plan.walk() if isinstance(step, Scan))
    limits = [most for one in sources if (most := getattr(one, "max_errors", None)) is not None]
    return min(limits, default=config().max_errors)


def _needs_workers(plan: Plan) -> bool:
    """Whether workers will surely be asked, as far as can be told before anything is planned."""
    is_asked = config().workers != 0 and _executor_for.get() is executor_for
    return is_asked and not wants_few_rows(plan) and any(isinstance(step, ReadFiles) for step in plan.walk())


def holds_more(pipeline: Pipeline) -> bool:
    """Whether batches may hold more than their rows: a worker's memory, a file, an array of the user's.

    Or a table of which few rows are wanted.
    """
    if any(isinstance(step, LimitRows) or (isinstance(step, WorkStage) and step.is_heavy) for step in pipeline.steps):
        return True
    match pipeline.start:
        case SourceScan(source=MemorySource(is_borrowed=False) | RangeSource(), pushdowns=pushdowns):
            return pushdowns.n_rows is not None
        case SourceScan() | SharedRows():
            return True
        case PolarsSegment() as segment:
            return segment.borrows  # what streams into Polars was copied before
    return any(map(holds_more, pipeline.inputs))


def rows_known(plan: Plan) -> int | None:
    """Count the rows of a plan from what its sources know, or give ``None`` where it must run.

    Users' functions are always called, and files always written: they may be what a query is run for.
    """
    verify(plan)
    if not config().optimize:
        return None
    plan, _ = optimize(plan)
    if any(isinstance(step, MapRows | MapBatches | Write) or writes(step) for step in plan.walk()):
        return None
    # Whether the answer would be exact is known before any source is asked.
    if not _is_told(estimate(plan, lambda _: Extent(rows=1))):
        return None
    told = estimate(plan, lambda scan: Extent(rows=scan.source.count(scan.pushdowns.n_rows)))
    return told.rows if _is_told(told) else None


def _is_told(known: Estimate) -> bool:
    return known.rows is not None and known.is_exact


def rows_coming(pipeline: Pipeline) -> int | None:
    """Count the rows that enter a pipeline, where its source can tell without reading them."""
    return pipeline.start.source.count() if isinstance(pipeline.start, SourceScan) else None


def rows_written(files: pa.RecordBatch) -> int:
    """Count the rows in a list of written files."""
    return sum(files.column("rows").to_pylist())


def wants_few_rows(plan: Plan) -> bool:
    """Whether a query ends after no more rows than one task has."""
    match plan:
        case Limit(n=n):
            return n <= TASK_ROWS
        case Scan(pushdowns=pushdowns):
            return pushdowns.n_rows is not None and pushdowns.n_rows <= TASK_ROWS
    return len(plan.inputs) == 1 and wants_few_rows(plan.inputs[0])
