"""Parquet files, one task for each row group; every batch is validated in full before it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import dataset

from lightdata.errors import ColumnNotFoundError, DecodeError, LightdataError, SchemaError
from lightdata.expr.expression import Expression
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.formats.arrow_predicate import to_arrow
from lightdata.io.formats.foreign_columns import ForeignColumn, bytes_of_images, encoded_bytes, foreign_column
from lightdata.io.formats.parquet_chunks import check_chunks
from lightdata.io.formats.parquet_dictionaries import FREE_BYTES, KnownFile, check_lists, rows_at_once
from lightdata.io.formats.parquet_statistics import bounds_of, footer_widths
from lightdata.io.location import FileSystem, locate, read_error, regular_size
from lightdata.io.source import Bounds, Extent
from lightdata.kernels.limits import check_expansion
from lightdata.kernels.tally import tally
from lightdata.types.canonical import canonical, canonical_type
from lightdata.types.schema import Schema, describe
from lightdata.types.valid_values import check_values

_FOOTERS_TO_ESTIMATE = 1000
"""Files whose footers are read to explain a query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFormat(FileFormat):
    """Parquet files that have the same columns; a part is a row group."""

    image_columns: tuple[str, ...] | None = None
    """Columns of encoded images; ``None`` for those that the files' own metadata call so."""

    stored: Schema | None = None
    """The columns of the first file."""

    encoded_images: tuple[str, ...] = ()
    """Of these, those of encoded images: bytes here."""

    @property
    def name(self) -> str:
        """As the format is called."""
        return "parquet"

    @property
    def extensions(self) -> tuple[str, ...]:
        """The usual ending."""
        return ("parquet",)

    @property
    def schema(self) -> Schema | None:
        """The columns of the files."""
        return self.stored

    def learned(self, path: str, filesystem: FileSystem) -> Self:
        """Read the footer of a file.

        Raises
        ------
        SchemaError
            If a column cannot be held.
        """
        footer = _footer(path, filesystem)
        images = self._images(footer, path)
        return replace(self, stored=_with_bytes(footer.schema, images), encoded_images=images)

    def _images(self, footer: _Footer, path: str) -> tuple[str, ...]:
        if self.image_columns is None:
            return tuple(name for name, column in footer.foreign.items() if column.is_encoded_image)
        for name in self.image_columns:
            if name not in footer.schema:
                raise ColumnNotFoundError.for_step(name, step="image_columns", available=footer.schema)
            if encoded_bytes(footer.schema_arrow.field(name).type) is None:
                raise SchemaError(
                    f"{path}: image_columns has {name!r}, which is {describe(footer.schema[name])}, not bytes"
                )
        return self.image_columns

    def parts(
        self,
        path: str,
        filesystem: FileSystem,
        *,
        rows: int,
        predicate: Expression | None,
    ) -> Iterator[Part]:
        """Give the row groups in which there are rows, and for which ``predicate`` may be true."""
        footer = _footer(path, filesystem, with_chunks=predicate is not None)
        _check_same(_with_bytes(footer.schema, self.encoded_images), self.stored or footer.schema, path)
        groups = range(footer.metadata.num_row_groups)
        chosen = groups if predicate is None else _groups_for(predicate, path, filesystem, footer)
        for group in chosen:
            if count := footer.metadata.row_group(group).num_rows:
                yield Part(count, group)

    def read(self, path: str, filesystem: FileSystem, part: Part, request: Request) -> Iterator[pa.RecordBatch]:
        """Produce the rows of a row group.

        Raises
        ------
        DecodeError
            If the file is damaged, or a column holds what its type does not allow.
        """
        with _opened(path, filesystem, chunks_of=[part.key]) as file:
            group = file.metadata.row_group(part.key)
            names = tuple(file.schema_arrow.names) if request.columns is None else request.columns
            leaves = [*_leaves(group, names)]
            _check_size(leaves, path)
            check_lists(leaves, file.schema, path)
            left = group.num_rows
            known = KnownFile(locate(path, filesystem), file.metadata)
            rows = rows_at_once(known, part.key, names, leaves, min(request.batch_rows, left))
            foreign = self._converted(_foreign(file.schema_arrow, path))
            tally("files_opened")
            tally("bytes_read", _stored_bytes(leaves))
            for batch in file.iter_batches(rows, row_groups=[part.key], columns=list(names)):
                left -= batch.num_rows
                columns = {name: _checked_column(batch.column(name), name, foreign.get(name), path) for name in names}
                counted = {"": pa.nulls(batch.num_rows), **columns}
                yield pa.RecordBatch.from_pydict(counted).select(list(columns))
            if left:
                raise DecodeError(f"row group {part.key} has {-left:+d} rows beyond its footer", uri=path)

    def _converted(self, foreign: Mapping[str, ForeignColumn]) -> dict[str, ForeignColumn]:
        kept = {name: column for name, column in foreign.items() if not column.is_encoded_image}
        return {**kept, **dict.fromkeys(self.encoded_images, ForeignColumn(bytes_of_images, is_encoded_image=True))}

    def count(self, path: str, filesystem: FileSystem) -> int:
        """Add up the rows that the footer says."""
        footer = _footer(path, filesystem)
        _check_same(_with_bytes(footer.schema, self.encoded_images), self.stored or footer.schema, path)
        return sum(footer.metadata.row_group(group).num_rows for group in range(footer.metadata.num_row_groups))

    def extent(self, files: Sequence[str]) -> Extent:
        """Tell what the footers say, unless they are too many to read for an estimate."""
        footers = [_footer(path, None, with_chunks=True) for path in files[:_FOOTERS_TO_ESTIMATE]]
        rows = sum(footer.metadata.num_rows for footer in footers)
        widths = footer_widths([footer.metadata for footer in footers])
        return Extent(rows=rows if len(footers) == len(files) else None, widths=widths)

    def bounds(self, files: Sequence[str], columns: Sequence[str]) -> Bounds | None:
        """Tell what the footers say of all rows."""
        footers = [_footer(path, None, with_chunks=True) for path in files]
        for path, footer in zip(files, footers, strict=True):
            _check_same(_with_bytes(footer.schema, self.encoded_images), self.stored or footer.schema, path)
        wanted = {name: kind for name, kind in (self.stored or {}).items() if name in columns}
        return Bounds(
            rows=sum(footer.metadata.num_rows for footer in footers),
            columns=bounds_of([(footer.metadata, footer.schema_arrow) for footer in footers], wanted),
        )


