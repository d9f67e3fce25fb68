"""A batch in the form a user's function wants, and its answer as a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from lightdata.errors import SchemaError
from lightdata.kernels.columns import as_objects, column_from, to_numpy
from lightdata.types.canonical import canonical
from lightdata.types.image import ImageType
from lightdata.types.tensor import is_tensor


def to_format(batch: pa.RecordBatch, batch_format: str) -> Any:
    """Give a batch as "numpy" (a dict of arrays), "pandas", "polars" or "pyarrow" (a table).

    NumPy and pandas get pixels; Polars and pyarrow get the columns as stored.
    """
    match batch_format:
        case "numpy":
            return {name: to_numpy(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
        case "pandas":
            return to_pandas(batch)
        case "polars":
            import polars as pl  # noqa: PLC0415 - workers mostly need none

            return pl.from_arrow(batch)
        case "pyarrow":
            return pa.Table.from_batches([batch])
    raise TypeError(f"no batch format {batch_format!r}; add a case to {__name__}")


def to_pandas(data: pa.RecordBatch | pa.Table) -> Any:
    """Give Arrow data as a pandas frame, with one array in each cell of an image or tensor column."""
    import pandas as pd  # noqa: PLC0415 - an optional extra

    columns = {}
    for name, column in zip(data.schema.names, data.columns, strict=True):
        whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if isinstance(column.type, ImageType) or is_tensor(column.type):
            columns[name] = pd.Series(as_objects(list(to_numpy(whole))), dtype=object)
        else:
            columns[name] = whole.to_pandas()
    return pd.DataFrame(columns)


def from_output(output: Any) -> pa.RecordBatch:
    """Build a batch from what a batch function returned: a mapping of columns, or a pandas, Polars or Arrow table.

    Raises
    ------
    SchemaError
        If it is none of these, or its columns differ in length.
    """
    match output:
        case pa.RecordBatch():
            return canonical(output)
        case pa.Table():
            return _table_batch(canonical(output))
        case Mapping():
            return _from_mapping(output)
    library = type(output).__module__.partition(".")[0]  # whoever made it has imported it
    if library == "polars" and hasattr(output, "get_columns"):
        return _table_batch(canonical(output.to_arrow()))
    if library == "pandas":
        return _from_mapping({str(name): output[name] for name in output.columns})
    raise SchemaError(
        f"a batch function must return a mapping of column to array, or a table; got {type(output).__name__}"
    )


def _from_mapping(output: Mapping[Any, Any]) -> pa.RecordBatch:
    columns = {str(name): column_from(values, column=str(name)) for name, values in output.items()}
    if len({len(column) for column in columns.values()}) > 1:
        sizes = ", ".join(f"{name} has {len(column)}" for name, column in columns.items())
        raise SchemaError(f"the columns of a batch must have the same number of rows; {sizes}")
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _table_batch(table: pa.Table) -> pa.RecordBatch:
    columns = [column_from(column, column=name) for name, column in zip(table.schema.names, table.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)
