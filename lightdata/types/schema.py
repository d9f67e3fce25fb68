"""Names and types of the columns of a dataset, and the words they print as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa

from lightdata.types.canonical import canonical_type, from_polars_schema, to_polars_schema
from lightdata.types.image import ImageType
from lightdata.types.tensor import TensorType

if TYPE_CHECKING:
    import polars as pl


class Schema(Mapping[str, pa.DataType]):
    """Column names and Arrow types, in order.

    >>> print(Schema({"path": pa.large_string(), "image": ImageType()}))
    path: string
    image: Image
    """

    __slots__ = ("_dtypes", "_frame", "_types")

    def __init__(self, types: Mapping[str, pa.DataType]) -> None:
        self._types = {name: canonical_type(dtype) for name, dtype in types.items()}
        # What Polars makes of them is found once: it is asked for wherever a step is added, moved or run.
        self._dtypes: dict[str, pl.DataType] | None = None
        self._frame: pl.LazyFrame | None = None

    @classmethod
    def of(cls, batch: pa.RecordBatch | pa.Table | pa.Schema) -> Self:
        """Take the names and types of Arrow data."""
        schema = batch if isinstance(batch, pa.Schema) else batch.schema
        return cls({field.name: field.type for field in schema})

    @classmethod
    def from_polars(cls, schema: Mapping[str, pl.DataType]) -> Self:
        """Take names and types from Polars."""
        return cls(from_polars_schema(schema))

    def to_polars(self) -> dict[str, pl.DataType]:
        """Give names and types as Polars has them."""
        if self._dtypes is None:
            self._dtypes = to_polars_schema(self._types)
        return dict(self._dtypes)

    def widened(self, types: Mapping[str, pa.DataType]) -> Schema:
        """Add columns, or replace those of these names."""
        return Schema({**self, **types}) if types else self

    def empty_frame(self) -> pl.LazyFrame:
        """Give a lazy frame of these columns without rows, to ask Polars what it would make of them."""
        if self._frame is None:
            import polars as pl  # noqa: PLC0415 - workers mostly need none

            self._frame = pl.LazyFrame(schema=self.to_polars())
        return self._frame

    def to_arrow(self) -> pa.Schema:
        """Give names and types as an Arrow schema."""
        return pa.schema(list(self._types.items()))

    def empty_table(self) -> pa.Table:
        """Give a table of these columns without rows."""
        return pa.Table.from_batches([], schema=self.to_arrow())

    @property
    def names(self) -> list[str]:
        """Column names, in order."""
        return list(self._types)

    def __reduce__(self) -> tuple[type[Schema], tuple[dict[str, pa.DataType]]]:
        """Travel as names and types alone."""
        return type(self), (self._types,)

    def __getitem__(self, name: str) -> pa.DataType:
        return self._types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._types)

    def __len__(self) -> int:
        return len(self._types)

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {describe(dtype)}" for name, dtype in self._types.items()) or "(no columns)"


def describe(dtype: pa.DataType) -> str:
    """Write a column's type as a person would.

    >>> describe(pa.fixed_shape_tensor(pa.float32(), (1000,))), describe(pa.large_list(pa.large_string()))
    ('Tensor[float32, (1000,)]', 'list[string]')
    """
    match dtype:
        case ImageType() | TensorType():
            return str(dtype)
        case pa.FixedShapeTensorType():
            return f"Tensor[{np.dtype(dtype.value_type.to_pandas_dtype())}, {tuple(dtype.shape)}]"
        case pa.LargeListType() | pa.ListType():
            return f"list[{describe(dtype.value_type)}]"
        case pa.FixedSizeListType():
            return f"array[{describe(dtype.value_type)}, {dtype.list_size}]"
        case pa.StructType():
            return f"struct[{', '.join(f'{field.name}: {describe(field.type)}' for field in dtype)}]"
        case _:
            text = str(dtype).removeprefix("large_")
            return {"halffloat": "float16", "float": "float32", "double": "float64"}.get(text, text)
