"""Run everything in the calling process: the reference that every other executor must equal."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pyarrow as pa

from lightdata.execute.executor import run_steps
from lightdata.io.source import ReadTask, task_bytes
from lightdata.physical.stage import Context, Pipeline, WorkStage
from lightdata.report.run_log import RunLog, StageLog


class InlineExecutor:
    """One task after another, in the calling process."""

    def __init__(self, log: RunLog | None = None) -> None:
        self._log = log or RunLog()

    def run(self, pipeline: Pipeline, /) -> Iterator[pa.RecordBatch]:
        """Stream the pipeline's batches."""
        return run_steps(pipeline, self.run_stage)

    def run_stage(self, stage: WorkStage, tasks: Iterator[ReadTask]) -> Iterator[pa.RecordBatch]:
        """Work off tasks here."""
        context = Context(tally=self._log.stage(stage.name), number=stage.begins.tasks)
        return run_here(stage, tasks, context, self._log.stage_log(stage, stage.begins))


def run_here(stage: WorkStage, tasks: Iterator[ReadTask], context: Context, log: StageLog) -> Iterator[pa.RecordBatch]:
    """Work off tasks in the calling process, keeping what the stage builds from task to task."""
    try:
        for task in tasks:
            context.content = partial(task_bytes, task)
            yield from stage.run(task, context)
            log.add([context.account.told()])
            context.number += 1
    finally:
        context.close()
