"""Run everything in the calling process: the reference that every other executor must equal."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from lightdata.execute.executor import run_steps
from lightdata.io.source import ReadTask
from lightdata.physical.stage import Context, Pipeline, WorkStage
from lightdata.report.events import FailureLog


class InlineExecutor:
    """One task after another, in the calling process."""

    def __init__(self, failures: FailureLog | None = None) -> None:
        self._failures = failures or FailureLog()

    def run(self, pipeline: Pipeline, /) -> Iterator[pa.RecordBatch]:
        """Stream the pipeline's batches."""
        return run_steps(pipeline, self.run_stage)

    def run_stage(self, stage: WorkStage, tasks: Iterator[ReadTask]) -> Iterator[pa.RecordBatch]:
        """Work off tasks, keeping what the stage builds from task to task."""
        context = Context()
        for task in tasks:
            yield from stage.run(task, context)
            self._failures.add(context.failures)
            context.failures.clear()
