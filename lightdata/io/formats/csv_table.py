"""CSV files (RFC 4180), with a header or without."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import pyarrow as pa
from pyarrow import csv

from lightdata.errors import ArgumentError, ColumnNotFoundError, DecodeError, LimitError, RowError, SchemaError
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.formats.escaped_text import escaped, has_escapes, shown, text_only, unescaped
from lightdata.io.formats.stream import opened_stream, with_compressed
from lightdata.io.location import FileSystem
from lightdata.types.canonical import canonical
from lightdata.types.schema import Schema

_BLOCK_BYTES = 4 << 20
"""Bytes that are parsed at once; the types of columns come from the first so many of the first file."""


_BLOCK_STEP = 16
"""Times as long a block is tried where a record does not fit into one."""

_MOST_BLOCK_BYTES = 512 << 20
"""No record is longer."""

_HEAD_BYTES = 64 << 10
"""Bytes that hold a header, mostly."""

_MOST_HEADER_BYTES = 64 << 20
"""Bytes of a line that is all there is."""

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
        return with_compressed("csv", "tsv") if self.separator == "\t" else with_compressed("csv")

    @property
    def schema(self) -> Schema | None:
        """The columns, canonical."""
        return None if self.stored is None else Schema.of(canonical(self.stored.empty_table()))

    def learned(self, path: str, filesystem: FileSystem) -> Self:
        """Infer the columns from the start of a file.

        Raises
        ------
        SchemaError
            If two columns share a name.
        ColumnNotFoundError
            If an override names none.
        """
        inferred = self._inferred(path, filesystem, _Care())
        if len(set(inferred.names)) < len(inferred):
            raise SchemaError(f"{path} has two columns of one name: {', '.join(inferred.names)}")
        overrides: Mapping[str, pa.DataType] = self.overrides or {}
        for name in overrides:
            if name not in inferred.names:
                raise ColumnNotFoundError.for_step(name, step="schema_overrides", available=inferred.names)
        # Nothing says what a column without values is.
        types = {one.name: pa.large_string() if pa.types.is_null(one.type) else one.type for one in inferred}
        return replace(self, stored=pa.schema(list({**types, **overrides}.items())))

    def read(
        self,
        path: str,
        filesystem: FileSystem,
        part: Part,
        request: Request,
    ) -> Iterator[pa.RecordBatch | RowError]:
        """Produce the rows of a file; it is read anew, with more care, from where it fails."""
        self._check_header(path, filesystem)
        care, done = _Care(), 0
        while True:
            try:
                for item in _after(done, self._items(path, filesystem, request, care)):
                    if isinstance(item, RowError):
                        done += 1
                        yield item
                        continue
                    for batch in _cut(item, request.batch_rows):
                        done += batch.num_rows
                        yield batch if request.columns is None else _selected(batch, request.columns)
            except DecodeError as error:
                more = care.after(error)
                if more is None:
                    raise
                care = more
            else:
                return

    def _items(
        self, path: str, filesystem: FileSystem, request: Request, care: _Care
    ) -> Iterator[pa.RecordBatch | RowError]:
        """Produce rows, with the columns asked for among others, and errors in their places."""
        stored = self.stored or self._inferred(path, filesystem, _Care())
        is_whole = request.columns is None or request.every_column
        names = stored.names if is_whole else list(request.columns or stored.names[:1])
        wanted = pa.schema([stored.field(name) for name in names])
        if not is_whole and not request.columns:
            wanted = _as_bytes(wanted)  # rows alone are counted
        invalid: list[_Invalid] = []
        done = int(self.has_header)
        parsed = _as_bytes(wanted) if care.each_row else wanted
        with self._opened(path, filesystem, care, parsed, invalid) as reader:
            for held in reader:
                batch = _as_they_were(held) if care.is_escaped else held
                for item in _in_order(batch, invalid, done):
                    if isinstance(item, RowError):
                        yield item
                        done += 1
                        continue
                    yield from _converted(item, wanted, done) if care.each_row else (canonical(item),)
                    done += item.num_rows
            yield from (error for _, error in invalid)

    @contextmanager
    def _opened(
        self,
        path: str,
        filesystem: FileSystem,
        care: _Care,
        schema: pa.Schema | None,
        invalid: list[_Invalid],
    ) -> Iterator[csv.CSVStreamingReader]:
        with ExitStack() as stack:
            stream = stack.enter_context(opened_stream(path, filesystem))
            try:
                reader = self._reader(stream, care, schema, invalid)
            except pa.ArrowInvalid:
                content = _only_line(path, filesystem)
                if content is None:
                    raise
                reader = self._reader(pa.BufferReader(content), care, schema, invalid)
            yield stack.enter_context(reader)

    def _reader(
        self, stream: Any, care: _Care, schema: pa.Schema | None, invalid: list[_Invalid]
    ) -> csv.CSVStreamingReader:
        def note(row: csv.InvalidRow) -> str:
            place = "" if row.number is None else f"record {row.number}: "
            error = DecodeError(f"{place}{row.actual_columns} values, not {row.expected_columns}: {shown(row.text)}")
            invalid.append((row.number, error))
            return "skip"

        return csv.open_csv(
            care.text(stream),
            read_options=csv.ReadOptions(
                use_threads=False, block_size=care.block_bytes, autogenerate_column_names=not self.has_header
            ),
            parse_options=csv.ParseOptions(
                delimiter=self.separator,
                quote_char=self.quote_char or False,
                newlines_in_values=self.quote_char is not None,
                # Where there is one column, an empty line is a row: that of a null.
                ignore_empty_lines=self.stored is None or len(self.stored) > 1,
                invalid_row_handler=note if care.is_ragged else None,
            ),
            convert_options=csv.ConvertOptions(
                column_types=schema,
                include_columns=None if schema is None else schema.names,
                null_values=list(self.null_values),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def _inferred(self, path: str, filesystem: FileSystem, care: _Care) -> pa.Schema:
        """Tell the columns by the first block in which a line ends."""
        try:
            with self._opened(path, filesystem, care, None, []) as reader:
                if any(map(has_escapes, reader.schema.names)):  # to look at them fails in another encoding
                    raise ValueError("the name of a column is no utf-8")
                first = next(iter(reader), None) if care.is_escaped else None
                return reader.schema if first is None else _as_they_were(first).schema
        except DecodeError as error:
            more = None if isinstance(error, LimitError) else care.for_text(error) or care.longer()
            if more is None:
                raise
        return self._inferred(path, filesystem, more)

    def _check_header(self, path: str, filesystem: FileSystem) -> None:
        if self.stored is None:
            return
        names = self._inferred(path, filesystem, _Care(block_bytes=_HEAD_BYTES)).names
        if sorted(names) != sorted(self.stored.names):
            raise DecodeError(
                f"its columns are {', '.join(names)}; those of the first file {', '.join(self.stored.names)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Care:
    """How a file is read."""

    block_bytes: int = _BLOCK_BYTES

    each_row: bool = False
    """Whether values are converted row by row, where they cannot be all at once."""

    is_ragged: bool = False
    """Whether records of too few or too many values are told one by one; Arrow cannot tell those that are no UTF-8."""

    is_escaped: bool = False
    """Whether what is no UTF-8 is escaped, so that it can."""

    def text(self, stream: Any) -> Any:
        """Give what Arrow may read of a file."""
        return escaped(stream) if self.is_escaped else text_only(stream) if self.is_ragged else stream

    def after(self, error: DecodeError) -> _Care | None:
        """Take more care where that may mend what failed."""
        if more := self.for_text(error):
            return more
        if not isinstance(error.__cause__, pa.ArrowInvalid):
            return None
        if "straddl" in error.message:  # a record longer than a block
            return self.longer()
        return None if self.each_row else replace(self, each_row=True)

    def for_text(self, error: DecodeError) -> _Care | None:
        """Take more care of records that have too few or too many values, or are no UTF-8 beside such."""
        if self.is_ragged and not self.is_escaped and isinstance(error.__cause__, UnicodeDecodeError):
            return replace(self, is_escaped=True, each_row=True)
        is_ragged = isinstance(error.__cause__, pa.ArrowInvalid) and "columns, got" in str(error.__cause__)
        return replace(self, is_ragged=True) if is_ragged and not self.is_ragged else None

    def longer(self) -> _Care | None:
        """Take longer blocks, for records that do not fit into these."""
        longer = self.block_bytes * _BLOCK_STEP
        return replace(self, block_bytes=longer) if longer <= _MOST_BLOCK_BYTES else None


def check_convertible(overrides: Schema) -> None:
    """Refuse types that no text is converted to.

    Raises
    ------
    ArgumentError
        If there is one.
    """
    for name, kind in overrides.items():
        try:
            _typed(pa.record_batch({name: pa.nulls(1, pa.binary())}), pa.schema([(name, kind)]))
        except (pa.ArrowException, TypeError) as error:
            raise ArgumentError(f"read_csv: schema_overrides: {name!r} cannot be {kind}: {error}") from error


def _only_line(path: str, filesystem: FileSystem) -> bytes | None:
    """Give a file that is one line without an end, which Arrow does not see, with one."""
    with opened_stream(path, filesystem) as stream:
        content = bytes(stream.read(_MOST_HEADER_BYTES))
    is_line = content.strip() and not content.endswith((b"\n", b"\r")) and len(content) < _MOST_HEADER_BYTES
    return content + b"\n" if is_line else None


def _as_they_were(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Have bytes again where values were escaped."""
    return pa.RecordBatch.from_arrays(list(map(unescaped, batch.columns)), names=batch.schema.names)


