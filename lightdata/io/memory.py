"""Rows that are in memory already: Arrow tables, and ranges that need none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lightdata.errors import RowError
from lightdata.io.source import Bounds, ColumnBounds, Extent, Pushdowns, ReadTask
from lightdata.types.canonical import canonical
from lightdata.types.plain_array import number_array
from lightdata.types.schema import Schema


@dataclass(frozen=True, slots=True)
class BatchTask:
    """Rows that travel with their task."""

    batch: pa.RecordBatch

    def read(self, failures: list[RowError] | None = None) -> Iterator[pa.RecordBatch]:
        """Produce the rows."""
        yield self.batch

    def __reduce__(self) -> tuple[Callable[[pa.Buffer], BatchTask], tuple[pa.Buffer]]:
        """Travel as an Arrow IPC stream, which holds these rows; pickled, a slice takes its whole table along."""
        out = pa.BufferOutputStream()
        with pa.ipc.new_stream(out, self.batch.schema) as writer:
            writer.write_batch(self.batch)
        return _arrived, (out.getvalue(),)


def _arrived(stream: pa.Buffer) -> BatchTask:
    with pa.ipc.open_stream(stream) as reader:
        return BatchTask(reader.read_next_batch())


@dataclass(frozen=True, slots=True, eq=False)
class MemorySource:
    """The rows of an Arrow table, in its order; the data are not copied."""

    table: pa.Table
    is_borrowed: bool = False
    """Whether the memory is that of arrays which somebody may still write to, so that what is kept is copied."""

    @property
    def schema(self) -> Schema:
        """Names and types of all columns."""
        return Schema.of(self.table)

    @property
    def rows_are_listed(self) -> bool:
        """The rows are here."""
        return True

    @property
    def lets_rows_go(self) -> bool:
        """None fails."""
        return False

    def tasks(self, pushdowns: Pushdowns, *, task_rows: int) -> Iterator[ReadTask]:
        """Cut the table every ``task_rows`` rows."""
        table = self.table if pushdowns.columns is None else self.table.select(list(pushdowns.columns))
        if pushdowns.n_rows is not None:
            table = table.slice(0, pushdowns.n_rows)
        for start in range(0, table.num_rows, task_rows):
            yield BatchTask(one_batch(canonical(table.slice(start, task_rows))))

    def count(self, most: int | None = None) -> int:
        """Count the rows."""
        return int(self.table.num_rows) if most is None else min(self.table.num_rows, most)

    def extent(self) -> Extent:
        """Tell the rows, and the bytes of each column."""
        rows = self.table.num_rows
        widths = {name: self.table[name].nbytes / rows for name in self.table.schema.names} if rows else {}
        return Extent(rows=rows, widths=widths)

    def bounds(self, columns: Sequence[str]) -> Bounds:
        """Tell the rows."""
        return Bounds(rows=self.table.num_rows)

    def __str__(self) -> str:
        return f"memory[{self.table.num_rows} rows]"


@dataclass(frozen=True, slots=True)
class RangeSource:
    """The integers ``0 .. n - 1`` in one int64 column."""

    n: int
    column: str = "id"

    @property
    def schema(self) -> Schema:
        """One int64 column."""
        return Schema({self.column: pa.int64()})

    @property
    def rows_are_listed(self) -> bool:
        """Any share of the rows can be named."""
        return True

    @property
    def lets_rows_go(self) -> bool:
        """None fails."""
        return False

    def tasks(self, pushdowns: Pushdowns, *, task_rows: int) -> Iterator[ReadTask]:
        """Cut the range every ``task_rows`` rows."""
        stop = self.n if pushdowns.n_rows is None else min(self.n, pushdowns.n_rows)
        for start in range(0, stop, task_rows):
            yield RangeTask(start, min(start + task_rows, stop), self.column)

    def count(self, most: int | None = None) -> int:
        """Count the rows."""
        return self.n if most is None else min(self.n, most)

    def extent(self) -> Extent:
        """Tell the rows."""
        return Extent(rows=self.n)

    def bounds(self, columns: Sequence[str]) -> Bounds:
        """Tell the rows, and where they begin and end."""
        least, most = (pa.scalar(value if self.n else None, pa.int64()) for value in (0, self.n - 1))
        return Bounds(rows=self.n, columns=dict.fromkeys(columns, ColumnBounds(least=least, most=most, nulls=0)))

    def __str__(self) -> str:
        return f"range[{self.n}]"


@dataclass(frozen=True, slots=True)
class RangeTask:
    """A part of a range, made where it is read."""

    start: int
    stop: int
    column: str

    def read(self, failures: list[RowError] | None = None) -> Iterator[pa.RecordBatch]:
        """Produce the integers."""
        yield pa.RecordBatch.from_arrays([number_array(np.arange(self.start, self.stop))], names=[self.column])


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """Give a table as one batch; copies only if it has several chunks."""
    batches = table.to_batches()
    if len(batches) == 1:
        return batches[0]
    if not batches:
        return pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in table.schema.types], schema=table.schema)
    return pa.concat_batches(batches)
