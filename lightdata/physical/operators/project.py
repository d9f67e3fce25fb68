"""Choose and rename columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from lightdata.errors import ColumnNotFoundError
from lightdata.physical.stage import Context, visible_names


@dataclass(frozen=True, slots=True, kw_only=True)
class DropOperator:
    """Leave columns out."""

    columns: tuple[str, ...]

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """Drop from each batch."""
        for batch in batches:
            _check(batch, self.columns, "drop")
            yield batch.select([name for name in batch.schema.names if name not in self.columns])


@dataclass(frozen=True, slots=True, kw_only=True)
class RenameOperator:
    """Give columns other names."""

    names: tuple[tuple[str, str], ...]

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        """Rename in each batch."""
        new = dict(self.names)
        for batch in batches:
            _check(batch, new, "rename")
            yield batch.rename_columns([new.get(name, name) for name in batch.schema.names])


def _check(batch: pa.RecordBatch, names: dict[str, str] | tuple[str, ...], step: str) -> None:
    for name in names:
        if name not in batch.schema.names:
            raise ColumnNotFoundError.for_step(name, step=step, available=visible_names(batch))
