"""JSON files: one object a line, or one array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import pyarrow as pa
from pyarrow import json as pa_json

from lightdata.errors import DecodeError, RowError
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.location import FileSystem
from lightdata.io.stream import line_blocks, opened_stream, with_compressed
from lightdata.types.canonical import canonical
from lightdata.types.schema import Schema

_BLOCK_BYTES = 4 << 20
"""Bytes that are parsed at once; the types of columns come from the first so many of the first file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFormat(FileFormat):
    """JSON lines or arrays; a line that is no object, or does not fit the columns, is an error of its own."""

    stored: pa.Schema | None = None
    """The columns, as Arrow parses them."""

    @property
    def name(self) -> str:
        """As the format is called."""
        return "json"

    @property
    def extensions(self) -> tuple[str, ...]:
        """The usual endings, and compressed."""
        return with_compressed("json", "jsonl", "ndjson")

    @property
    def schema(self) -> Schema | None:
        """The columns, canonical."""
        return None if self.stored is None else Schema.of(canonical(self.stored.empty_table()))

    def learned(self, path: str, filesystem: FileSystem) -> Self:
        """Infer the columns from the start of a file."""
        tables = [one for one in self._tables(path, filesystem, None, most=1) if isinstance(one, pa.Table)]
        schemas = [table.schema for table in tables]  # several, where a line between them is broken
        return replace(self, stored=pa.unify_schemas(schemas, promote_options="permissive"))

    def read(
        self,
        path: str,
        filesystem: FileSystem,
        part: Part,
        request: Request,
    ) -> Iterator[pa.RecordBatch | RowError]:
        """Produce the objects of a file."""
        for table in self._tables(path, filesystem, self.stored):
            if isinstance(table, RowError):
                yield table
                continue
            held = canonical(table if request.columns is None else table.select(list(request.columns)))
            if request.columns == ():
                held = pa.table({"": pa.nulls(table.num_rows)})
            yield from held.combine_chunks().to_batches(max_chunksize=request.batch_rows)

    def _tables(
        self, path: str, filesystem: FileSystem, schema: pa.Schema | None, *, most: int | None = None
    ) -> Iterator[pa.Table | RowError]:
        with opened_stream(path, filesystem) as stream:
            number = 0
            for block, lines in enumerate(line_blocks(stream, _BLOCK_BYTES)):
                if most is not None and block >= most:
                    return
                if not number and lines[0].lstrip().startswith(b"["):
                    yield from _parsed(_lines_of(b"\n".join([*lines, bytes(stream.read())])), schema, 0)
                    return
                yield from _parsed(lines, schema, number)
                number += len(lines)


def _parsed(lines: Sequence[bytes], schema: pa.Schema | None, first: int) -> Iterator[pa.Table | RowError]:
    """Parse a block of lines; where that fails, halves of it, down to the lines to blame."""
    whole = b"\n".join(lines)
    if not whole.strip():
        return
    try:
        table = _table(whole, schema)
    except (pa.ArrowException, ValueError) as error:
        if len(lines) == 1:
            yield DecodeError(f"line {first + 1}: {_told(error)}")
            return
        half = len(lines) // 2
        yield from _parsed(lines[:half], schema, first)
        yield from _parsed(lines[half:], schema, first + half)
        return
    yield table


def _table(content: bytes, schema: pa.Schema | None) -> pa.Table:
    behavior = "infer" if schema is None else "error"
    parse = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=behavior, newlines_in_values=False)
    read = pa_json.ReadOptions(use_threads=False, block_size=len(content) + 1)
    return pa_json.read_json(pa.BufferReader(content), read_options=read, parse_options=parse)


def _lines_of(content: bytes) -> list[bytes]:
    """Write the objects of one array a line each."""
    rows: Any = json.loads(content)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("a JSON file is objects, one a line, or one array of objects")
    return [json.dumps(row).encode() for row in rows]


def parsed_type(kind: pa.DataType) -> pa.DataType:
    """Give the type that Arrow's parser knows a canonical one by.

    >>> print(parsed_type(pa.large_list(pa.large_string())))
    list<item: string>
    """
    match kind:
        case pa.LargeListType() | pa.FixedSizeListType():
            return pa.list_(parsed_type(kind.value_type))
        case pa.StructType():
            return pa.struct([(field.name, parsed_type(field.type)) for field in kind])
    return pa.string() if pa.types.is_large_string(kind) else pa.binary() if pa.types.is_large_binary(kind) else kind


def _told(error: Exception) -> str:
    text = str(error)
    if "unexpected field" in text:
        return f"{text}; the first rows do not have it: name all columns with schema="
    return f"{text}; if a column changes its type, declare it with schema=" if "changed from" in text else text
