"""Write tables in parts: each task becomes one file, or one in each partition, or more where parts are small."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from lightdata.config import batch_limit
from lightdata.errors import ColumnNotFoundError, EncodeError, SchemaError
from lightdata.io.partitioning import hive_folder
from lightdata.io.sinks.image_layout import ImageLayout
from lightdata.io.sinks.part_sizes import PartSizes
from lightdata.io.sinks.sink import StagedFile
from lightdata.io.sinks.table_formats import TableFormat
from lightdata.kernels.tally import rows_in_hand
from lightdata.types.schema import Schema, describe

ROW_GROUP_BYTES = 16 << 20
"""Bytes of a Parquet row group, unless a batch may not have as many; Parquet's own default counts rows, which are large
here."""

_HELD_GROUPS = 4
"""Row groups' bytes that the partitions of one task hold together, before the largest is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSink:
    """Files of one format; by default with all columns in one folder, else in folders that name some of them."""

    file_format: TableFormat
    partition_cols: tuple[str, ...] = ()
    """Columns that name folders, ``label=cat/``, and are left out of the files."""

    sizes: PartSizes = field(default_factory=PartSizes)
    layout: ImageLayout | None = None
    """What becomes of images; ``None`` leaves them as they are."""

    @property
    def is_numbered(self) -> bool:
        """Parts are numbered."""
        return True

    @property
    def task_rows(self) -> int:
        """One part a task, or a little more."""
        return self.sizes.task_rows

    def columns(self) -> None:
        """All columns are written."""

    def check(self, schema: Schema) -> None:
        """Refuse partitions that cannot be named, and columns that the format cannot hold."""
        step = f"write_{self.file_format}"
        for name in self.partition_cols:
            if name not in schema:
                raise ColumnNotFoundError.for_step(name, step=step, available=schema.names)
            if not _names_folders(schema[name]):
                raise SchemaError(
                    f"{step}: column {name!r} is {describe(schema[name])}, which cannot name folders; partition_cols "
                    "are numbers, text, dates or booleans"
                )
        kept = Schema({name: kind for name, kind in schema.items() if name not in self.partition_cols})
        if self.partition_cols and not kept:
            raise SchemaError(f"{step}: partition_cols name all columns; nothing is left to write into files")
        if self.layout is not None:
            self.layout.check(kept, step=step)
        self.file_format.check(kept)

    def write(self, batches: Iterator[pa.RecordBatch], staging: Path) -> Iterator[StagedFile]:
        """Write one part, or more, if there are rows."""
        parts, checked = _Parts(self, staging), None
        for batch in batches:
            if batch.num_rows:
                if batch.schema != checked:
                    self.check(Schema.of(batch))  # where a function made it, nobody has seen it before
                    checked = batch.schema
                for folder, rows in self._by_folder(batch):
                    parts.add(folder, rows if self.layout is None else self.layout.apply(rows))
        yield from parts.finish()

    def check_files(self, files: Sequence[StagedFile]) -> None:
        """Give all parts one schema."""
        self.file_format.unify(files)

    def final_name(self, number: int) -> str:
        """Number the parts."""
        return f"part-{number:05d}.{self.file_format.suffix}"

    def __str__(self) -> str:
        return str(self.file_format)

    def _by_folder(self, batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Sort the rows of a batch by their folder, in the order of the first rows."""
        if not self.partition_cols:
            yield "", batch
            return
        rows_in_hand(None)  # they are in another order from here on
        keys = pl.DataFrame(batch.select(list(self.partition_cols))).with_columns(
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("")
        )
        kept = batch.drop_columns(list(self.partition_cols))
        for values, rows in keys.group_by(self.partition_cols, maintain_order=True):
            at = rows[""]
            try:
                folder = hive_folder(dict(zip(self.partition_cols, values, strict=True)))
            except EncodeError as error:
                raise error.at(row=at[0]) from None
            yield folder, kept if len(at) == len(batch) else kept.take(at.to_arrow())


def _names_folders(kind: pa.DataType) -> bool:
    is_opaque = pa.types.is_nested(kind) or pa.types.is_large_binary(kind)
    return not (is_opaque or isinstance(kind, pa.BaseExtensionType))


class _Parts:
    """The parts that one task writes: gathers rows to row groups, and begins a new file where one is full."""

    def __init__(self, sink: TableSink, staging: Path) -> None:
        self._sink, self._staging = sink, staging
        self._held: dict[str, list[pa.RecordBatch]] = {}
        self._bytes: dict[str, int] = {}
        self._open: dict[str, _Part] = {}
        self._done: list[StagedFile] = []
        self._most_bytes = min(ROW_GROUP_BYTES, batch_limit())
        self._group_bytes = min(self._most_bytes, sink.sizes.max_file_bytes or ROW_GROUP_BYTES)

    def add(self, folder: str, rows: pa.RecordBatch) -> None:
        self._held.setdefault(folder, []).append(rows)
        self._bytes[folder] = self._bytes.get(folder, 0) + rows.get_total_buffer_size()
        if self._bytes[folder] >= self._group_bytes:
            self._flush(folder)
        elif sum(self._bytes.values()) >= _HELD_GROUPS * self._most_bytes:
            self._flush(max(self._bytes, key=self._bytes.__getitem__))

    def finish(self) -> list[StagedFile]:
        for folder in list(self._held):
            self._flush(folder)
            self._end(folder)
        for folder in list(self._open):
            self._end(folder)
        return self._done

    def _flush(self, folder: str) -> None:
        """Write what is held of a folder, cut where a part is full."""
        table, size = pa.Table.from_batches(self._held.pop(folder)), self._bytes.pop(folder)
        step = self._rows_at_once(table, size)
        while table.num_rows:
            part = self._open.get(folder) or self._begin(folder, table.schema)
            room = (self._sink.sizes.most_rows or part.rows + table.num_rows) - part.rows
            rows = min(step, room)
            part.write(table.slice(0, rows))
            table = table.slice(rows)
            if self._sink.sizes.is_full(part.rows, part.size_bytes):
                self._end(folder)

    def _rows_at_once(self, table: pa.Table, size: int) -> int:
        """Say how many rows to write before looking at the size of the file."""
        if self._sink.sizes.max_file_bytes is None:
            return int(table.num_rows)
        return max(1, int(table.num_rows * self._group_bytes // max(size, 1)))

    def _begin(self, folder: str, schema: pa.Schema) -> _Part:
        path = self._staging / f"{uuid.uuid4().hex}.{self._sink.file_format.suffix}"
        self._open[folder] = _Part(path, self._sink.file_format, schema)
        return self._open[folder]

    def _end(self, folder: str) -> None:
        if (part := self._open.pop(folder, None)) is not None:
            part.close()
            self._done.append(StagedFile(str(part.path), None, part.rows, part.size_bytes, folder))


class _Part:
    """One file while it is written."""

    def __init__(self, path: Path, file_format: TableFormat, schema: pa.Schema) -> None:
        self.path = path
        self.rows = 0
        self.size_bytes = 0
        self._out = pa.OSFile(str(path), "wb")
        self._writer: Any = file_format.writer(self._out, schema)

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)
        self.rows += table.num_rows
        self.size_bytes = self._out.tell()

    def close(self) -> None:
        self._writer.close()
        self.size_bytes = self._out.tell()
        self._out.close()