def _groups_for(predicate: Expression, path: str, filesystem: FileSystem, footer: _Footer) -> list[int]:
    """Leave out row groups of which statistics say that a predicate is true for no row."""
    every = list(range(footer.metadata.num_row_groups))
    asked = to_arrow(predicate.expr, footer.schema)
    if asked is None:
        return every
    location = locate(path, filesystem)
    opened = pa.OSFile(location.path) if location.remote is None else location.remote.open(location.path, "rb")
    with opened as stream:
        fragment = dataset.ParquetFileFormat().make_fragment(stream)
        try:
            chosen = fragment.split_by_row_group(asked, schema=footer.schema_arrow)
        except (pa.ArrowException, ValueError):  # a column and a value that Arrow does not compare
            return every
        return [group.id for one in chosen for group in one.row_groups]


def _check_size(leaves: Sequence[Any], path: str) -> None:
    """Refuse a row group that packs more than a machine holds, before a byte of it is read."""
    packed = _stored_bytes(leaves)
    size = sum(leaf.total_uncompressed_size for leaf in leaves)
    check_expansion(packed, size, free=FREE_BYTES, uri=path)


def _stored_bytes(leaves: Sequence[Any]) -> int:
    """Add up the bytes of some columns of a row group, those of their fields included; each is read whole."""
    return sum(leaf.total_compressed_size for leaf in leaves)


def _leaves(group: Any, names: tuple[str, ...]) -> Iterator[Any]:
    for leaf in map(group.column, range(group.num_columns)):
        if leaf.path_in_schema in names or leaf.path_in_schema.startswith(tuple(f"{name}." for name in names)):
            yield leaf


def _checked_column(array: pa.Array, name: str, foreign: ForeignColumn | None, path: str) -> pa.Array:
    try:
        array.validate(full=True)
        array = array if foreign is None else foreign.convert(array)
        if isinstance(array.type, pa.FixedShapeTensorType):
            _check_order(canonical_type(array.type))
        column = canonical(pa.RecordBatch.from_arrays([array], names=[name])).column(0)
        column.validate(full=True)
        check_values(column)
    except (pa.ArrowException, NotImplementedError, ValueError, TypeError, AttributeError) as error:
        raise DecodeError(f"column {name!r}: {error}", uri=path) from error
    return column


