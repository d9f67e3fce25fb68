"""``tf.train.Example`` records in TFRecord files, read without TensorFlow; every checksum is checked.

A record is its length (uint64), a checksum of that, its bytes, and a checksum of those; all little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import google_crc32c
import pyarrow as pa
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError as ProtobufDecodeError

from lightdata.errors import ArgumentError, ColumnNotFoundError, DecodeError, RowError, SchemaError
from lightdata.io.files import FileSystem, Paths, as_paths, describe_paths, list_files, read_file
from lightdata.io.source import Extent, Pushdowns, ReadTask
from lightdata.types.plain_array import plain_array, repeated

_COMPRESSED = (".gz", ".gzip", ".zlib", ".zz", ".bz2", ".xz", ".zst")
_LENGTH = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_KINDS = {"bytes_list": pa.large_binary(), "float_list": pa.float32(), "int64_list": pa.int64()}

Row = Mapping[str, tuple[str | None, Sequence[Any]]]
"""For each feature of a record, its kind (``None`` where it is not set) and its values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TFRecordSource:
    """The examples of TFRecord files; only reading tells their columns."""

    paths: Paths
    """Files, folders or patterns."""

    extensions: tuple[str, ...] | None = None
    """Endings of the files to take from folders and patterns."""

    filesystem: FileSystem = field(default=None, hash=False)
    """The filesystem of the paths, where they do not say it."""

    ignore_missing_paths: bool = False
    """Go on where a path does not exist, or nothing is found."""

    include_paths: bool = False
    """Add the column ``path``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", as_paths(self.paths))
        for path in as_paths(self.paths):
            _refuse_compressed(path)

    @property
    def schema(self) -> None:
        """Unknown until a file is read."""
        return

    @property
    def rows_are_listed(self) -> bool:
        """The rows are in files."""
        return False

    @property
    def lets_rows_go(self) -> bool:
        """None fails."""
        return False

    def tasks(self, pushdowns: Pushdowns, *, task_rows: int) -> Iterator[ReadTask]:
        """Give one task for each file."""
        files = list_files(
            self.paths,
            extensions=self.extensions,
            filesystem=self.filesystem,
            ignore_missing_paths=self.ignore_missing_paths,
        )
        for path in files:
            _refuse_compressed(path)
            yield TFRecordTask(
                path=path,
                filesystem=self.filesystem,
                include_paths=self.include_paths,
                pushdowns=pushdowns,
                batch_rows=task_rows,
            )

    def count(self, most: int | None = None) -> None:
        """Tell nothing: records are counted by reading them."""
        return

    def extent(self) -> Extent:
        """Tell nothing."""
        return Extent()

    def bounds(self, columns: Sequence[str]) -> None:
        """Tell nothing."""
        return

    def __str__(self) -> str:
        return f"tfrecord[{describe_paths(self.paths, self.extensions)}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class TFRecordTask:
    """The examples of one file."""

    path: str
    filesystem: FileSystem
    include_paths: bool
    pushdowns: Pushdowns
    batch_rows: int

    def read(self, failures: list[RowError] | None = None) -> Iterator[pa.RecordBatch]:
        """Produce the rows; those before a damaged record come before its error.

        Raises
        ------
        DecodeError
            At a damaged record, with its number and its offset in bytes.
        """
        rows: list[Row] = []
        damage: DecodeError | None = None
        try:
            for record in iter_examples(read_file(self.path, self.filesystem), self.path):
                rows.append(record)  # noqa: PERF402 - the rows before an error are kept
        except DecodeError as error:
            damage = error
        yield from self._batches(rows)
        if damage is not None:
            raise damage

    def _batches(self, rows: list[Row]) -> Iterator[pa.RecordBatch]:
        types = column_types(rows, self.path)
        if self.include_paths and "path" in types:
            raise SchemaError(f"{self.path} has a feature named 'path'; include_paths would hide it")
        stop = len(rows) if self.pushdowns.n_rows is None else min(len(rows), self.pushdowns.n_rows)
        for start in range(0, stop, self.batch_rows):
            part = rows[start : min(start + self.batch_rows, stop)]
            columns = {name: _column(part, name, kind) for name, kind in types.items()}
            if self.include_paths:
                columns["path"] = repeated(self.path, len(part))
            yield self._selected(columns, len(part))

    def _selected(self, columns: dict[str, pa.Array], rows: int) -> pa.RecordBatch:
        names = list(columns) if self.pushdowns.columns is None else list(self.pushdowns.columns)
        for name in names:
            if name not in columns:
                raise ColumnNotFoundError.for_step(name, step=self.path, available=columns)
        # The column of nulls counts the rows where no column is asked for.
        return pa.RecordBatch.from_pydict({**columns, "": columns.get("", pa.nulls(rows))}).select(names)


def iter_examples(content: bytes, uri: str) -> Iterator[Row]:
    """Parse the records of a file.

    Raises
    ------
    DecodeError
        If a record is damaged or is not a ``tf.train.Example``.
    """
    for index, (offset, payload) in enumerate(iter_records(content, uri)):
        try:
            features = _example_class().FromString(payload).features.feature
        except ProtobufDecodeError as error:
            raise _damaged("it is not a tf.train.Example", uri, index, offset) from error
        yield {name: _feature(features[name]) for name in sorted(features)}


def iter_records(content: bytes, uri: str) -> Iterator[tuple[int, bytes]]:
    """Cut a file into records: the offset and the bytes of each.

    Raises
    ------
    DecodeError
        If a checksum is wrong or the file ends within a record.
    """
    at = index = 0
    while at < len(content):
        start = at + _LENGTH.size
        if start > len(content):
            raise _damaged("the file ends within its length", uri, index, at)
        length, checksum = _LENGTH.unpack_from(content, at)
        if _masked_crc(content[at : at + 8]) != checksum:
            raise _damaged("the checksum of its length is wrong", uri, index, at)
        end = start + length
        if end + _CHECKSUM.size > len(content):
            raise _damaged(f"it has {length} bytes, the file ends {len(content) - start} after", uri, index, at)
        payload = content[start:end]
        if _masked_crc(payload) != _CHECKSUM.unpack_from(content, end)[0]:
            raise _damaged("the checksum of its bytes is wrong", uri, index, at)
        yield at, payload
        at, index = end + _CHECKSUM.size, index + 1


def column_types(rows: Sequence[Row], uri: str) -> dict[str, pa.DataType]:
    """Find the type of each feature over all rows of a file: a scalar where no row has more than one value.

    Raises
    ------
    DecodeError
        If a feature has one kind in one record and another in another.
    """
    kinds: dict[str, str | None] = {}
    longest: dict[str, int] = {}
    for index, row in enumerate(rows):
        for name, (kind, values) in row.items():
            known = kinds.setdefault(name, kind) or kind
            if kind not in (None, known):
                raise DecodeError(f"record {index}: feature {name!r} is {kind}, before it was {known}", uri=uri)
            kinds[name] = known
            longest[name] = max(longest.get(name, 0), len(values))
    return {name: _type(kinds[name], longest[name]) for name in sorted(kinds)}


def _type(kind: str | None, longest: int) -> pa.DataType:
    if kind is None:
        return pa.null()
    return _KINDS[kind] if longest == 1 else pa.large_list(_KINDS[kind])


def _column(rows: Sequence[Row], name: str, kind: pa.DataType) -> pa.Array:
    values = [row[name][1] if name in row else () for row in rows]
    if pa.types.is_large_list(kind):
        return plain_array([value or None for value in values], kind)
    return plain_array([value[0] if value else None for value in values], kind)


def _feature(feature: Any) -> tuple[str | None, Sequence[Any]]:
    kind = feature.WhichOneof("kind")
    return kind, list(getattr(feature, kind).value) if kind else ()


def _masked_crc(content: bytes) -> int:
    # The mask of the format: a checksum of data that hold checksums would be weak.
    crc = google_crc32c.value(content)
    return int(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _damaged(what: str, uri: str, index: int, offset: int) -> DecodeError:
    return DecodeError(f"record {index} at byte {offset}: {what}", uri=uri)


def _refuse_compressed(path: str) -> None:
    if path.lower().endswith(_COMPRESSED):
        raise ArgumentError(f"{path} is compressed; compressed TFRecord files are not read, decompress it first")


@cache
def _example_class() -> Any:
    """Build the message class of ``tf.train.Example``, in a pool of its own: TensorFlow may be loaded too."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="lightdata", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    for name, kind in (
        ("BytesList", field.TYPE_BYTES),
        ("FloatList", field.TYPE_FLOAT),
        ("Int64List", field.TYPE_INT64),
    ):
        _message(file, name).field.add(name="value", number=1, type=kind, label=field.LABEL_REPEATED)
    feature = _message(file, "Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("BytesList", "FloatList", "Int64List"), start=1):
        lower = f"{name.removesuffix('List').lower()}_list"
        _submessage(feature, lower, number, name).oneof_index = 0
    features = _message(file, "Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    _submessage(entry, "value", 2, "Feature")
    _submessage(features, "feature", 1, "Features.FeatureEntry").label = field.LABEL_REPEATED
    _submessage(_message(file, "Example"), "features", 1, "Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("lightdata.Example"))


def _message(file: Any, name: str) -> Any:
    return file.message_type.add(name=name)


def _submessage(message: Any, name: str, number: int, kind: str) -> Any:
    proto = descriptor_pb2.FieldDescriptorProto
    return message.field.add(
        name=name,
        number=number,
        type=proto.TYPE_MESSAGE,
        label=proto.LABEL_OPTIONAL,
        type_name=f".lightdata.{kind}",
    )
