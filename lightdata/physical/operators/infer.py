"""A model on columns of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.config import batch_limit
from lightdata.errors import DecodeError, RowError
from lightdata.inference.columns import output_columns
from lightdata.inference.device import Placement
from lightdata.inference.model import ImageInput, Model, ValueInput
from lightdata.inference.runner import Feed, Runner
from lightdata.inference.session import open_runner
from lightdata.io.source import OnError
from lightdata.kernels.columns import to_numpy
from lightdata.kernels.decode_column import cut_by_bytes
from lightdata.kernels.rebatch import rebatch
from lightdata.kernels.tally import tally
from lightdata.physical.gpu_share import GpuShare, HeldPlace
from lightdata.physical.operators.picture import Picture, headers_of, images_of, naming_row
from lightdata.physical.stage import Context, uri_of, with_column
from lightdata.types.image import EncodedImage
from lightdata.types.operation import Operation, ToMode
from lightdata.types.plain_array import plain_array
from lightdata.types.result_type import image_known
from lightdata.types.tensor import is_tensor

Column = NDArray[Any] | list[NDArray[Any] | None]
"""An input's values: ``[N, ...]``, or one array (or ``None``) a row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferOperator:
    """Add a model's outputs; the session opens in the worker, once."""

    columns: tuple[str, ...]
    """One for each input of the model."""

    model: Model
    placement: Placement
    batch_rows: int
    """Rows of one call of the model, at most."""

    share: GpuShare | None = None
    """The GPUs that processes take one each of."""

    on_error: OnError = "raise"

    keeps_rows: ClassVar[bool] = True
    counts_rows: ClassVar[bool] = True

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Run the model on each batch."""
        placement = self.placement
        if self.share is not None:
            held = context.resource(self.share, self.share.take, HeldPlace.release)
            placement = replace(placement, index=held.number)
        runner = context.resource(self, lambda: open_runner(self.model, placement), Runner.close)
        is_counted = bool(runner.nodes) or not runner.is_profiled
        for (batch, feeds), answers in runner.stream(self._work(batches, runner, context)):
            if not is_counted and runner.nodes:
                is_counted = True
                _count_nodes(runner.nodes)
            for feed in feeds:
                tally("model_calls", runner.calls(len(feed)))
                tally("model_rows", len(feed))
            out = batch
            for name, column in output_columns(self.model, feeds, answers, batch.num_rows).items():
                out = with_column(out, name, column)
            yield out

    def _work(
        self, batches: Iterator[pa.RecordBatch], runner: Runner, context: Context
    ) -> Iterator[tuple[tuple[pa.RecordBatch, list[Feed]], list[Feed]]]:
        names = [one.port.name for one in runner.inputs]
        before = 0
        for whole in self._parts(batches):
            if self.on_error != "raise":
                found = self._what_works(whole, names, before, context)
                before += whole.num_rows
                yield found, found[1]
                continue
            batch, failure = whole, None
            try:
                feeds = self._feeds(batch, names)
            except RowError as error:
                failure, batch = error, whole.slice(0, error.row or 0)
                feeds = self._feeds(batch, names) if batch.num_rows else []
            if batch.num_rows or failure is None:
                yield (batch, feeds), feeds
            if failure is not None:
                raise failure

    def _what_works(
        self, whole: pa.RecordBatch, names: list[str], before: int, context: Context
    ) -> tuple[pa.RecordBatch, list[Feed]]:
        """Find the rows that can be fed: others are left out, or fed as nulls, and told."""
        failed: dict[int, RowError] = {}
        if context.lost:
            failed[0] = context.lost.pop()
        while True:
            rows = plain_array([None if n in failed else n for n in range(whole.num_rows)], pa.int64())
            nulled = whole
            for column in self.columns if failed else ():
                nulled = with_column(nulled, column, whole.column(column).take(rows))
            try:
                feeds = self._feeds(nulled, names)
                break
            except RowError as error:
                if error.row is None or error.row in failed:
                    raise
                failed[error.row] = error
        stage = f"infer({', '.join(self.columns)})"
        for row in sorted(failed):
            context.failures.append(failed[row].at(uri=uri_of(whole, row), row=row, stage=stage).moved(before))
        if self.on_error == "null" or not failed:
            return whole, feeds
        kept = whole.filter(rows.is_valid())
        return kept, self._feeds(kept, names)

    def _parts(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Cut batches to the rows of a call, and further where their images take more than a batch may."""
        columns = [
            column for column, one in zip(self.columns, self.model.inputs, strict=True) if isinstance(one, ImageInput)
        ]
        for batch in rebatch(batches, self.batch_rows, batch_limit()):
            images = [headers_of(batch.column(column)) for column in columns]
            sizes = [
                sum(image.decoded_bytes for image in row if isinstance(image, EncodedImage))
                for row in zip(*images, strict=True)
            ]
            for rows in cut_by_bytes(sizes) if sizes else (slice(0, batch.num_rows),):
                yield batch.slice(rows.start, rows.stop - rows.start)

    def _feeds(self, batch: pa.RecordBatch, names: list[str]) -> list[Feed]:
        given = {
            name: self._images(batch, column, one) if isinstance(one, ImageInput) else _values(batch, column, one)
            for name, column, one in zip(names, self.columns, self.model.inputs, strict=True)
        }
        if not batch.num_rows:
            return []
        if all(isinstance(column, np.ndarray) for column in given.values()):
            return [Feed(given)]  # type: ignore[arg-type]  # just asked
        return [_feed(given, rows) for rows in _equal_rows(given, batch.num_rows)]

    def _images(self, batch: pa.RecordBatch, column: str, one: ImageInput) -> Column:
        """Give the pixels of a column: a view where they lie side by side, one array where they have one size."""
        array, stage = batch.column(column), f"infer({column})"
        known = image_known(array.type)
        if known is not None and known.mode == one.mode and not array.null_count and len(array):
            with naming_row(batch, 0, stage):
                _check_size(one, known.height or 0, known.width or 0)
            return array.to_numpy_ndarray()
        pixels: list[NDArray[Any] | None] = []
        together: NDArray[Any] | None = None
        for number, image in enumerate(images_of(batch, column, stage)):
            with naming_row(batch, number, stage):
                made = None if image is None else _prepared(one, image)
            if made is not None and number == 0:
                together = np.empty((batch.num_rows, *made.shape), made.dtype)
            if together is not None and made is not None and made.shape == together.shape[1:]:
                together[number] = made
                made = together[number]
            else:
                pixels, together = list(pixels), None
            pixels.append(made)
        return pixels if together is None else together


