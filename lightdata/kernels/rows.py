"""One row of a batch as a mapping, and rows to a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import pyarrow as pa

from lightdata.errors import SchemaError
from lightdata.kernels.columns import column_from, value_at
from lightdata.types.image import ImageType, iter_images
from lightdata.types.plain_array import plain_array

_ABSENT = object()


class Row(MutableMapping[str, Any]):
    """A row that makes a value when it is asked for: an image that nobody looks at is not decoded.

    >>> row = Row(pa.record_batch({"a": [1, 2]}), 1)
    >>> row["a"] += 1
    >>> dict(row)
    {'a': 3}
    """

    __slots__ = ("_batch", "_number", "_values")

    def __init__(self, batch: pa.RecordBatch, number: int) -> None:
        self._batch = batch
        self._number = number
        self._values: dict[str, Any] = dict.fromkeys(batch.schema.names, _ABSENT)

    def __getitem__(self, name: str) -> Any:
        value = self._values[name]
        if value is _ABSENT:
            value = self._values[name] = value_at(self._batch.column(name), self._number, column=name)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**self, **other}

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**other, **self}

    def __repr__(self) -> str:
        return repr({name: self.stored(name) for name in self})

    def copy(self) -> dict[str, Any]:
        """Give a plain dict of all values."""
        return dict(self)

    def stored(self, name: str) -> Any:
        """Give a value without decoding it: an untouched image in words."""
        value = self._values[name]
        array = self._batch.column(name) if value is _ABSENT else None
        if array is None:
            return value
        if isinstance(array.type, ImageType):
            image = iter_images(array.slice(self._number, 1))[0]
            return None if image is None else f"<Image {image.mode} {image.height}x{image.width}>"
        return value_at(array, self._number, column=name)

    def is_untouched(self, name: str) -> bool:
        """Whether nobody has looked at this value or replaced it."""
        return self._values.get(name) is _ABSENT


def iter_rows(batch: pa.RecordBatch) -> Iterator[Row]:
    """List the rows of a batch."""
    return (Row(batch, number) for number in range(batch.num_rows))


def batch_from_rows(rows: Sequence[Mapping[str, Any]], source: pa.RecordBatch | None = None) -> pa.RecordBatch:
    """Build a batch from rows; columns that stayed untouched in all of them are taken over as they are stored.

    Raises
    ------
    SchemaError
        If a row is no mapping, rows have different columns, or values do not fit together.
    """
    for row in rows:
        if not isinstance(row, Mapping):
            raise SchemaError(f"a row function must return a mapping of column to value; got {type(row).__name__}")
    names = list(rows[0]) if rows else []
    for number, row in enumerate(rows):
        if row.keys() != set(names):
            odd = sorted(map(str, row.keys() ^ set(names)))
            raise SchemaError(f"rows must have the same columns; row {number} differs in {', '.join(odd)}")
    return pa.RecordBatch.from_arrays(
        [_column(rows, name, source) for name in names], names=[str(name) for name in names]
    )


def _column(rows: Sequence[Mapping[str, Any]], name: str, source: pa.RecordBatch | None) -> pa.Array:
    if source is not None and all(isinstance(row, Row) and row.is_untouched(name) for row in rows):
        numbers = [row._number for row in rows if isinstance(row, Row)]  # noqa: SLF001 - of its own module
        column = source.column(name)
        return column if numbers == list(range(len(column))) else column.take(plain_array(numbers, pa.int64()))
    return column_from([row[name] for row in rows], column=name)