def _check_order(tensor: pa.FixedShapeTensorType) -> None:
    if tensor.permutation is not None:
        raise ValueError(f"tensors whose axes are stored in another order ({tensor}); save them as they are to be")


class _Footer(NamedTuple):
    """What the end of a file says of it."""

    schema: Schema
    """The columns, canonical."""

    schema_arrow: pa.Schema
    metadata: Any
    foreign: Mapping[str, ForeignColumn]
    """Columns that other libraries mean something by."""


def _footer(path: str, filesystem: FileSystem, *, with_chunks: bool = False) -> _Footer:
    with _opened(path, filesystem, chunks_of=None if with_chunks else ()) as file:
        if with_chunks:
            for group in map(file.metadata.row_group, range(file.metadata.num_row_groups)):
                for number in range(group.num_columns):
                    group.column(number).path_in_schema  # noqa: B018 - a name may be in another encoding
        foreign = _foreign(file.schema_arrow, path)
        return _Footer(_canonical_schema(file.schema_arrow, foreign, path), file.schema_arrow, file.metadata, foreign)


def _foreign(stored: pa.Schema, path: str) -> dict[str, ForeignColumn]:
    try:
        found = {field.name: foreign_column(field, stored.metadata or {}) for field in stored}
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise DecodeError(f"its schema: {error}", uri=path) from error
    return {name: column for name, column in found.items() if column is not None}


def _canonical_schema(stored: pa.Schema, foreign: Mapping[str, ForeignColumn], path: str) -> Schema:
    types: dict[str, pa.DataType] = {}
    for column in stored:
        if column.name in types:
            raise SchemaError(f"{path} has two columns named {column.name!r}")
        known = foreign.get(column.name)
        try:
            types[column.name] = _checked_column(
                pa.nulls(0, column.type),
                column.name,
                None if known is None or known.is_encoded_image else known,
                path,
            ).type
        except DecodeError as error:
            raise SchemaError(f"{path} has a column that cannot be held: {error.message}") from error
    return Schema(types)


def _with_bytes(schema: Schema, images: Sequence[str]) -> Schema:
    return Schema({**schema, **dict.fromkeys(images, pa.large_binary())})


def _check_same(schema: Schema, first: Schema, path: str) -> None:
    for name in first:
        if name not in schema:
            raise SchemaError(f"{path} has no column {name!r}, which the first file has")
    for name, kind in schema.items():
        if name not in first:
            raise SchemaError(f"{path} has a column {name!r}, which the first file has not")
        if kind != first[name]:
            raise SchemaError(f"{path}: column {name!r} is {kind}, in the first file {first[name]}")


@contextmanager
def _opened(path: str, filesystem: FileSystem, *, chunks_of: Sequence[int] | None = ()) -> Iterator[pq.ParquetFile]:
    """Open a file; what it says of chunks may only be looked at in the row groups named here, ``None`` for all."""
    location = locate(path, filesystem)
    with ExitStack() as stack:
        try:
            if location.remote is None:
                regular_size(location.path)
                stream: Any = stack.enter_context(open(location.path, "rb"))
            else:
                stream = stack.enter_context(location.remote.open(location.path, "rb"))
            source = _parquet_file(location.path if location.remote is None else stream, path)
            file = stack.enter_context(source)
            if chunks_of is None or chunks_of:
                check_chunks(stream, chunks_of)
            yield file
        except LightdataError:
            raise
        except OSError as error:
            # Arrow raises OSError without a number for damage that it finds.
            raise read_error(error, path) if error.errno else DecodeError(str(error), uri=path) from error
        except (pa.ArrowException, ValueError) as error:
            raise DecodeError(str(error), uri=path) from error


def _parquet_file(stream: Any, path: str) -> pq.ParquetFile:
    """Open a file and have the types that its schema names made, by classes that know nothing of files."""
    try:
        file = pq.ParquetFile(stream)
        file.schema_arrow  # noqa: B018 - the types are made here
    except (SchemaError, TypeError, LookupError) as error:
        raise DecodeError(f"its schema: {error}", uri=path) from error
    return file
