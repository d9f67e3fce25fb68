"""What a run did, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from lightdata.kernels.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStats:
    """What one stage of a run did."""

    name: str
    """Its steps, in words."""

    tasks: int
    """Tasks begun."""

    rows: int
    """Rows that left it; of a stage that writes, one for each file."""

    seconds: float
    """Time spent in it, that of all workers added up."""

    workers: int = 0
    """Processes that took part."""

    busy: float = 0.0
    """Share of the run's time that these processes spent in it, 0 to 1: what is near 1 is what others waited for. Of a
    stage whose one process runs a model on a GPU it is how busy the GPU was, its copies included."""

    def __str__(self) -> str:
        told = f"{self.name}: {_many(self.tasks, 'task')}, {_many(self.rows, 'row')}, {self.seconds:.2f} s"
        return f"{told}, {self.busy:.0%} busy" if self.workers else told


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Stats:
    """What a run did, or has done so far; a worker's part is known when its task ends.

    What a user's function does by itself, and what is read only to plan the run (listings, Parquet footers, headers
    of ``.npy`` files), is not counted. Workers run ahead of the consumer, and that work counts too.
    """

    is_finished: bool
    """Whether the run has ended: all rows were taken, it was closed early, or it failed."""

    seconds: float
    """From the first row that was asked for to the end of the run, the consumer's own time included."""

    rows: int
    """Rows that came out of the query, or were written by it."""

    files_opened: int
    """Times a file was opened for its rows: once for each row group of Parquet, each task of ``.npy``."""

    bytes_read: int
    """Bytes of these files: of Parquet the columns that were asked for, as they are stored, of ``.npy`` the rows."""

    headers_read: int
    """Headers that told an image's size and mode."""

    images_decoded: int
    """Times pixels were made of an encoded image."""

    images_encoded: int
    """Times an encoded image was made of pixels."""

    model_calls: int
    """Times a model was run."""

    model_rows: int
    """Images that models were run on."""

    stages: tuple[StageStats, ...]
    """What was run in tasks, in the order of the plan."""

    nodes_on_gpu: int = 0
    """Nodes of the graphs of models that a GPU computes, those of all its sessions added up."""

    nodes_on_cpu: int = 0
    """Nodes of the same graphs that fell to the CPU, and cost copies to it and back."""

    @property
    def bottleneck(self) -> StageStats | None:
        """The stage that the others waited for most: that whose workers were busy for most of the time."""
        return max(self.stages, key=lambda stage: stage.busy, default=None)

    @classmethod
    def of(cls, stages: Sequence[tuple[str, Tally]], *, rows: int, seconds: float, is_finished: bool) -> Self:
        """Add up the tallies of all stages."""
        total = Tally()
        for _, tally in stages:
            total.add(tally)
        return cls(
            is_finished=is_finished,
            seconds=seconds,
            rows=rows,
            files_opened=total.files_opened,
            bytes_read=total.bytes_read,
            headers_read=total.headers_read,
            images_decoded=total.images_decoded,
            images_encoded=total.images_encoded,
            model_calls=total.model_calls,
            model_rows=total.model_rows,
            nodes_on_gpu=total.nodes_on_gpu,
            nodes_on_cpu=total.nodes_on_cpu,
            stages=tuple(_stage(name, one, seconds) for name, one in stages),
        )

    def __repr__(self) -> str:
        so_far = "" if self.is_finished else " so far"
        work = [
            f"{_many(self.files_opened, 'file')} opened, {_bytes(self.bytes_read)} read" if self.files_opened else "",
            f"{_many(self.headers_read, 'header')} read" if self.headers_read else "",
            f"{_many(self.images_decoded, 'image')} decoded" if self.images_decoded else "",
            f"{_many(self.images_encoded, 'image')} encoded" if self.images_encoded else "",
            f"{_many(self.model_rows, 'image')} in {_many(self.model_calls, 'model call')}" if self.model_calls else "",
            f"{_many(self.nodes_on_gpu, 'graph node')} on the GPU, {self.nodes_on_cpu} on the CPU"
            if self.nodes_on_gpu or self.nodes_on_cpu
            else "",
        ]
        lines = [f"{_many(self.rows, 'row')} in {self.seconds:.2f} s{so_far}", ", ".join(filter(None, work))]
        lines += [f"stage {number} {stage}" for number, stage in enumerate(self.stages, start=1)]
        return "\n".join(filter(None, lines))


def _stage(name: str, tally: Tally, seconds: float) -> StageStats:
    spent = tally.nanoseconds / 1e9
    return StageStats(
        name=name,
        tasks=tally.tasks,
        rows=tally.rows,
        seconds=spent,
        workers=tally.workers,
        busy=min(1.0, spent / (seconds * tally.workers)) if seconds and tally.workers else 0.0,
    )


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _bytes(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return _many(count, "byte")
