"""Groups of rows whose vectors are nearly alike, over a whole column."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lightdata.types.tensor import tensor_rows

_BLOCK = 1024
"""Rows compared at once with all rows after them; bounds the memory of their similarities."""


def near_groups(vectors: NDArray[np.floating], threshold: float) -> NDArray[np.int64]:
    """Group rows whose cosine similarity reaches a threshold, directly or over other rows.

    Parameters
    ----------
    vectors : [N, D]

    Returns
    -------
    int64 [N]
        For each row the number of the first row of its group.

    Examples
    --------
    >>> near_groups(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.01]]), 0.9)
    array([0, 1, 0])
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    groups = np.arange(len(units), dtype=np.int64)
    for start in range(0, len(units), _BLOCK):
        similar = units[start : start + _BLOCK] @ units[start:].T >= threshold
        for row, alike in enumerate(similar, start):
            own = np.append(groups[start:][alike], groups[row])
            least = own.min()
            if (own != least).any():  # each time there is a group less, so this is no more often than there are rows
                groups[np.isin(groups, own)] = least
    return groups


def group_series(column: pl.Series, threshold: float) -> pl.Series:
    """Group the rows of a column of tensors; a null is in no group."""
    rows = tensor_rows(column.to_arrow())
    places = [number for number, row in enumerate(rows) if row is not None]
    groups: list[int | None] = [None] * len(rows)
    if places:
        vectors = np.stack([np.ravel(rows[place]) for place in places])  # type: ignore[arg-type]  # no null among them
        for place, group in zip(places, near_groups(vectors, threshold).tolist(), strict=True):
            groups[place] = places[group]
    return pl.Series(column.name, groups, pl.Int64)
