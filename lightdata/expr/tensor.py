"""The ``.tensor`` namespace of Polars expressions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

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

    def near_groups(self, threshold: float = 0.95) -> pl.Expr:
        """Group rows that are nearly alike: int64, the number of the first row of each row's group.

        Two rows are alike if their cosine similarity reaches ``threshold``, or if a chain of such rows leads from one
        to the other. It looks at all rows, and takes time that grows with their square: 20,000 are seconds.

        >>> import lightdata as ld
        >>> import numpy as np
        >>> ds = ld.from_numpy({"vector": np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0.1]])})
        >>> [row["group"] for row in ds.with_columns(group=ld.col("vector").tensor.near_groups()).take_all()]
        [0, 1, 0]
        """
        if not -1 <= threshold <= 1:
            raise ArgumentError(f"near_groups: threshold is a cosine, from -1 to 1; got {threshold!r}")
        from lightdata.expr.near_groups import group_series  # noqa: PLC0415 - only for those who compare all rows

        return self._expr.map_batches(partial(group_series, threshold=threshold), return_dtype=pl.Int64)

    def _then(self, operation: ops.Operation) -> pl.Expr:
        return extend(self._expr, operation, "tensor")


def _ints(values: tuple[int | Sequence[int], ...]) -> tuple[int, ...]:
    flat = values[0] if len(values) == 1 and isinstance(values[0], Sequence) else values
    return tuple(int(value) for value in flat)  # type: ignore[arg-type]  # flat by now
