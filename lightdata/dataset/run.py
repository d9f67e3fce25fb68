"""Run a plan: verify, optimize, lower, execute."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from lightdata.config import config
from lightdata.execute.executor import Executor, close
from lightdata.execute.inline import InlineExecutor
from lightdata.execute.pool import PoolExecutor, worker_count
from lightdata.optimize.stages import optimize
from lightdata.physical.builder import TASK_ROWS
from lightdata.physical.driver_steps import Conform
from lightdata.physical.lower import lower
from lightdata.physical.polars_segment import PolarsSegment
from lightdata.physical.stage import Pipeline, SharedRows, SourceScan, WorkStage
from lightdata.plan.explain import explain_plan
from lightdata.plan.node import Limit, Plan, Scan, Write
from lightdata.plan.seed import with_seeds
from lightdata.plan.verify import verify
from lightdata.report.progress import with_progress
from lightdata.report.run_log import RunLog

_INLINE_TASKS = 4
"""Tasks that a query for a few rows runs in the calling process before it asks workers: it mostly ends sooner."""


def run(plan: Plan, *, verb: str, log: RunLog, pixels: bool = False) -> Iterator[pa.RecordBatch]:
    """Stream the rows of a plan, in order.

    Parameters
    ----------
    plan : Plan
    verb : str
        What the progress line calls the work.
    log : RunLog
        What is told what happens.
    pixels : bool
        Decode image columns where the work is done, for a consumer that asks for pixels.
    """
    verify(plan)
    plan = with_seeds(plan)
    if config().optimize:
        plan, _ = optimize(plan)
    workers = config().workers if config().workers == 0 else worker_count()
    pipeline = lower(plan, workers=workers or 1, pixels=pixels)
    executor: Executor = InlineExecutor(log)
    if workers:
        executor = PoolExecutor(workers=workers, log=log, inline_tasks=_INLINE_TASKS if wants_few_rows(plan) else 0)
    batches = executor.run(pipeline)
    rows = rows_written if isinstance(plan, Write) else len

    def counted(batch: pa.RecordBatch) -> pa.RecordBatch:
        log.rows += rows(batch)
        return batch

    try:
        yield from with_progress(map(counted, batches), verb=verb, total=lambda: rows_coming(pipeline), rows=rows)
    finally:
        close(batches)
        log.tell()


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


def explain(plan: Plan, *, optimized: bool | None) -> str:
    """Write what a plan does, and, optimized, which rules changed it and what runs where."""
    verify(plan)
    if not (config().optimize if optimized is None else optimized):
        return explain_plan(plan)
    plan, fired = optimize(plan)
    rules = ", ".join(rule if times == 1 else f"{rule} x{times}" for rule, times in fired)
    lines = [explain_plan(plan), f"optimized by: {rules or 'nothing to do'}"]
    lines += stage_lines(lower(plan, workers=worker_count()))
    return "\n".join(lines)


def stage_lines(pipeline: Pipeline) -> list[str]:
    """Write what runs where, in the order of the rows."""
    lines: list[str] = []
    for one in pipeline.walk():
        if not isinstance(one.start, SourceScan | SharedRows):
            lines.append(f"{'polars' if isinstance(one.start, PolarsSegment) else 'here'}: {one.start}")
        for step in one.steps:
            if isinstance(step, Conform):
                continue
            is_sent = isinstance(step, WorkStage) and step.is_heavy and config().workers != 0
            lines.append(f"{'workers' if is_sent else 'here'}: {step.name if isinstance(step, WorkStage) else step}")
    return [f"stage {number} {line}" for number, line in enumerate(lines, start=1)]
