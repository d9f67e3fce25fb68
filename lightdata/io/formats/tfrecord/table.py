"""TFRecord files as one of the formats that tables are written in."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lightdata.errors import ArgumentError
from lightdata.io.formats.tfrecord.compression import WINDOW_BITS, Packing
from lightdata.io.formats.tfrecord.encode import check_type, encode_examples
from lightdata.io.formats.tfrecord.framing import write_record
from lightdata.io.sinks.sink import StagedFile
from lightdata.types.schema import Schema

_SUFFIXES = {None: "", "GZIP": ".gz", "ZLIB": ".zlib"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TFRecordTable:
    """TFRecord files of ``tf.train.Example`` messages, a feature for each column."""

    compression: Packing | None = None

    def __post_init__(self) -> None:
        if self.compression not in _SUFFIXES:
            raise ArgumentError(f"compression is 'GZIP', 'ZLIB' or None; got {self.compression!r}")

    @property
    def suffix(self) -> str:
        """The ending of its files."""
        return f"tfrecords{_SUFFIXES[self.compression]}"

    def check(self, schema: Schema) -> None:
        """Refuse columns that no feature can hold."""
        for name, kind in schema.items():
            check_type(name, kind)

    def writer(self, out: pa.NativeFile, schema: pa.Schema) -> Any:
        """Begin a file."""
        pack = None if self.compression is None else zlib.compressobj(wbits=WINDOW_BITS[self.compression])
        return _Records(out, pack)

    def unify(self, files: Sequence[StagedFile]) -> None:
        """Every message stands for itself."""

    def __str__(self) -> str:
        return "tfrecords"


@dataclass(frozen=True, slots=True)
class _Records:
    out: pa.NativeFile
    pack: Any
    """A compressor, or ``None``."""

    def write_table(self, table: pa.Table) -> None:
        """Write a record for each row."""
        for batch in table.to_batches():
            for message in encode_examples(batch):
                record = write_record(message)
                self.out.write(record if self.pack is None else self.pack.compress(record))

    def close(self) -> None:
        """End the compressed stream."""
        if self.pack is not None:
            self.out.write(self.pack.flush())
