"""Tensor operations on whole batches ``[N, ...]``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightdata.errors import SchemaError
from lightdata.types.operation import ToTensor
from lightdata.types.tensor_operation import (
    Cast,
    CosineSimilarity,
    Normalize,
    Reduce,
    Reshape,
    TensorOperation,
    Transpose,
)


def to_tensor(pixels: NDArray[Any], operation: ToTensor) -> NDArray[Any]:
    """Turn pixels into numbers: ``(value * scale - mean) / std``.

    Channels are moved before the arithmetic, while a value is still one byte.

    Parameters
    ----------
    pixels : uint8 (or the mode's dtype) [N, H, W] or [N, H, W, C]
    operation : ToTensor
        Its ``mean`` and ``std`` are per channel, on the scaled values.

    Returns
    -------
    operation.dtype [N, C, H, W] or [N, H, W, C]

    Examples
    --------
    >>> white = np.full((1, 2, 2, 3), 255, np.uint8)
    >>> to_tensor(white, ToTensor(layout="CHW", scale=1 / 255, mean=(0.5,) * 3, std=(0.5,) * 3)).ravel()[:3]
    array([1., 1., 1.], dtype=float32)
    """
    if pixels.ndim == 3:  # noqa: PLR2004 - one channel has no axis
        pixels = pixels[..., np.newaxis]
    if operation.layout == "CHW":
        pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
    if operation.scale is None and operation.mean is None and operation.std is None:
        return pixels.astype(operation.dtype, copy=False)
    work = np.dtype(np.float64 if operation.dtype == "float64" else np.float32)
    out = np.multiply(pixels, work.type(1 if operation.scale is None else operation.scale), dtype=work)
    along = (1, -1, 1, 1) if operation.layout == "CHW" else (1, 1, 1, -1)
    if operation.mean is not None:
        out -= np.asarray(operation.mean, work).reshape(along)
    if operation.std is not None:
        out /= np.asarray(operation.std, work).reshape(along)
    return out.astype(operation.dtype, copy=False)


def apply(operation: TensorOperation, rows: NDArray[Any], other: NDArray[Any] | None = None) -> NDArray[Any]:
    """Carry out one operation on a batch.

    Parameters
    ----------
    rows : [N, *shape]
    other : [N, *shape] or [*shape], optional
        What :class:`CosineSimilarity` compares with.

    Returns
    -------
    [N, *shape of the result]

    Examples
    --------
    >>> apply(Reduce(function="argmax"), np.array([[1, 3, 2], [9, 0, 0]]))
    array([1, 0])
    """
    out = operation.dtype_of(rows.dtype)
    match operation:
        case Cast():
            return rows.astype(out, copy=False)
        case Reshape(shape=shape):
            return (
                rows.reshape(len(rows), *operation.shape_of(rows.shape[1:])) if len(rows) else rows.reshape(0, *shape)
            )
        case Transpose(axes=axes):
            order = range(rows.ndim - 1)[::-1] if axes is None else [axis % (rows.ndim - 1) for axis in axes]
            return np.ascontiguousarray(rows.transpose(0, *(axis + 1 for axis in order)))
        case Normalize(mean=mean, std=std, axis=axis):
            operation.shape_of(rows.shape[1:])
            along = [1] * rows.ndim
            along[axis + 1 if axis >= 0 else axis] = -1
            return (rows.astype(out) - np.array(mean, out).reshape(along)) / np.array(std, out).reshape(along)
        case Reduce():
            return _reduce(operation, rows).astype(out, copy=False)
        case CosineSimilarity() if other is not None:
            return cosine_similarity(rows, other)
        case _:
            raise TypeError(f"no kernel for {type(operation).__name__}; add a case to {__name__}")


def _reduce(operation: Reduce, rows: NDArray[Any]) -> NDArray[Any]:
    axis = operation.axis
    if axis is None:
        rows, axis = _flat(rows), 0
    along = axis + 1 if axis >= 0 else axis
    match operation.function:
        case "argmax":
            return np.asarray(np.argmax(rows, axis=along))
        case "mean":
            return np.asarray(np.mean(rows, axis=along, dtype=np.float64))
        case _:
            return np.asarray(np.linalg.norm(rows.astype(np.float64), axis=along))


def _flat(rows: NDArray[Any]) -> NDArray[Any]:
    return rows.reshape(len(rows), math.prod(rows.shape[1:]))  # -1 means nothing where there are no rows


def cosine_similarity(rows: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Compare each row with one vector, or with its row of another batch; 0 where either is all zero."""
    left = _flat(rows).astype(np.float64)
    right = (_flat(other) if other.ndim == rows.ndim else other.reshape(1, other.size)).astype(np.float64)
    if right.shape[1] != left.shape[1] or len(right) not in (1, len(left)):
        raise SchemaError(f"cosine_similarity: {right.shape[1]} values cannot be compared with {left.shape[1]}")
    product = np.einsum("ij,ij->i", left, np.broadcast_to(right, left.shape))
    size = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.divide(product, size, out=np.zeros(len(left)), where=size > 0)
