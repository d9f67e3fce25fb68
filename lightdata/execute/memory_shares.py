"""Who may take which part of the memory limit.

How the limit is shared out. Code that disagrees with this is wrong.
  Polars   Half, where the query runs in it; beyond that it spills what it can, which is what a sort holds.
  Spools   A quarter, where rows are shared; beyond that they are on disk.
  Stages   The rest, in equal parts: all of them may run at once, each with workers of its own.
  Workers  Equal parts of a stage's. Half of a worker's is for results on the way (its credit), from the moment they
           are made until the consumer takes the next; the other half is for what it is working on.
  Batches  A sixteenth of a worker's, so that inputs that wait, what is made of them and results fit.
  Beyond   One batch always goes on its way, and one image is always decoded, however large: else nothing would move.
           What the consumer keeps, or asks for as one batch, is the consumer's.
"""

from __future__ import annotations

from dataclasses import replace

from lightdata.config import Config, batch_bytes_for, config, memory_limit
from lightdata.execute.spool import SPOOL_SHARE
from lightdata.io.polars_stream import POLARS_SHARE
from lightdata.physical.polars_segment import PolarsSegment
from lightdata.physical.stage import Pipeline, SharedRows, WorkStage

_ON_THE_WAY = 2
"""The part of a worker's bytes that its results on the way have, one in so many."""

_LEAST_ARENA_BYTES = 64 << 20
"""An arena is room, not memory: pages that no batch has touched do not exist, and credit says how many are touched."""


def bytes_for_each_stage(pipeline: Pipeline) -> int:
    """Give what a stage may take, whatever runs beside it."""
    parts = list(pipeline.walk())
    limit = left = memory_limit()
    if any(isinstance(part.start, PolarsSegment) for part in parts):
        left -= limit // POLARS_SHARE
    if any(isinstance(part.start, SharedRows) for part in parts):
        left -= limit // SPOOL_SHARE
    heavy = sum(isinstance(step, WorkStage) and step.is_heavy for part in parts for step in part.steps)
    return left // max(heavy, 1)


def settings_of_worker(stage_bytes: int, workers: int) -> Config:
    """Give the settings that hold in a worker, whose functions may run queries too: its share is their limit."""
    share = max(stage_bytes // max(workers, 1), 1)
    return replace(config(), memory_limit_bytes=share, batch_bytes=config().batch_bytes or batch_bytes_for(share))


def credit_bytes(stage_bytes: int, workers: int) -> int:
    """Give the bytes that a worker may have on the way."""
    return stage_bytes // max(workers, 1) // _ON_THE_WAY


def arena_bytes(stage_bytes: int, workers: int) -> int:
    """Give the size of a worker's arena: as much as may be on the way, and room for a consumer that keeps some."""
    return max(credit_bytes(stage_bytes, workers), _LEAST_ARENA_BYTES)
