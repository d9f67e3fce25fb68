"""A model on columns of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

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
from lightdata.kernels.tally import row_in_hand, tally
from lightdata.physical.gpu_share import GpuShare, HeldPlace
from lightdata.physical.operators.picture import Picture, headers_of, known, naming_row
from lightdata.physical.stage import Context, name_rows, uri_of, with_column
from lightdata.types.image import EncodedImage
from lightdata.types.operation import Operation, ToMode
from lightdata.types.plain_array import plain_array
from lightdata.types.result_type import image_known
from lightdata.types.tensor import is_tensor

Column = NDArray[Any] | list[NDArray[Any] | None]
"""An input's values: ``[N, ...]``, or one array (or ``None``) a row."""

Failed = dict[int, RowError]
"""Rows of a batch whose images cannot be used, and why."""


class _Job(NamedTuple):
    """Rows that the model is run on."""

    batch: pa.RecordBatch
    feeds: list[Feed]
    failed: Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class InferOperator:
    """Add a model's outputs; the session opens in the worker, once.

    Where ``on_error`` lets rows go, an image that cannot be decoded, or has another size than the model takes, is never
    given to it: its row has nulls, or is left out.
    """

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
        for (batch, feeds, failed), answers in runner.stream(self._work(batches, runner, context)):
            if not is_counted and runner.nodes:
                is_counted = True
                _count_nodes(runner.nodes)
            for feed in feeds:
                tally("model_calls", runner.calls(len(feed)))
                tally("model_rows", len(feed))
            out, sizes = batch, self._sizes(batch) if feeds else np.ones((batch.num_rows, 2), np.int64)
            for name, column in output_columns(self.model, feeds, answers, sizes).items():
                out = with_column(out, name, column)
            yield _without(out, failed) if failed and self.on_error == "skip" else out

    def _work(
        self, batches: Iterator[pa.RecordBatch], runner: Runner, context: Context
    ) -> Iterator[tuple[_Job, list[Feed]]]:
        names = [one.port.name for one in runner.inputs]
        before = 0
        for whole in self._parts(batches, context):
            batch, failure = whole, None
            feeds, failed = self._given(batch, names, context)
            while isinstance(feeds, RowError):
                failure, batch = feeds, whole.slice(0, feeds.row or 0)
                feeds, failed = self._given(batch, names, context)
            context.failures += [failed[row].moved(before) for row in sorted(failed)]
            before += whole.num_rows
            if batch.num_rows or failure is None:
                yield _Job(batch, feeds, failed), feeds
            if failure is not None:
                raise failure

    def _given(self, batch: pa.RecordBatch, names: list[str], context: Context) -> tuple[list[Feed] | RowError, Failed]:
        """Give what the model gets of a batch, and the rows that it does not; or the error that ends the run."""
        failed: Failed = {}
        if context.lost and self.on_error != "raise":
            failed[0] = context.lost.pop().at(uri=uri_of(batch, 0), row=0, stage=self._stage(self.columns[0]))
            return [], failed
        try:
            return self._feeds(batch, names, failed), failed
        except RowError as error:
            return error, failed

    def _parts(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Cut batches to the rows of a call, and further where their images take more than a batch may."""
        columns = [
            (column, one)
            for column, one in zip(self.columns, self.model.inputs, strict=True)
            if isinstance(one, ImageInput)
        ]
        for batch in rebatch(batches, self.batch_rows, batch_limit()):
            if context.lost:  # one row, which nobody may look at
                yield batch
                continue
            name_rows(batch)
            nbytes = [
                [_given_bytes(one, image) for image in headers_of(batch.column(column))] for column, one in columns
            ]
            sizes = [sum(row) for row in zip(*nbytes, strict=True)]
            for rows in cut_by_bytes(sizes) if sizes else (slice(0, batch.num_rows),):
                yield batch.slice(rows.start, rows.stop - rows.start)

    def _feeds(self, batch: pa.RecordBatch, names: list[str], failed: Failed) -> list[Feed]:
        given = {
            name: self._images(batch, column, one, failed)
            if isinstance(one, ImageInput)
            else _values(batch, column, one)
            for name, column, one in zip(names, self.columns, self.model.inputs, strict=True)
        }
        if not batch.num_rows:
            return []
        if not failed and all(isinstance(column, np.ndarray) for column in given.values()):
            return [Feed(given)]  # type: ignore[arg-type]  # just asked
        return [_feed(given, rows) for rows in _equal_rows(given, batch.num_rows)]

    def _images(self, batch: pa.RecordBatch, column: str, one: ImageInput, failed: Failed) -> Column:
        """Give the pixels of a column: a view where they lie side by side, one array where they have one size."""
        array, stage = batch.column(column), self._stage(column)
        whole = image_known(array.type)
        if (
            whole is not None
            and whole.mode == one.mode
            and not array.null_count
            and len(array)
            and one.fits(whole.height or 0, whole.width or 0)
        ):
            return array.to_numpy_ndarray()
        pixels: list[NDArray[Any] | None] = []
        together: NDArray[Any] | None = None
        name_rows(batch)
        for number, image in enumerate(headers_of(array)):
            row_in_hand(number)
            made = self._pixels(image, one, (batch, number, stage), failed)
            if made is not None and number == 0:
                together = np.empty((batch.num_rows, *made.shape), made.dtype)
            if together is not None and made is not None and made.shape == together.shape[1:]:
                together[number] = made
                made = together[number]
            else:
                pixels, together = list(pixels), None
            pixels.append(made)
        return pixels if together is None else together

    def _pixels(
        self,
        image: EncodedImage | DecodeError | None,
        one: ImageInput,
        place: tuple[pa.RecordBatch, int, str],
        failed: Failed,
    ) -> NDArray[Any] | None:
        """Decode an image for the model; one that cannot be used is ``None``, where rows are let go."""
        try:
            with naming_row(*place):
                given = known(image)
                return None if given is None else _prepared(one, given)
        except RowError as error:
            if self.on_error == "raise":
                raise
            failed.setdefault(place[1], error.at())
            return None

    def _sizes(self, batch: pa.RecordBatch) -> NDArray[np.int64]:
        """Give the height and width of each row's image, ``[N, 2]``; one pixel where nobody asks, or it is none."""
        if self.model.detection is None:
            return np.ones((batch.num_rows, 2), np.int64)
        array = batch.column(self.columns[0])
        known = image_known(array.type)
        if known is not None and known.height is not None and known.width is not None:
            return np.full((len(array), 2), (known.height, known.width), np.int64)
        sizes = [(one.height, one.width) if isinstance(one, EncodedImage) else (1, 1) for one in headers_of(array)]
        return np.array(sizes, np.int64)

    def _stage(self, column: str) -> str:
        return f"{self.model.verb}({column})"


def _without(batch: pa.RecordBatch, rows: Failed) -> pa.RecordBatch:
    return batch.filter(plain_array([number not in rows for number in range(batch.num_rows)], pa.bool_()))


def _count_nodes(nodes: Mapping[str, int]) -> None:
    on_cpu = nodes.get("CPUExecutionProvider", 0)
    tally("nodes_on_cpu", on_cpu)
    tally("nodes_on_gpu", sum(nodes.values()) - on_cpu)


def _given_bytes(one: ImageInput, image: EncodedImage | DecodeError | None) -> int:
    """Tell the bytes that an image takes until the model is called: as it is, or in the size it is fitted to."""
    if not isinstance(image, EncodedImage):
        return 0
    return image.decoded_bytes if one.fit is None else one.fit.height * one.fit.width * one.channels


def _prepared(one: ImageInput, image: EncodedImage) -> NDArray[Any]:
    if one.fit is None and not one.fits(image.height, image.width):
        raise DecodeError(
            f"the image is {image.height}x{image.width} and the model takes {one.size[0]}x{one.size[1]}; "
            f'resize it first, e.g. with_columns(ld.col("image").image.resize({one.size[0]}, {one.size[1]}))'
        )
    converted: tuple[Operation, ...] = () if image.mode == one.mode else (ToMode(mode=one.mode),)
    return Picture(image).pixels(converted if one.fit is None else (*converted, one.fit))


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
