"""The seam between a pipeline and what runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pyarrow as pa

from lightdata.execute.spool import Spool
from lightdata.io.memory import BatchTask
from lightdata.io.source import ReadTask
from lightdata.physical.stage import Pipeline, SharedRows, SourceScan, WorkStage

RunStage = Callable[[WorkStage, Iterator[ReadTask]], Iterator[pa.RecordBatch]]

SCAN = WorkStage(operators=(), name="scan", is_heavy=False)
"""Rows as their source has them."""


class Executor(Protocol):
    """Runs a pipeline and streams its output.

    Output order equals source order. The first error in row order is the one raised. Closing the iterator stops all
    workers.
    """

    def run(self, pipeline: Pipeline, /) -> Iterator[pa.RecordBatch]:
        """Stream the pipeline's batches."""
        ...


def run_steps(pipeline: Pipeline, run_stage: RunStage) -> Iterator[pa.RecordBatch]:
    """Chain the steps of a pipeline and of those it reads; ``run_stage`` says how a stage's tasks are worked off."""
    shared = {part.start.number for part in pipeline.walk() if isinstance(part.start, SharedRows)}
    streams = _Streams(run_stage, len(shared))
    try:
        yield from streams.of(pipeline)
    finally:
        streams.close()


class _Streams:
    """The streams of one run, and the rows that several of them share."""

    def __init__(self, run_stage: RunStage, spools: int) -> None:
        self._run_stage = run_stage
        self._spool_count = spools
        self._open: list[Iterator[Any]] = []
        self._spools: dict[int, Spool] = {}

    def of(self, pipeline: Pipeline) -> Iterator[pa.RecordBatch]:
        """Give the rows of a pipeline; nothing runs before they are asked for."""
        batches: Iterator[pa.RecordBatch] | None = None
        tasks: Iterator[ReadTask] = iter(())
        match pipeline.start:
            case SourceScan() as scan:
                tasks = scan.tasks()
                self._open.append(tasks)
            case SharedRows() as shared:
                batches = self._opened(self._spool(shared).read())
            case confluence:
                batches = self._opened(confluence.run([self.of(one) for one in confluence.inputs]))
        for step in pipeline.steps:
            if isinstance(step, WorkStage):
                step_batches = self._run_stage(step, tasks if batches is None else map(BatchTask, batches))
            else:
                step_batches = step.run(self._scanned(tasks) if batches is None else batches)
            batches = self._opened(step_batches)
        return self._scanned(tasks) if batches is None else batches

    def _scanned(self, tasks: Iterator[ReadTask]) -> Iterator[pa.RecordBatch]:
        return self._opened(self._run_stage(SCAN, tasks))

    def _spool(self, shared: SharedRows) -> Spool:
        if shared.number not in self._spools:
            self._spools[shared.number] = Spool(self.of(shared.pipeline), shared.readers, self._spool_count)
        return self._spools[shared.number]

    def _opened(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        self._open.append(batches)
        return batches

    def close(self) -> None:
        """End all streams, the last ones first: each, for the traceback of a later one keeps the earlier ones alive."""
        for stream in reversed(self._open):
            close(stream)
        for spool in self._spools.values():
            spool.close()


def close(batches: Iterator[Any]) -> None:
    """Close a stream of batches or tasks that can be closed: a generator ends what runs behind it."""
    if hasattr(batches, "close"):
        batches.close()
