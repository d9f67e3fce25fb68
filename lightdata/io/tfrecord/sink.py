"""Write TFRecord files: one part a task."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from lightdata.errors import ArgumentError
from lightdata.io.part_sinks import PART_ROWS
from lightdata.io.sink import StagedFile
from lightdata.io.tfrecord.compression import WINDOW_BITS, Packing
from lightdata.io.tfrecord.encode import check_type, encode_examples
from lightdata.io.tfrecord.framing import write_record
from lightdata.types.schema import Schema

_SUFFIXES = {None: "", "GZIP": ".gz", "ZLIB": ".zlib"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TFRecordSink:
    """TFRecord files of ``tf.train.Example`` messages, a feature for each column."""

    compression: Packing | None = None

    def __post_init__(self) -> None:
        if self.compression not in _SUFFIXES:
            raise ArgumentError(f"compression is 'GZIP', 'ZLIB' or None; got {self.compression!r}")

    @property
    def is_numbered(self) -> bool:
        """Parts are numbered."""
        return True

    @property
    def task_rows(self) -> int:
        """One part a task."""
        return PART_ROWS

    def columns(self) -> None:
        """All columns are written."""

    def check(self, schema: Schema) -> None:
        """Refuse columns that no feature can hold."""
        for name, kind in schema.items():
            check_type(name, kind)

    def write(self, batches: Iterator[pa.RecordBatch], staging: Path) -> Iterator[StagedFile]:
        """Write one part, if there are rows."""
        filled = (batch for batch in batches if batch.num_rows)
        first = next(filled, None)
        if first is None:
            return
        path, rows = staging / f"{uuid.uuid4().hex}.tfrecords", 0
        pack = _Plain() if self.compression is None else zlib.compressobj(wbits=WINDOW_BITS[self.compression])
        with path.open("wb") as file:
            for batch in chain((first,), filled):
                for message in encode_examples(batch):
                    file.write(pack.compress(write_record(message)))
                rows += batch.num_rows
            file.write(pack.flush())
        yield StagedFile(str(path), None, rows, path.stat().st_size)

    def check_files(self, files: Sequence[StagedFile]) -> None:
        """Every message stands for itself."""

    def final_name(self, number: int) -> str:
        """Number the parts."""
        return f"part-{number:05d}.tfrecords{_SUFFIXES[self.compression]}"

    def __str__(self) -> str:
        return "tfrecords" if self.compression is None else f"tfrecords[{self.compression}]"


class _Plain:
    """Compresses nothing."""

    def compress(self, content: bytes) -> bytes:
        """Give what comes."""
        return content

    def flush(self) -> Any:
        """Hold nothing back."""
        return b""