def _as_bytes(schema: pa.Schema) -> pa.Schema:
    return pa.schema([(name, pa.binary()) for name in schema.names])


def _after(done: int, items: Iterator[pa.RecordBatch | RowError]) -> Iterator[pa.RecordBatch | RowError]:
    """Leave out as many rows and errors as were given before."""
    for item in items:
        count = 1 if isinstance(item, RowError) else item.num_rows
        if done < count:
            yield item if isinstance(item, RowError) else item.slice(done)
        done = max(done - count, 0)


def _selected(batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
    return batch.select(list(columns)) if columns else pa.RecordBatch.from_pydict({"": pa.nulls(batch.num_rows)})


def _converted(batch: pa.RecordBatch, schema: pa.Schema, done: int) -> Iterator[pa.RecordBatch | RowError]:
    """Convert values; where that fails, halves of the rows, down to those to blame."""
    try:
        yield canonical(_typed(batch, schema))
    except (pa.ArrowException, ValueError) as error:
        if batch.num_rows == 1:
            yield DecodeError(f"record {done + 1}: {_told(error, schema)}")
            return
        half = batch.num_rows // 2
        yield from _converted(batch.slice(0, half), schema, done)
        yield from _converted(batch.slice(half), schema, done + half)


def _typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Convert bytes as the parser would have."""
    made = {one.name: _text(batch.column(one.name), one) for one in schema if _is_text(one.type)}
    others = pa.schema([one for one in schema if one.name not in made])
    if len(others):
        parsed = _parsed(batch.select(others.names), others)
        made |= dict(zip(others.names, parsed.columns, strict=True))
    return pa.RecordBatch.from_arrays([made[name] for name in schema.names], schema=schema)


def _is_text(kind: pa.DataType) -> bool:
    return kind in (pa.binary(), pa.large_binary(), pa.string(), pa.large_string())


def _text(values: pa.Array, field: pa.Field) -> pa.Array:
    try:
        return values.cast(field.type)
    except pa.ArrowInvalid as error:
        raise ValueError(f"column {field.name!r}: {error}") from error


def _parsed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Have bytes parsed once more: all values are quoted, and what is not is null."""
    sink = pa.BufferOutputStream()
    csv.write_csv(batch, sink, csv.WriteOptions(include_header=False, quoting_style="all_valid"))
    content = sink.getvalue()
    table = csv.read_csv(
        pa.BufferReader(content),
        csv.ReadOptions(column_names=schema.names, use_threads=False, block_size=content.size + 1),
        csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        csv.ConvertOptions(
            column_types=schema, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    return table.combine_chunks().to_batches()[0]


def _told(error: Exception, schema: pa.Schema) -> str:
    """Name the column, which Arrow only counts."""
    found = re.search(r"In CSV column #(\d+): (?:Row #\d+: )?(.*)", str(error), re.DOTALL)
    if found is None:
        return str(error)
    name = schema.names[int(found[1])]
    return f"column {name!r}: {found[2]}; if it changes its type, declare it with schema_overrides="


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