def _count_nodes(nodes: Mapping[str, int]) -> None:
    on_cpu = nodes.get("CPUExecutionProvider", 0)
    tally("nodes_on_cpu", on_cpu)
    tally("nodes_on_gpu", sum(nodes.values()) - on_cpu)


def _prepared(one: ImageInput, image: EncodedImage) -> NDArray[Any]:
    _check_size(one, image.height, image.width)
    as_is: tuple[Operation, ...] = () if image.mode == one.mode else (ToMode(mode=one.mode),)
    return Picture(image).pixels(as_is)


def _check_size(one: ImageInput, height: int, width: int) -> None:
    for found, wanted in zip((height, width), one.size, strict=True):
        if wanted is not None and found != wanted:
            raise DecodeError(
                f"the image is {height}x{width} and the model takes {one.size[0]}x{one.size[1]}; "
                f'resize it first, e.g. with_columns(ld.col("image").image.resize({one.size[0]}, {one.size[1]}))'
            )


def _values(batch: pa.RecordBatch, column: str, one: ValueInput) -> Column:
    array, dtype = batch.column(column), one.port.dtype
    if array.null_count == 0:
        found = to_numpy(array)
        return found.astype(dtype, copy=False) if found.dtype != object else [row.astype(dtype) for row in found]
    rows = to_numpy(array) if is_tensor(array.type) else array.to_pylist()
    return [None if row is None else np.asarray(row, dtype) for row in rows]


def _equal_rows(given: Mapping[str, Column], rows: int) -> list[NDArray[np.intp]]:
    """Group rows whose values have equal shapes; a row without one of its values is in none."""
    groups: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for row in range(rows):
        values = [column[row] for column in given.values()]
        if not any(value is None for value in values):
            groups.setdefault(tuple(np.shape(value) for value in values), []).append(row)  # type: ignore[arg-type]
    return [np.asarray(group, np.intp) for group in groups.values()]


def _feed(given: Mapping[str, Column], rows: NDArray[np.intp]) -> Feed:
    values = {
        name: column[rows] if isinstance(column, np.ndarray) else np.stack([column[row] for row in rows])
        for name, column in given.items()
    }
    return Feed(values, rows)
