"""Run a plan: verify, optimize, lower, execute."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from lightdata.config import config
from lightdata.execute.executor import Executor, close
from lightdata.execute.inline import InlineExecutor
from lightdata.execute.pool import PoolExecutor, worker_count
from lightdata.optimize.stages import optimize
from lightdata.physical.lower import TASK_ROWS, lower
from lightdata.physical.stage import WorkStage
from lightdata.plan.explain import explain_plan
from lightdata.plan.node import Limit, Plan, Scan, Write
from lightdata.plan.verify import verify
from lightdata.report.events import FailureLog
from lightdata.report.progress import with_progress

_INLINE_TASKS = 4
"""Tasks that a query for a few rows runs in the calling process before it asks workers: it mostly ends sooner."""


def run(plan: Plan, *, verb: str, pixels: bool = False) -> Iterator[pa.RecordBatch]:
    """Stream the rows of a plan, in order.

    Parameters
    ----------
    plan : Plan
    verb : str
        What the progress line calls the work.
    pixels : bool
        Decode image columns where the work is done, for a consumer that asks for pixels.
    """
    verify(plan)
    if config().optimize:
        plan, _ = optimize(plan)
    failures = FailureLog()
    workers = config().workers if config().workers == 0 else worker_count()
    pipeline = lower(plan, workers=workers or 1, pixels=pixels)
    executor: Executor = InlineExecutor(failures)
    if workers:
        executor = PoolExecutor(
            workers=workers, failures=failures, inline_tasks=_INLINE_TASKS if wants_few_rows(plan) else 0
        )
    batches = executor.run(pipeline)
    try:
        rows = rows_written if isinstance(plan, Write) else len
        yield from with_progress(batches, verb=verb, total=pipeline.source.count, rows=rows)
    finally:
        close(batches)
        failures.tell()


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
    return wants_few_rows(plan.inputs[0])


def explain(plan: Plan, *, optimized: bool | None) -> str:
    """Write what a plan does, and, optimized, which rules changed it and what runs where."""
    verify(plan)
    if not (config().optimize if optimized is None else optimized):
        return explain_plan(plan)
    plan, fired = optimize(plan)
    rules = ", ".join(rule if times == 1 else f"{rule} x{times}" for rule, times in fired)
    lines = [explain_plan(plan), f"optimized by: {rules or 'nothing to do'}"]
    pipeline = lower(plan, workers=worker_count())
    for number, step in enumerate(pipeline.steps[:-1], start=1):
        is_sent = isinstance(step, WorkStage) and step.is_heavy and config().workers != 0
        words = step.name if isinstance(step, WorkStage) else str(step)
        where = f"{'workers' if is_sent else 'here'}: {words}"
        lines.append(f"stage {number} {where}")
    return "\n".join(lines)
