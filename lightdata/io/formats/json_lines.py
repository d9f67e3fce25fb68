"""JSON files: one object a line, or one array of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Self

import numpy as np
import pyarrow as pa
from pyarrow import json as pa_json

from lightdata.errors import DecodeError, RowError, SchemaError
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.formats.stream import line_blocks, opened_stream, with_compressed
from lightdata.io.location import FileSystem
from lightdata.types.canonical import canonical
from lightdata.types.schema import Schema

_BLOCK_BYTES = 4 << 20
"""Bytes that are parsed at once; the types of columns come from the first so many of the first file."""

_MOST_DEPTH = 100
"""Values inside values; Arrow's parser overflows the stack near 20,000, and nobody writes as many."""

_MOST_DOCUMENT_BYTES = 1 << 30
"""Bytes of a list, which is held at once."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_SPACE = re.compile(r"[ \t\r\n]*")
# Numbers are not looked at: Python converts no more than 4,300 digits.
_DECODER = json.JSONDecoder(parse_int=float)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFormat(FileFormat):
    """JSON lines or arrays; a line that is no object, or does not fit the columns, is an error of its own."""

    stored: pa.Schema | None = None
    """The columns, as Arrow parses them."""

    declared: Schema | None = None
    """The columns, as a user wants them."""

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
        if self.declared is not None:
            return self.declared
        return None if self.stored is None else Schema.of(canonical(self.stored.empty_table()))

    def learned(self, path: str, filesystem: FileSystem) -> Self:
        """Infer the columns from the start of a file."""
        found = [*self._tables(path, filesystem, None, most=2)]
        schemas = [one.schema for one in found if isinstance(one, pa.Table)]  # several, where a line is broken
        if schemas:
            return replace(self, stored=_unified(schemas, path))
        for error in found:
            raise error.at(uri=path, stage="read json")
        return self  # no rows to learn from: another file may have some

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
            held = self._held(table if request.columns is None else table.select(list(request.columns)), path)
            if request.columns == ():
                held = pa.table({"": pa.nulls(table.num_rows)})
            yield from held.combine_chunks().to_batches(max_chunksize=request.batch_rows)

    def _held(self, table: pa.Table, path: str) -> pa.Table:
        if self.declared is None:
            return canonical(table)
        kinds = pa.schema([(name, self.declared[name]) for name in table.schema.names])
        try:
            return table.cast(kinds)
        except (pa.ArrowException, ValueError) as error:
            raise DecodeError(f"{error}; see schema=", uri=path) from error

    def _tables(
        self, path: str, filesystem: FileSystem, schema: pa.Schema | None, *, most: int | None = None
    ) -> Iterator[pa.Table | RowError]:
        with opened_stream(path, filesystem) as stream:
            number = 0
            blocks = line_blocks(stream, _BLOCK_BYTES // (most or 1))
            for lines in islice(blocks, most):
                if not number and _is_document(path, lines):
                    yield from _document_tables(b"\n".join([*lines, *_rest(blocks)]), schema, most)
                    return
                yield from _parsed([*enumerate(lines, start=number + 1)], schema, "line")
                number += len(lines)


def _unified(schemas: list[pa.Schema], path: str) -> pa.Schema:
    try:
        stored = pa.unify_schemas(schemas, promote_options="permissive")
        Schema.of(stored)
    except (pa.ArrowException, SchemaError) as error:
        raise DecodeError(f"its columns: {error}; declare them with schema=", uri=path) from error
    return stored


_Numbered = Sequence[tuple[int, bytes]]
"""Objects as text, and where in the file they are."""


def _parsed(objects: _Numbered, schema: pa.Schema | None, place: str) -> Iterator[pa.Table | RowError]:
    """Parse objects; where that fails, halves of them, down to those to blame."""
    objects = [(number, text) for number, text in objects if text and not text.isspace()]
    if not objects:
        return
    try:
        table = _table([text for _, text in objects], schema)
    except (pa.ArrowException, SchemaError, ValueError) as error:
        if len(objects) == 1:
            yield DecodeError(f"{place} {objects[0][0]}: {_told(error)}")
            return
        half = len(objects) // 2
        yield from _parsed(objects[:half], schema, place)
        yield from _parsed(objects[half:], schema, place)
        return
    yield table


def _table(objects: Sequence[bytes], schema: pa.Schema | None) -> pa.Table:
    content = b"\n".join(objects)
    _check_objects(objects, content)
    behavior = "infer" if schema is None else "error"
    parse = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=behavior, newlines_in_values=False)
    read = pa_json.ReadOptions(use_threads=False, block_size=len(content) + 1)
    table = pa_json.read_json(pa.BufferReader(content), read_options=read, parse_options=parse)
    if table.num_rows != len(objects):
        raise ValueError("more than one value")
    if not table.num_columns and schema is None:
        raise ValueError("an object without fields, before any with some; name the columns with schema=")
    Schema.of(table)  # a name may be in another encoding
    for column in table.columns:
        column.validate(full=True)
    return table


def _check_objects(objects: Sequence[bytes], content: bytes) -> None:
    """Refuse what Arrow's parser ends the process over: values nested without end, and null in the place of an object.

    Raises
    ------
    ValueError
        If there is such a value.
    """
    # One count in place of a look at each: nothing else stands between objects.
    is_plain = content.startswith(b"{") and content.endswith(b"}") and content.count(b"}\n{") == len(objects) - 1
    if not is_plain and not all(text.strip().startswith(b"{") and text.strip().endswith(b"}") for text in objects):
        raise ValueError("not an object in braces")
    if content.count(b"{") + content.count(b"[") - len(objects) < _MOST_DEPTH:
        return
    for text in objects:
        if text.count(b"{") + text.count(b"[") > _MOST_DEPTH and _depth(text) > _MOST_DEPTH:
            raise ValueError(f"values are nested more than {_MOST_DEPTH} deep")


def _depth(text: bytes) -> int:
    signs = np.frombuffer(_STRING.sub(b"", text), np.uint8) & 0xDF  # { and [ become one, } and ] another
    steps = (signs == ord("[")).astype(np.int32) - (signs == ord("]"))
    return int(np.cumsum(steps).max(initial=0))


def _is_document(path: str, lines: Sequence[bytes]) -> bool:
    """Whether a file begins with a list, or with an object that goes on in the next line."""
    if any(ending in path.lower() for ending in (".jsonl", ".ndjson")):
        return False
    first = next((text for line in lines if (text := line.strip())), b"")
    return first.startswith(b"[") or (first.startswith(b"{") and first.endswith((b"{", b"[", b",", b":")))


def _rest(blocks: Iterator[list[bytes]]) -> Iterator[bytes]:
    size = 0
    for lines in blocks:
        yield from lines
        size += sum(map(len, lines))
        if size > _MOST_DOCUMENT_BYTES:
            raise DecodeError(f"a list of more than {_MOST_DOCUMENT_BYTES} bytes; save it as JSON lines")


def _document_tables(content: bytes, schema: pa.Schema | None, most: int | None) -> Iterator[pa.Table | RowError]:
    """Parse the objects of a list, or one after another, some megabytes at a time."""
    objects: list[tuple[int, bytes]] = []
    size = 0
    damage: DecodeError | None = None
    try:
        for number, text in enumerate(_iter_document(content), start=1):
            objects.append((number, text))
            size += len(text)
            if size > _BLOCK_BYTES:
                yield from _parsed(objects, schema, "object")
                if most is not None:
                    return
                objects, size = [], 0
    except (ValueError, RecursionError) as error:
        damage = DecodeError(f"the list after object {len(objects)}: {str(error) or type(error).__name__}")
    yield from _parsed(objects, schema, "object")
    if damage is not None:
        yield damage


def _iter_document(content: bytes) -> Iterator[bytes]:
    """Cut the values of a list, or values one after another, out of a text, each on one line."""
    text = content.decode()
    at = _SPACE.match(text).end()  # type: ignore[union-attr]  # it matches nothing, too
    is_list = text.startswith("[", at)
    at += is_list
    is_first = True
    while True:
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # as above
        if at == len(text) and not is_list:
            return
        if is_list and text.startswith("]", at):
            break
        if is_list and not is_first:
            if not text.startswith(",", at):
                raise ValueError("no comma between two objects, or the file is cut off")
            at = _SPACE.match(text, at + 1).end()  # type: ignore[union-attr]  # as above
        _, end = _DECODER.raw_decode(text, at)
        yield text[at:end].replace("\n", " ").replace("\r", " ").encode()
        at, is_first = end, False
    if text[at + 1 :].strip():
        raise ValueError("there is more after its end")


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
    if pa.types.is_date(kind):
        return pa.timestamp("s")  # of dates it would want the number
    return pa.string() if pa.types.is_large_string(kind) else pa.binary() if pa.types.is_large_binary(kind) else kind


def _told(error: Exception) -> str:
    text = str(error)
    if "unexpected field" in text:
        return f"{text}; the first rows do not have it: name all columns with schema="
    return f"{text}; if a column changes its type, declare it with schema=" if "changed from" in text else text
