"""Answers of a model to columns, all rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.errors import ModelError
from lightdata.inference.detections import detections_column
from lightdata.inference.labels import named_classes
from lightdata.inference.model import Model
from lightdata.inference.postprocess import apply
from lightdata.inference.runner import Answer, Feed
from lightdata.types.plain_array import number_array, plain_array
from lightdata.types.tensor import TensorType, fixed_tensors, tensors


def output_columns(
    model: Model, feeds: Sequence[Feed], answers: Sequence[Answer], sizes: NDArray[np.int64]
) -> dict[str, pa.Array]:
    """Build the columns that a model adds to a batch; rows that no feed has are null.

    ``sizes`` are the height and width of each row's image, which detectors ask for: int64 [rows, 2].
    """
    made = [
        [apply(output.postprocess, array) for output, array in zip(model.outputs, answer, strict=True)]
        for answer in answers
    ]
    if model.detection is not None:
        return {model.detection.column: _detected(model, feeds, made, sizes)}
    rows = len(sizes)
    present = _present(feeds, rows)
    if model.top_k is not None:
        return _ranked(model, feeds, [arrays[0] for arrays in made], present, rows)
    columns = {}
    for number, output in enumerate(model.outputs):
        parts = [arrays[number] for arrays in made]
        for part in parts:
            _check_shape(output.name, output.port.shape, part)
        columns[output.column] = _column(output.dtype, feeds, parts, present, rows)
    return columns


def _detected(model: Model, feeds: Sequence[Feed], made: Sequence[Answer], sizes: NDArray[np.int64]) -> pa.Array:
    answers = []
    for feed, arrays in zip(feeds, made, strict=True):
        for output, array in zip(model.outputs, arrays, strict=True):
            _check_shape(output.name, output.port.shape, array)
        named = {output.name: array for output, array in zip(model.outputs, arrays, strict=True)}
        answers.append((range(len(sizes)) if feed.rows is None else feed.rows, named))
    return detections_column(model, answers, sizes)


def _present(feeds: Sequence[Feed], rows: int) -> NDArray[np.bool_] | None:
    """Say which rows have an answer; ``None`` where all do."""
    if any(feed.rows is None for feed in feeds):
        return None
    present = np.zeros(rows, bool)
    for feed in feeds:
        present[feed.rows] = True
    return None if present.all() else present


def _check_shape(name: str, shape: Sequence[int | None], part: NDArray[Any]) -> None:
    if len(shape) != part.ndim or any(
        wanted not in (None, found) for wanted, found in zip(shape[1:], part.shape[1:], strict=True)
    ):
        raise ModelError(f"the model's output {name!r} is {list(part.shape)}, and it says {list(shape)} of itself")


def _column(
    kind: pa.DataType, feeds: Sequence[Feed], parts: Sequence[NDArray[Any]], present: Any, rows: int
) -> pa.Array:
    if len({part.shape[1:] for part in parts}) > 1 or (isinstance(kind, TensorType) and present is not None):
        by_row: list[NDArray[Any] | None] = [None] * rows
        for feed, part in zip(feeds, parts, strict=True):
            for place, row in enumerate(range(rows) if feed.rows is None else feed.rows):
                by_row[row] = part[place]
        return tensors(by_row, kind.dtype)
    if isinstance(kind, TensorType):
        return tensors(_whole(feeds, parts, rows).astype(kind.dtype, copy=False)) if parts else tensors([], kind.dtype)
    if isinstance(kind, pa.FixedShapeTensorType):
        dtype, shape = kind.value_type.to_pandas_dtype(), tuple(kind.shape)
        whole = _whole(feeds, parts, rows) if parts else np.zeros((rows, *shape), dtype)
        return _masked_tensors(fixed_tensors(whole.astype(dtype, copy=False)), present)
    whole = _whole(feeds, parts, rows) if parts else np.zeros(rows, kind.to_pandas_dtype())
    return _masked(number_array(whole), present)


def _whole(feeds: Sequence[Feed], parts: Sequence[NDArray[Any]], rows: int) -> NDArray[Any]:
    """Put the answers of several feeds together, each row in its place."""
    if len(parts) == 1 and feeds[0].rows is None:
        return parts[0]
    whole = np.zeros((rows, *parts[0].shape[1:]), parts[0].dtype)
    for feed, part in zip(feeds, parts, strict=True):
        whole[slice(None) if feed.rows is None else feed.rows] = part
    return whole


def _masked(column: pa.Array, present: NDArray[np.bool_] | None) -> pa.Array:
    """Make the rows null that have no answer."""
    if present is None:
        return column
    validity = pa.py_buffer(np.packbits(present, bitorder="little"))
    _, *buffers = column.buffers()
    return pa.Array.from_buffers(column.type, len(column), [validity, *buffers])


def _masked_tensors(column: pa.ExtensionArray, present: NDArray[np.bool_] | None) -> pa.Array:
    if present is None:
        return column
    storage = pa.FixedSizeListArray.from_arrays(
        column.storage.values, column.type.storage_type.list_size, mask=plain_array(list(~present), pa.bool_())
    )
    return pa.ExtensionArray.from_storage(column.type, storage)


def _ranked(
    model: Model, feeds: Sequence[Feed], parts: Sequence[NDArray[Any]], present: Any, rows: int
) -> dict[str, pa.Array]:
    count, types = model.top_k or 1, model.output_types()
    flat = [part.reshape(len(part), -1) for part in parts]
    if any(part.shape[1] < count for part in flat):
        raise ModelError(f"top_k={count} of an output of {min(part.shape[1] for part in flat)} classes")
    orders = [_descending(part, count) for part in flat]
    scores = [np.take_along_axis(part, order, axis=1) for part, order in zip(flat, orders, strict=True)]
    if not parts:
        orders = [np.zeros((0, count), np.int64)]
        scores = [np.zeros((0, count), model.outputs[0].port.dtype)]
        feeds = [Feed({}, np.zeros(0, np.intp))]
    places, values = _whole(feeds, orders, rows).ravel(), _whole(feeds, scores, rows).ravel()
    columns = {model.label_column: named_classes(model.labels, places), model.score_column: number_array(values)}
    if count == 1:
        return {name: _masked(column, present) for name, column in columns.items()}
    return {name: _lists(column, types[name], count, present) for name, column in columns.items()}


def _descending(values: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Give the places of the highest values of each row, of equal ones the first first."""
    if count == 1:
        return values.argmax(axis=1)[:, np.newaxis]
    # Bytes and truth values have no negatives.
    negative = -(values.astype(np.int16) if values.dtype.kind in "bu" else values)
    if count * 4 > values.shape[1]:
        return np.argsort(negative, axis=1, kind="stable")[:, :count].astype(np.int64, copy=False)
    order = np.sort(np.argpartition(negative, count - 1, axis=1)[:, :count], axis=1)
    best = np.take_along_axis(negative, order, axis=1)
    order = np.take_along_axis(order, np.argsort(best, axis=1, kind="stable"), axis=1)
    tied = (negative <= best.max(axis=1, keepdims=True)).sum(axis=1) > count
    if tied.any():  # of the last place's equals, the parting took any
        order[tied] = np.argsort(negative[tied], axis=1, kind="stable")[:, :count]
    return order


def _lists(values: pa.Array, kind: pa.DataType, count: int, present: NDArray[np.bool_] | None) -> pa.Array:
    rows = len(values) // count
    offsets = pa.py_buffer(np.arange(rows + 1, dtype=np.int64) * count)
    validity = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(kind, rows, [validity, offsets], children=[values])
