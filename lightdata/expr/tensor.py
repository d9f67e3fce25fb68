"""The ``.tensor`` namespace of Polars expressions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from lightdata.errors import ArgumentError
from lightdata.expr.deferred import chain_of, extend
from lightdata.types import operation as ops
from lightdata.types import tensor_operation as tensor_ops


class TensorNamespace:
    """What NumPy users expect of a column of arrays, applied to each row.

    Axes count from the first axis of one row's array. A null tensor gives null.

    >>> import polars as pl
    >>> pl.col("logits").tensor.argmax().meta.output_name()
    'logits'
    """

    def __init__(self, expr: pl.Expr) -> None:
        self._expr = expr

    def cast(self, dtype: str | np.dtype[np.generic] | type) -> pl.Expr:
        """Change the dtype, as ``ndarray.astype`` does."""
        return self._then(tensor_ops.Cast(dtype=np.dtype(dtype).name))

    def reshape(self, *shape: int | Sequence[int]) -> pl.Expr:
        """Change the shape in C order; one length may be -1."""
        return self._then(tensor_ops.Reshape(shape=_ints(shape)))

    def transpose(self, *axes: int | Sequence[int]) -> pl.Expr:
        """Permute the axes; without an order, reverse them."""
        return self._then(tensor_ops.Transpose(axes=_ints(axes) or None))

    def normalize(self, mean: Sequence[float], std: Sequence[float], *, axis: int = 0) -> pl.Expr:
        """Subtract a mean and divide by a standard deviation, one for each entry of ``axis``."""
        if len(mean) != len(std) or 0 in std:
            raise ArgumentError("normalize takes as many non-zero std as mean")
        means, stds = tuple(map(float, mean)), tuple(map(float, std))
        return self._then(tensor_ops.Normalize(mean=means, std=stds, axis=axis))

    def argmax(self, axis: int | None = None) -> pl.Expr:
        """Find the position of the largest value, in the flattened tensor or along an axis; int64."""
        return self._then(tensor_ops.Reduce(function="argmax", axis=axis))

    def mean(self, axis: int | None = None) -> pl.Expr:
        """Average all values, or along an axis; floats keep their dtype, integers give float64."""
        return self._then(tensor_ops.Reduce(function="mean", axis=axis))

    def norm(self, axis: int | None = None) -> pl.Expr:
        """Give the Euclidean norm of all values, or along an axis."""
        return self._then(tensor_ops.Reduce(function="norm", axis=axis))

    def cosine_similarity(self, other: pl.Expr | ArrayLike) -> pl.Expr:
        """Compare with a vector or with another column's tensors; float64, 0 where either is all zero."""
        if isinstance(other, pl.Expr):
            return self._then(tensor_ops.CosineSimilarity(other=chain_of(other, "tensor")[0]))
        return self._then(tensor_ops.CosineSimilarity(other=tuple(np.asarray(other, np.float64).ravel().tolist())))

    def _then(self, operation: ops.Operation) -> pl.Expr:
        return extend(self._expr, operation, "tensor")


def _ints(values: tuple[int | Sequence[int], ...]) -> tuple[int, ...]:
    flat = values[0] if len(values) == 1 and isinstance(values[0], Sequence) else values
    return tuple(int(value) for value in flat)  # type: ignore[arg-type]  # flat by now
