"""A run of relational steps as one Polars query, in the calling process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl
import pyarrow as pa

from lightdata.errors import ExpressionError
from lightdata.expr.deferred import in_words
from lightdata.interrupt import interrupts_deferred
from lightdata.io.lazy_frame import LazyFrameSource
from lightdata.io.memory import MemorySource
from lightdata.io.polars_stream import Upstream, collect_frames, collect_stream, scan_opened, scan_stream
from lightdata.io.source import Pushdowns, Source
from lightdata.physical.stage import Pipeline, without_hidden
from lightdata.plan.node import Plan, Scan
from lightdata.plan.polars_query import apply_step
from lightdata.plan.words import describe_step
from lightdata.types.schema import Schema

SCAN_ROWS = 65_536
"""Rows of a batch that is read for Polars alone."""

FRAME_ROWS = 1 << 20
"""Rows of a frame for a consumer that wants all of them: each is waited for, and a Ctrl-C ends the query after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming(Plan):
    """Stands in a segment's plan for the rows of a pipeline, which hold the deferred columns that the segment reads."""

    pipeline: Pipeline
    schema: Schema | None
    """``None`` where only the first batch tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolarsSegment:
    """Relational steps down to sources that Polars scans itself and pipelines whose batches stream in."""

    plan: Plan
    gives_frames: bool = False
    """Whether rows leave as Polars has them, for a consumer that wants them all and so."""

    @property
    def inputs(self) -> tuple[Pipeline, ...]:
        """The pipelines that stream in."""
        return tuple(step.pipeline for step in self.plan.walk() if isinstance(step, Incoming))

    @property
    def borrows(self) -> bool:
        """Whether rows may lie in memory that somebody may still write to."""
        scans = [step.source for step in self.plan.walk() if isinstance(step, Scan)]
        return any(isinstance(source, MemorySource) and source.is_borrowed for source in scans)

    def run(self, streams: Sequence[Iterator[pa.RecordBatch]]) -> Iterator[Any]:
        """Stream all batches through one Polars query."""
        frames = _Frames(streams)
        try:
            query = frames.of(self.plan)
        except pl.exceptions.PolarsError as error:
            raise ExpressionError(in_words(str(error))) from error
        if query is None:
            return
        if self.gives_frames:
            yield from collect_frames(query, frames.upstreams, rows=FRAME_ROWS)
        else:
            yield from collect_stream(query, frames.upstreams)

    def __str__(self) -> str:
        steps = [describe_step(step) for step in self.plan.walk() if not isinstance(step, Scan | Incoming)]
        return " < ".join(steps)


class _Frames:
    """Translates a plan whose leaves are sources and streams."""

    def __init__(self, streams: Sequence[Iterator[pa.RecordBatch]]) -> None:
        self._streams = iter(streams)
        self.upstreams: list[Upstream] = []

    def of(self, plan: Plan) -> pl.LazyFrame | None:
        """Give the frame of a step; ``None`` if a stream of unknown columns has no rows to tell them."""
        match plan:
            case Incoming(schema=schema):
                return self._stream(next(self._streams), schema)
            case Scan(source=source, pushdowns=pushdowns):
                return _scan(source, pushdowns)
        frames = [self.of(step) for step in plan.inputs]
        known = [frame for frame in frames if frame is not None]
        with interrupts_deferred():  # Polars asks frames for their schema, and loses an interrupt that comes meanwhile
            return apply_step(plan, known) if len(known) == len(frames) else None

    def _stream(self, batches: Iterator[pa.RecordBatch], schema: Schema | None) -> pl.LazyFrame | None:
        upstream = Upstream(batches)
        self.upstreams.append(upstream)
        if schema is None:
            first = upstream.peek()
            if first is None:
                return None
            schema = Schema.of(first)
        return scan_stream(upstream, schema)


def _scan(source: Source, pushdowns: Pushdowns) -> pl.LazyFrame:
    if isinstance(source, LazyFrameSource):
        return source.query(pushdowns)  # so that Polars optimizes across
    schema = source.schema
    if schema is None:
        raise TypeError(f"{source} does not know its columns before it is read")
    if pushdowns.columns is not None:
        schema = Schema({name: schema[name] for name in pushdowns.columns})
    if isinstance(source, MemorySource):
        frame = pl.DataFrame(pl.from_arrow(source.table.select(schema.names))).lazy()
        return frame if pushdowns.n_rows is None else frame.head(pushdowns.n_rows)

    def opened(columns: list[str] | None, _: pl.Expr | None, n_rows: int | None) -> Iterator[pa.RecordBatch]:
        wanted = schema.names if columns is None else [name for name in schema if name in columns]
        rows = [n for n in (n_rows, pushdowns.n_rows) if n is not None]
        asked = replace(pushdowns, columns=tuple(wanted or schema.names[:1]), n_rows=min(rows, default=None))
        for task in source.tasks(asked, task_rows=SCAN_ROWS):
            yield from map(without_hidden, task.read())

    return scan_opened(opened, schema)
