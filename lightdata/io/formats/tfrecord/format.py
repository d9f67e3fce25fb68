"""TFRecord files as a format of rows in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import pyarrow as pa

from lightdata.errors import ColumnNotFoundError, DecodeError, RowError
from lightdata.expr.expression import Expression
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.formats.tfrecord.columns import Seen, check_types
from lightdata.io.formats.tfrecord.compression import Compression, check_compression
from lightdata.io.formats.tfrecord.decode import batches_of, parse_block, see
from lightdata.io.formats.tfrecord.framing import Block, Framing, iter_blocks
from lightdata.io.formats.tfrecord.stream import opened
from lightdata.io.formats.tfrecord.walk import PART_BYTES, Span, can_walk, spans
from lightdata.io.location import FileSystem
from lightdata.types.schema import Schema, describe

FIRST_ROWS = 1000
"""Records of the first file that the columns come from."""

FIRST_BYTES = 64 << 20
"""No more of them than so many bytes hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TFRecordFormat(FileFormat):
    """Records of ``tf.train.Example`` or ``tf.train.SequenceExample`` messages; every checksum is checked."""

    stored: Schema | None = None
    """The columns; by default what the first records tell."""

    is_given: bool = False
    """Whether the columns are a user's choice, and other features of no interest."""

    compression: Compression = "auto"
    resync: bool = False
    """Go on behind damage; each damaged stretch is an error of one row."""

    are_sequences: bool | None = None
    """Whether messages are ``tf.train.SequenceExample``; ``None`` to see by the first of each stretch."""

    def __post_init__(self) -> None:
        check_compression(self.compression)
        if self.is_given and self.stored is not None:
            check_types(self.stored)

    @property
    def name(self) -> str:
        """As the format is called."""
        return "tfrecord"

    @property
    def extensions(self) -> None:
        """Every file: TFRecord files have endings of all kinds, or none."""
        return

    @property
    def schema(self) -> Schema | None:
        """The columns."""
        return self.stored

    def learned(self, path: str, filesystem: FileSystem) -> Self:
        """Take the columns from the first records of a file: plain where no record has more than one value."""
        seen: dict[str, Seen] = {}
        try:
            for block in self._first_blocks(path, filesystem):
                for name, found in see(parse_block(block, are_sequences=self.are_sequences, wanted=())).items():
                    seen[name] = seen[name].merge(found) if name in seen else found
        except DecodeError:
            if not seen:
                raise
        return replace(self, stored=Schema({name: seen[name].type for name in sorted(seen)})) if seen else self

    def read(
        self, path: str, filesystem: FileSystem, part: Part, request: Request
    ) -> Iterator[pa.RecordBatch | RowError]:
        """Produce the rows of a part; those before damage come before its error."""
        known = self if self.stored is not None else self.learned(path, filesystem)
        schema = known.stored or Schema({})
        columns = _chosen(schema, request.columns, path)
        # Whether bytes are text must be known of every column: a record fails or not, whoever asks.
        wanted = {*columns, *(name for name, kind in schema.items() if "string" in describe(kind))}
        left = request.n_rows
        for block in self._blocks(path, filesystem, part.key):
            if isinstance(block, DecodeError):
                yield block
                continue
            parsed = parse_block(block, are_sequences=self.are_sequences, wanted=wanted)
            for batch in batches_of(block, parsed, schema, columns, is_given=self.is_given):
                if isinstance(batch, DecodeError):
                    yield batch
                    continue
                for at in range(0, batch.num_rows, request.batch_rows):
                    yield batch.slice(at, request.batch_rows)
                left = None if left is None else left - batch.num_rows
            if left is not None and left <= 0:
                return

    def parts(
        self,
        path: str,
        filesystem: FileSystem,
        *,
        rows: int,
        predicate: Expression | None,
    ) -> Iterator[Part]:
        """Cut large files that are not compressed, on this machine, between records."""
        if not can_walk(path, filesystem, self.compression, least_bytes=2 * PART_BYTES):
            yield Part(None)
            return
        for span in spans(path, filesystem, rows=rows):
            yield Part(None if self.resync else span.rows, span)

    def count(self, path: str, filesystem: FileSystem) -> int | None:
        """Count records by their lengths, where they can be walked and all hold."""
        if not can_walk(path, filesystem, self.compression):
            return None
        found = [span.rows for span in spans(path, filesystem, rows=1)]
        return None if None in found else sum(rows or 0 for rows in found)

    def _blocks(self, path: str, filesystem: FileSystem, span: Span | None) -> Iterator[Block | DecodeError]:
        start, index, stop = (0, 0, None) if span is None else (span.start, span.number, span.stop)
        with opened(path, filesystem, self.compression, start, stop) as file:
            framing = Framing(uri=path, size=file.size, offset=start, index=index, resync=self.resync)
            yield from iter_blocks(file.stream, framing)

    def _first_blocks(self, path: str, filesystem: FileSystem) -> Iterator[Block]:
        rows = size = 0
        for block in self._blocks(path, filesystem, None):
            if isinstance(block, DecodeError):
                continue
            left = FIRST_ROWS - rows
            yield Block(block.content, block.starts[:left], block.ends[:left], block.offset, block.index)
            rows, size = rows + len(block.starts), size + len(block.content)
            if rows >= FIRST_ROWS or size >= FIRST_BYTES:
                return


def _chosen(schema: Schema, columns: Sequence[str] | None, path: str) -> Sequence[str]:
    for name in columns or ():
        if name not in schema:
            raise ColumnNotFoundError.for_step(name, step=path, available=schema)
    return schema.names if columns is None else columns
