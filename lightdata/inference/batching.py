"""Run a session over pixels: equal-sized batches in, columns out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.errors import DecodeError, ModelError
from lightdata.inference.model import Model
from lightdata.kernels.columns import column_of
from lightdata.kernels.tally import tally
from lightdata.kernels.tensor import to_tensor
from lightdata.types.operation import ToTensor
from lightdata.types.plain_array import plain_array


def run_rows(model: Model, session: Any, rows: list[NDArray[Any] | None], batch_rows: int) -> list[list[NDArray[Any]]]:
    """Run a model over images, ``batch_rows`` of one size at a time.

    Parameters
    ----------
    rows : list of uint8 [H, W] or [H, W, C], or None
        In the model's mode. A null image gives null outputs.
    batch_rows : int
        Rows of one call.

    Returns
    -------
    list of arrays for each row; empty for a null image
    """
    results: list[list[NDArray[Any]]] = [[] for _ in rows]
    names = [port.name for port, _ in model.outputs]
    for numbers in _equal_runs(rows, batch_rows):
        pixels = np.stack([row for number in numbers if (row := rows[number]) is not None])
        if model.input.shape[0] is not None:  # a graph of a fixed number of rows takes no fewer
            pixels = np.concatenate([pixels, np.repeat(pixels[-1:], model.input.shape[0] - len(pixels), axis=0)])
        outputs = session.run(names, {model.input.name: prepare(model, pixels)})
        tally("model_calls")
        tally("model_rows", len(numbers))
        for place, number in enumerate(numbers):
            results[number] = [output[place] for output in outputs]
    return results


def _equal_runs(rows: list[NDArray[Any] | None], batch_rows: int) -> list[list[int]]:
    runs: dict[tuple[int, ...], list[list[int]]] = {}
    for number, row in enumerate(rows):
        if row is None:
            continue
        batches = runs.setdefault(row.shape, [[]])
        if len(batches[-1]) == batch_rows:
            batches.append([])
        batches[-1].append(number)
    return [batch for batches in runs.values() for batch in batches]


def prepare(model: Model, pixels: NDArray[Any]) -> NDArray[Any]:
    """Turn pixels into the model's input.

    Parameters
    ----------
    pixels : uint8 [N, H, W] or [N, H, W, C]

    Returns
    -------
    the input's dtype, [N, C, H, W] or [N, H, W, C]
    """
    how = model.preprocess
    operation = ToTensor(
        layout="CHW" if model.layout == "NCHW" else "HWC",
        dtype=model.input.dtype,
        scale=how.scale,
        mean=how.mean,
        std=how.std,
    )
    return to_tensor(pixels, operation)


def check_size(model: Model, height: int, width: int) -> None:
    """Refuse an image of a size the model does not take.

    Raises
    ------
    DecodeError
        Naming the resize that would help.
    """
    for found, wanted in zip((height, width), model.size, strict=True):
        if wanted is not None and found != wanted:
            raise DecodeError(
                f"the image is {height}x{width} and the model takes {model.size[0]}x{model.size[1]}; "
                f'resize it first, e.g. with_columns(ld.col("image").image.resize({model.size[0]}, {model.size[1]}))'
            )


def output_columns(model: Model, results: list[list[NDArray[Any]]]) -> dict[str, pa.Array]:
    """Build the columns a model adds; rows without results are null."""
    if model.top_k is not None:
        return _ranked(model, [row[0] if row else None for row in results])
    types = model.output_types()
    return {
        column: column_of([row[number] if row else None for row in results], types[column])
        for number, (_, column) in enumerate(model.outputs)
    }


def _ranked(model: Model, rows: list[NDArray[Any] | None]) -> dict[str, pa.Array]:
    count = model.top_k or 1
    orders = [None if row is None else _descending(row.ravel())[:count] for row in rows]
    scores = [None if row is None else row.ravel()[order].tolist() for row, order in zip(rows, orders, strict=True)]
    labels = [None if order is None else [_label(model, int(place)) for place in order] for order in orders]
    values: dict[str, list[Any]] = {model.label_column: labels, model.score_column: scores}
    if count == 1:
        values = {column: [row and row[0] for row in ranked] for column, ranked in values.items()}
    return {column: plain_array(values[column], kind) for column, kind in model.output_types().items()}


def _descending(values: NDArray[Any]) -> NDArray[np.intp]:
    # Bytes and truth values have no negatives.
    return np.argsort(-(values.astype(np.int16) if values.dtype.kind in "bu" else values), kind="stable")


def _label(model: Model, place: int) -> str | int:
    if model.labels is None:
        return place
    if place >= len(model.labels):
        raise ModelError(f"there are {len(model.labels)} labels, and the model gives a class {place}")
    return model.labels[place]
