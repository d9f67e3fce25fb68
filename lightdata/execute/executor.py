"""The seam between a pipeline and what runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import pyarrow as pa

from lightdata.io.memory import BatchTask
from lightdata.io.source import ReadTask
from lightdata.physical.stage import Pipeline, WorkStage

RunStage = Callable[[WorkStage, Iterator[ReadTask]], Iterator[pa.RecordBatch]]


class Executor(Protocol):
    """Runs a pipeline and streams its output.

    Output order equals source order. The first error in row order is the one raised. Closing the iterator stops all
    workers.
    """

    def run(self, pipeline: Pipeline, /) -> Iterator[pa.RecordBatch]:
        """Stream the pipeline's batches."""
        ...


def run_steps(pipeline: Pipeline, run_stage: RunStage) -> Iterator[pa.RecordBatch]:
    """Chain the steps of a pipeline; ``run_stage`` says how a stage's tasks are worked off."""
    tasks: Iterator[ReadTask] = pipeline.source.tasks(pipeline.pushdowns, task_rows=pipeline.task_rows)
    batches: Iterator[pa.RecordBatch] | None = None
    streams: list[Iterator[pa.RecordBatch]] = []
    for step in pipeline.steps:
        if isinstance(step, WorkStage):
            batches = run_stage(step, tasks if batches is None else map(BatchTask, batches))
        else:
            batches = step.run(read_tasks(tasks) if batches is None else batches)
        streams.append(batches)
    if batches is None:
        batches = read_tasks(tasks)
    try:
        yield from batches
    finally:
        for stream in reversed(streams):  # each, for the traceback of a later one keeps the earlier ones alive
            close(stream)


def close(batches: Iterator[pa.RecordBatch]) -> None:
    """Close a stream of batches that can be closed: a generator ends what runs behind it."""
    if hasattr(batches, "close"):
        batches.close()


def read_tasks(tasks: Iterator[ReadTask]) -> Iterator[pa.RecordBatch]:
    """Read tasks where they are, one after another."""
    for task in tasks:
        yield from task.read()
