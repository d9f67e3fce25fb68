"""Parquet files, one task for each row group; every batch is validated in full before it is used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lightdata.errors import DecodeError, LightdataError, SchemaError
from lightdata.io.files import FileSystem, Paths, are_local, as_paths, describe_paths, list_files
from lightdata.io.location import locate, read_error, regular_size
from lightdata.io.parquet_statistics import bounds_of, footer_widths
from lightdata.io.source import Bounds, Extent, Pushdowns, ReadTask
from lightdata.kernels.tally import tally
from lightdata.types.canonical import canonical
from lightdata.types.plain_array import repeated
from lightdata.types.schema import Schema
from lightdata.types.tensor import tensors

EXTENSIONS = ("parquet",)

_FOOTERS_TO_ESTIMATE = 1000
"""Files whose footers are read to explain a query."""

_RAY_TENSORS = ("ray.data.arrow_tensor", "ray.data.arrow_tensor_v2")
"""Extension names under which Ray Data writes tensors of one shape, as lists."""

_RAY_RAGGED = ("ray.data.arrow_variable_shaped_tensor",)
"""Extension names under which Ray Data writes tensors of any shape, as structs of values and shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetSource:
    """The rows of Parquet files that have the same columns; made by :meth:`open`."""

    paths: Paths
    """Files, folders or patterns."""

    stored: Schema | None
    """The columns of the first file; ``None`` if there is no file."""

    filesystem: FileSystem = field(default=None, hash=False)
    """The filesystem of the paths, where they do not say it."""

    ignore_missing_paths: bool = False
    """Go on where a path does not exist, or nothing is found."""

    include_paths: bool = False
    """Add the column ``path``."""

    @classmethod
    def open(
        cls,
        paths: Paths,
        *,
        filesystem: FileSystem = None,
        ignore_missing_paths: bool = False,
        include_paths: bool = False,
    ) -> Self:
        """Make the source; reads the footer of the first file.

        Raises
        ------
        SchemaError
            If a column of the first file cannot be held.
        """
        names = as_paths(paths)
        files = list_files(
            names, extensions=EXTENSIONS, filesystem=filesystem, ignore_missing_paths=ignore_missing_paths
        )
        stored = next((_footer(file, filesystem).schema for file in files), None)
        if include_paths and stored is not None and "path" in stored:
            raise SchemaError("the files have a column named 'path'; include_paths would hide it")
        return cls(
            paths=names,
            stored=stored,
            filesystem=filesystem,
            ignore_missing_paths=ignore_missing_paths,
            include_paths=include_paths,
        )

    @property
    def schema(self) -> Schema | None:
        """The columns of the files, and ``path`` if it was asked for; ``None`` if there is no file."""
        if self.stored is None or not self.include_paths:
            return self.stored
        return Schema({**self.stored, "path": pa.large_string()})

    @property
    def rows_are_listed(self) -> bool:
        """The rows are in files."""
        return False

    def tasks(self, pushdowns: Pushdowns, *, task_rows: int) -> Iterator[ReadTask]:
        """Give one task for each row group, in batches of ``task_rows`` rows, until there are rows enough."""
        schema = self.schema
        columns = pushdowns.columns if pushdowns.columns is not None or schema is None else tuple(schema)
        left = pushdowns.n_rows
        for path, group, rows in self._row_groups():
            if left is not None and left <= 0:
                return
            left = None if left is None else left - rows
            if rows:
                yield ParquetTask(
                    path=path,
                    row_group=group,
                    columns=columns or (),
                    stored=tuple(name for name in columns or () if name in (self.stored or ())),
                    batch_rows=task_rows,
                    filesystem=self.filesystem,
                )

    def count(self, most: int | None = None) -> int:
        """Add up the rows that the footers say."""
        total = 0
        for _, _, rows in self._row_groups():
            if most is not None and total >= most:
                break
            total += rows
        return total if most is None else min(total, most)

    def extent(self) -> Extent:
        """Tell what the footers say, unless they are too many to read for an estimate."""
        if not are_local(self.paths, self.filesystem):
            return Extent()
        files = list(islice(self._files(), _FOOTERS_TO_ESTIMATE + 1))
        footers = [_footer(path, self.filesystem) for path in files[:_FOOTERS_TO_ESTIMATE]]
        rows = sum(footer.metadata.num_rows for footer in footers)
        widths = footer_widths([footer.metadata for footer in footers])
        return Extent(rows=rows if len(footers) == len(files) else None, widths=widths)

    def bounds(self, columns: Sequence[str]) -> Bounds | None:
        """Tell what the footers say of all rows."""
        if not are_local(self.paths, self.filesystem):
            return None
        footers = list(self._footers())
        wanted = {name: kind for name, kind in (self.stored or {}).items() if name in columns}
        return Bounds(
            rows=sum(footer.metadata.num_rows for _, footer in footers),
            columns=bounds_of([(footer.metadata, footer.schema_arrow) for _, footer in footers], wanted),
        )

    def __str__(self) -> str:
        return f"parquet[{describe_paths(self.paths)}]"

    def _files(self) -> Iterator[str]:
        return list_files(
            self.paths,
            extensions=EXTENSIONS,
            filesystem=self.filesystem,
            ignore_missing_paths=self.ignore_missing_paths,
        )

    def _footers(self) -> Iterator[tuple[str, _Footer]]:
        for path in self._files():
            footer = _footer(path, self.filesystem)
            _check_same(footer.schema, self.stored or footer.schema, path)
            yield path, footer

    def _row_groups(self) -> Iterator[tuple[str, int, int]]:
        for path, footer in self._footers():
            for group in range(footer.metadata.num_row_groups):
                yield path, group, footer.metadata.row_group(group).num_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetTask:
    """One row group of one file."""

    path: str
    row_group: int
    columns: tuple[str, ...]
    stored: tuple[str, ...]
    """Those of ``columns`` that are in the file."""

    batch_rows: int
    filesystem: FileSystem

    def read(self) -> Iterator[pa.RecordBatch]:
        """Produce the rows.

        Raises
        ------
        DecodeError
            If the file is damaged, or a column holds what its type does not allow.
        """
        with _opened(self.path, self.filesystem) as file:
            group = file.metadata.row_group(self.row_group)
            left = group.num_rows
            tally("files_opened")
            tally("bytes_read", _stored_bytes(group, self.stored))
            # One thread: the workers are many already.
            batches = file.iter_batches(
                self.batch_rows, row_groups=[self.row_group], columns=list(self.stored), use_threads=False
            )
            for batch in batches:
                left -= batch.num_rows
                yield self._finished(batch, file.schema_arrow)
            if left:
                raise DecodeError(f"row group {self.row_group} has {-left:+d} rows beyond its footer", uri=self.path)

    def _finished(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
        columns = {"path": repeated(self.path, batch.num_rows)}
        for name in batch.schema.names:
            columns[name] = _checked_column(batch.column(name), schema.field(name), self.path)
        return pa.RecordBatch.from_pydict(columns).select(list(self.columns))


def _stored_bytes(group: Any, names: tuple[str, ...]) -> int:
    """Add up the bytes of some columns of a row group, those of their fields included; each is read whole."""
    leaves = [group.column(number) for number in range(group.num_columns)]
    return sum(
        leaf.total_compressed_size
        for leaf in leaves
        if leaf.path_in_schema in names or leaf.path_in_schema.startswith(tuple(f"{name}." for name in names))
    )


def _checked_column(array: pa.Array, stored: pa.Field, path: str) -> pa.Array:
    try:
        array.validate(full=True)
        if (tensor := _ray_tensor_type(stored)) is not None:
            return pa.ExtensionArray.from_storage(tensor, array.cast(tensor.storage_type))
        if _is_named(stored, _RAY_RAGGED):
            return _ragged_tensors(array)
        column = canonical(pa.RecordBatch.from_arrays([array], names=[stored.name])).column(0)
        column.validate(full=True)
    except (pa.ArrowException, ValueError, TypeError, AttributeError) as error:
        raise DecodeError(f"column {stored.name!r}: {error}", uri=path) from error
    return column


class _Footer(NamedTuple):
    """What the end of a file says of it."""

    schema: Schema
    """The columns, canonical."""

    schema_arrow: pa.Schema
    metadata: Any


def _footer(path: str, filesystem: FileSystem) -> _Footer:
    with _opened(path, filesystem) as file:
        return _Footer(_canonical_schema(file.schema_arrow, path), file.schema_arrow, file.metadata)


def _canonical_schema(stored: pa.Schema, path: str) -> Schema:
    types: dict[str, pa.DataType] = {}
    for column in stored:
        if column.name in types:
            raise SchemaError(f"{path} has two columns named {column.name!r}")
        empty = pa.schema([column]).empty_table().column(0).combine_chunks()
        try:
            types[column.name] = _checked_column(empty, column, path).type
        except DecodeError as error:
            raise SchemaError(f"{path} has a column that cannot be held: {error.message}") from error
    return Schema(types)


def _check_same(schema: Schema, first: Schema, path: str) -> None:
    for name in first:
        if name not in schema:
            raise SchemaError(f"{path} has no column {name!r}, which the first file has")
    for name, kind in schema.items():
        if name not in first:
            raise SchemaError(f"{path} has a column {name!r}, which the first file has not")
        if kind != first[name]:
            raise SchemaError(f"{path}: column {name!r} is {kind}, in the first file {first[name]}")


def _is_named(stored: pa.Field, names: Sequence[str]) -> bool:
    """Whether a column has an extension type of one of these names."""
    return (stored.metadata or {}).get(b"ARROW:extension:name", b"").decode() in names


def _ragged_tensors(array: pa.StructArray) -> pa.Array:
    """Make tensors of what Ray Data wrote as such: structs of values and shape."""
    values, shapes = array.field("data").to_pylist(), array.field("shape").to_pylist()
    dtype = np.dtype(array.type.field("data").type.value_type.to_pandas_dtype())
    valid = array.is_valid().to_pylist()
    rows = zip(valid, values, shapes, strict=True)
    return tensors([np.array(data, dtype).reshape(shape) if ok else None for ok, data, shape in rows], dtype)


def _ray_tensor_type(stored: pa.Field) -> pa.DataType | None:
    """Give the canonical type of a column that Ray Data wrote as tensors of one shape."""
    if not _is_named(stored, _RAY_TENSORS):
        return None
    shape = tuple(int(size) for size in json.loads(stored.metadata.get(b"ARROW:extension:metadata", b"")))
    return pa.fixed_shape_tensor(stored.type.value_type, shape)


@contextmanager
def _opened(path: str, filesystem: FileSystem) -> Iterator[pq.ParquetFile]:
    location = locate(path, filesystem)
    with ExitStack() as stack:
        try:
            if location.remote is None:
                regular_size(location.path)
                yield stack.enter_context(_parquet_file(location.path, path))
            else:
                stream = stack.enter_context(location.remote.open(location.path, "rb"))
                yield stack.enter_context(_parquet_file(stream, path))
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
