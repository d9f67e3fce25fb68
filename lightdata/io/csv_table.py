"""CSV files (RFC 4180), with a header or without."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import pyarrow as pa
from pyarrow import csv

from lightdata.errors import DecodeError, RowError
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.location import FileSystem
from lightdata.io.stream import opened_stream, with_compressed
from lightdata.types.canonical import canonical
from lightdata.types.schema import Schema

_BLOCK_BYTES = 4 << 20
"""Bytes that are parsed at once; the types of columns come from the first so many of the first file."""


_HEAD_BYTES = 64 << 10
"""Bytes that hold a header."""

_Invalid = tuple[int | None, RowError]
"""The number of a record, the header counted in, and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFormat(FileFormat):
    """Separated values; a line with too few or too many of them is an error of its own."""

    separator: str = ","
    quote_char: str | None = '"'
    has_header: bool = True
    null_values: tuple[str, ...] = ("",)
    overrides: Schema | None = None
    """Types of columns, where they are not to be inferred."""

    stored: pa.Schema | None = None
    """The columns, as Arrow parses them."""

    @property
    def name(self) -> str:
        """As the format is called."""
        return "csv"

    @property
    def extensions(self) -> tuple[str, ...]:
        """The usual endings, and compressed."""
        return with_compressed("csv", "tsv")

    @property
    def schema(self) -> Schema | None:
        """The columns, canonical."""
        return None if self.stored is None else Schema.of(canonical(self.stored.empty_table()))

    def learned(self, path: str, filesystem: FileSystem) -> Self:
        """Infer the columns from the start of a file."""
        with opened_stream(path, filesystem) as stream, self._reader(stream, None, None, []) as reader:
            return replace(self, stored=reader.schema)

    def read(
        self,
        path: str,
        filesystem: FileSystem,
        part: Part,
        request: Request,
    ) -> Iterator[pa.RecordBatch | RowError]:
        """Produce the rows of a file."""
        self._check_header(path, filesystem)
        invalid: list[_Invalid] = []
        wanted = None if not request.columns else list(request.columns)
        done = int(self.has_header)
        with opened_stream(path, filesystem) as stream, self._reader(stream, self.stored, wanted, invalid) as reader:
            for batch in reader:
                held = batch if request.columns != () else pa.RecordBatch.from_pydict({"": pa.nulls(batch.num_rows)})
                for item in _in_order(canonical(held), invalid, done):
                    done += 1 if isinstance(item, RowError) else item.num_rows
                    yield from (item,) if isinstance(item, RowError) else _cut(item, request.batch_rows)
            yield from (error for _, error in invalid)

    def _reader(
        self, stream: Any, schema: pa.Schema | None, columns: Sequence[str] | None, invalid: list[_Invalid]
    ) -> csv.CSVStreamingReader:
        def note(row: csv.InvalidRow) -> str:
            place = "" if row.number is None else f"record {row.number}: "
            error = DecodeError(f"{place}{row.actual_columns} values, not {row.expected_columns}: {row.text}")
            invalid.append((row.number, error))
            return "skip"

        types = dict(self.overrides or {}) if schema is None else {field.name: field.type for field in schema}
        return csv.open_csv(
            stream,
            read_options=csv.ReadOptions(
                use_threads=False, block_size=_BLOCK_BYTES, autogenerate_column_names=not self.has_header
            ),
            parse_options=csv.ParseOptions(
                delimiter=self.separator,
                quote_char=self.quote_char or False,
                newlines_in_values=self.quote_char is not None,
                invalid_row_handler=note,
            ),
            convert_options=csv.ConvertOptions(
                column_types=types,
                include_columns=columns,
                null_values=list(self.null_values),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def _check_header(self, path: str, filesystem: FileSystem) -> None:
        if self.stored is None:
            return
        with opened_stream(path, filesystem) as stream:
            head = bytes(stream.read(_HEAD_BYTES))
        line = head if len(head) < _HEAD_BYTES else head[: head.rfind(b"\n") + 1] or head
        with self._reader(pa.BufferReader(line), None, None, []) as reader:
            names = reader.schema.names
        if names != self.stored.names:
            raise DecodeError(
                f"its columns are {', '.join(names)}; those of the first file {', '.join(self.stored.names)}"
            )


def _in_order(batch: pa.RecordBatch, invalid: list[_Invalid], done: int) -> Iterator[pa.RecordBatch | RowError]:
    """Put errors where their rows would be, and take them off the list: Arrow parses ahead of what it gives."""
    while invalid:
        number, error = invalid[0]
        before = batch.num_rows if number is None else number - 1 - done
        if before > batch.num_rows:
            break
        if before > 0:
            yield batch.slice(0, before)
            batch, done = batch.slice(before), done + before
        invalid.pop(0)
        yield error
        done += 1
    if batch.num_rows:
        yield batch


def _cut(batch: pa.RecordBatch, rows: int) -> Iterator[pa.RecordBatch]:
    return (batch.slice(start, rows) for start in range(0, batch.num_rows, rows))
