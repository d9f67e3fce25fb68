"""Datasets of what is in memory already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.dataset.combining import plan_of
from lightdata.dataset.dataset import Dataset
from lightdata.errors import ArgumentError
from lightdata.io.lazy_frame import held_schema
from lightdata.io.memory import MemorySource, RangeSource
from lightdata.kernels.columns import column_from
from lightdata.kernels.rows import batch_from_rows
from lightdata.plan.node import Scan
from lightdata.types.canonical import canonical
from lightdata.types.plain_array import number_array
from lightdata.types.tensor import fixed_tensors


def range(n: int) -> Dataset:  # noqa: A001 - Ray's word
    """Make the integers ``0 .. n - 1`` in a column ``id``.

    >>> range(2).take_all()
    [{'id': 0}, {'id': 1}]
    """
    if not isinstance(n, int) or n < 0:
        raise ArgumentError(f"range takes a number of rows of 0 or more; got {n!r}")
    return Dataset(Scan(source=RangeSource(n)))


def from_items(items: Iterable[Any]) -> Dataset:
    """Make a dataset of rows: mappings of column to value, or plain values for a column ``item``.

    >>> from_items(["a", "b"]).take_all()
    [{'item': 'a'}, {'item': 'b'}]
    """
    rows = [item if isinstance(item, Mapping) else {"item": item} for item in items]
    return Dataset(Scan(source=MemorySource(pa.Table.from_batches([batch_from_rows(rows)]))))


def from_numpy(arrays: NDArray[Any] | Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]]) -> Dataset:
    """Make a dataset of the rows of an array ``[N, ...]`` (column ``data``), of several, or of one for each column.

    >>> from_numpy(np.zeros((3, 2, 2))).schema()
    data: Tensor[float64, (2, 2)]
    """
    columns = arrays if isinstance(arrays, Mapping) else {"data": arrays}
    whole = {
        name: array if isinstance(array, np.ndarray) else np.concatenate(list(array)) for name, array in columns.items()
    }
    if any(array.ndim == 0 for array in whole.values()) or len({len(array) for array in whole.values()}) > 1:
        raise ArgumentError("from_numpy takes arrays with an axis of rows, of one length")
    table = {name: number_array(array) if array.ndim == 1 else fixed_tensors(array) for name, array in whole.items()}
    return Dataset(Scan(source=MemorySource(canonical(pa.table(table)), is_borrowed=True)))


def from_arrow(tables: pa.Table | pa.RecordBatch | Sequence[pa.Table | pa.RecordBatch]) -> Dataset:
    """Make a dataset of Arrow tables, without a copy where types allow.

    >>> from_arrow(pa.table({"a": [1]})).take_all()
    [{'a': 1}]
    """
    parts = [tables] if isinstance(tables, pa.Table | pa.RecordBatch) else list(tables)
    if not parts:
        raise ArgumentError("from_arrow needs at least one table")
    whole = [part if isinstance(part, pa.Table) else pa.Table.from_batches([part]) for part in parts]
    return Dataset(Scan(source=MemorySource(canonical(pa.concat_tables(whole)))))


def from_polars(frames: pl.DataFrame | pl.LazyFrame | Sequence[pl.DataFrame | pl.LazyFrame]) -> Dataset:
    """Make a dataset of Polars frames; a lazy one runs when rows are asked for, and Polars optimizes across.

    >>> from_polars(pl.LazyFrame({"a": [1, 2]}).filter(pl.col("a") > 1)).take_all()
    [{'a': 2}]

    Raises
    ------
    SchemaError
        If a column cannot be held.
    """
    whole = [frames] if isinstance(frames, pl.DataFrame | pl.LazyFrame) else list(frames)
    if not whole:
        raise ArgumentError("from_polars needs at least one frame")
    eager = [frame for frame in whole if isinstance(frame, pl.DataFrame)]
    if len(eager) < len(whole):
        lazy = [frame.lazy() for frame in whole]
        return Dataset(plan_of("from_polars", lazy[0] if len(lazy) == 1 else pl.concat(lazy)))
    for frame in eager:
        held_schema(frame.schema)
    return from_arrow([frame.to_arrow() for frame in eager])


def from_pandas(frames: Any) -> Dataset:
    """Make a dataset of pandas frames; cells that are arrays become tensors."""
    whole = list(frames) if isinstance(frames, list | tuple) else [frames]
    tables = [pa.table({str(name): _pandas_column(frame[name]) for name in frame.columns}) for frame in whole]
    if not tables:
        raise ArgumentError("from_pandas needs at least one frame")
    return Dataset(Scan(source=MemorySource(canonical(pa.concat_tables(tables)), is_borrowed=True)))


def _pandas_column(series: Any) -> pa.Array:
    values = list(series) if series.dtype == object else []
    if any(hasattr(value, "__array__") and np.ndim(value) for value in values):
        return column_from(values, column=str(series.name))
    return pa.Array.from_pandas(series)
