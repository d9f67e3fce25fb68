"""The file formats that tables are written in."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import pyarrow as pa

from lightdata.errors import SchemaError
from lightdata.io.sinks.durable import sync_to_disk
from lightdata.io.sinks.sink import StagedFile
from lightdata.kernels.columns import cast_column
from lightdata.types.image import ImageType
from lightdata.types.schema import Schema, describe
from lightdata.types.tensor import is_tensor


class TableFormat(Protocol):
    """What is particular to one format."""

    @property
    def suffix(self) -> str:
        """The ending of its files."""
        ...

    def check(self, schema: Schema) -> None:
        """Refuse columns that it cannot hold."""
        ...

    def writer(self, out: pa.NativeFile, schema: pa.Schema) -> Any:
        """Begin a file; the writer has ``write_table`` and ``close``, which leaves ``out`` open."""
        ...

    def unify(self, files: Sequence[StagedFile]) -> None:
        """Give the finished parts of one output one schema."""
        ...

    def __str__(self) -> str:
        """Name the format."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFormat:
    """Parquet; every column type is kept."""

    compression: str = "snappy"

    @property
    def suffix(self) -> str:
        """The ending of its files."""
        return "parquet"

    def check(self, schema: Schema) -> None:
        """Parquet holds every column."""

    def writer(self, out: pa.NativeFile, schema: pa.Schema) -> Any:
        """Begin a file."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - a tenth of a second, only for those who write

        return pq.ParquetWriter(out, schema, compression=self.compression, use_dictionary=_dictionary(schema))

    def unify(self, files: Sequence[StagedFile]) -> None:
        """Give all parts one schema: a column may have been only null in the first ones."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - as above

        for path, schema in _odd_ones({file.path: pq.read_schema(file.path) for file in files}).items():
            _rewrite(path, self, conformed(pq.read_table(path, partitioning=None), schema))

    def __str__(self) -> str:
        return "parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrowFormat:
    """Arrow IPC files, also known as Feather 2; every column type is kept."""

    compression: str | None = None

    @property
    def suffix(self) -> str:
        """The ending of its files."""
        return "arrow"

    def check(self, schema: Schema) -> None:
        """Arrow holds every column."""

    def writer(self, out: pa.NativeFile, schema: pa.Schema) -> Any:
        """Begin a file."""
        return pa.ipc.new_file(out, schema, options=pa.ipc.IpcWriteOptions(compression=self.compression))

    def unify(self, files: Sequence[StagedFile]) -> None:
        """Give all parts one schema: a column may have been only null in the first ones."""
        for path, schema in _odd_ones({file.path: _ipc_schema(file.path) for file in files}).items():
            with pa.OSFile(path) as file:  # not mapped: it is replaced
                table = pa.ipc.open_file(file).read_all()
            _rewrite(path, self, conformed(table, schema))

    def __str__(self) -> str:
        return "arrow"


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFormat:
    """Comma-separated text with a header; a null is empty, an empty text is ``""``."""

    @property
    def suffix(self) -> str:
        """The ending of its files."""
        return "csv"

    def check(self, schema: Schema) -> None:
        """Refuse what is no number, text or time."""
        for name, kind in schema.items():
            _check_text(name, kind, step="write_csv")
            if pa.types.is_nested(kind):
                raise SchemaError(
                    f"write_csv: column {name!r} is {describe(kind)}, and CSV has no nested values; use write_json or "
                    f'write_parquet, or make it text first, e.g. with ld.col("{name}").list.join(" ")'
                )

    def writer(self, out: pa.NativeFile, schema: pa.Schema) -> Any:
        """Begin a file."""
        import pyarrow.csv  # noqa: PLC0415 - only for those who write it

        return pyarrow.csv.CSVWriter(out, schema)

    def unify(self, files: Sequence[StagedFile]) -> None:
        """Text has no types."""

    def __str__(self) -> str:
        return "csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFormat:
    """One JSON object a line."""

    @property
    def suffix(self) -> str:
        """The ending of its files."""
        return "json"

    def check(self, schema: Schema) -> None:
        """Refuse what is no number, text, time, or list or struct of them."""
        for name, kind in schema.items():
            _check_text(name, kind, step="write_json")

    def writer(self, out: pa.NativeFile, schema: pa.Schema) -> Any:
        """Begin a file."""
        return _JsonLines(out)

    def unify(self, files: Sequence[StagedFile]) -> None:
        """Text has no types."""

    def __str__(self) -> str:
        return "json"


@dataclass(frozen=True, slots=True)
class _JsonLines:
    out: pa.NativeFile

    def write_table(self, table: pa.Table) -> None:
        """Write a line for each row."""
        self.out.write(pl.DataFrame(table).write_ndjson().encode())

    def close(self) -> None:
        """A line is whole by itself."""


def _check_text(name: str, kind: pa.DataType, *, step: str) -> None:
    """Refuse what cannot be text; where it is deep inside a column too."""
    inner = [kind.field(number).type for number in range(kind.num_fields)] if pa.types.is_nested(kind) else []
    for one in inner:
        _check_text(name, one, step=step)
    if isinstance(kind, ImageType):
        mend = "write_images keeps images; or drop the column and keep its path"
    elif is_tensor(kind):
        mend = f'write_numpy and write_parquet keep tensors; or reduce it first, e.g. ld.col("{name}").tensor.mean()'
    elif pa.types.is_large_binary(kind) or isinstance(kind, pa.BaseExtensionType):
        mend = f'write_parquet keeps it; or make it text first, e.g. with ld.col("{name}").bin.encode("base64")'
    else:
        return
    raise SchemaError(f"{step}: column {name!r} is {describe(kind)}, which text cannot hold; {mend}")


def _dictionary(schema: pa.Schema) -> list[str] | bool:
    """Text repeats itself; pixels do not, and looking for repeats in them takes long."""
    return [field.name for field in schema if pa.types.is_large_string(field.type)] or False


def _ipc_schema(path: str) -> pa.Schema:
    with pa.OSFile(path) as file:
        return pa.ipc.open_file(file).schema


def _odd_ones(schemas: dict[str, pa.Schema]) -> dict[str, pa.Schema]:
    """Name the files with columns that are only null there, and the schema they should have."""
    kinds = {
        field.name: field.type for schema in schemas.values() for field in schema if not pa.types.is_null(field.type)
    }
    wanted = {
        path: pa.schema([(field.name, kinds.get(field.name, field.type)) for field in schema], schema.metadata)
        for path, schema in schemas.items()
    }
    return {path: schema for path, schema in wanted.items() if schema.types != schemas[path].types}


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Cast the columns of a table to a schema."""
    columns = [
        cast_column(column.combine_chunks(), field.type, column=field.name)
        for column, field in zip(table.columns, schema, strict=True)
    ]
    return pa.table(columns, schema=schema)


def _rewrite(path: str, file_format: TableFormat, table: pa.Table) -> None:
    """Replace a staged file."""
    fresh = str(Path(path).with_name(f"{uuid.uuid4().hex}.{file_format.suffix}"))
    with pa.OSFile(fresh, "wb") as out:
        writer = file_format.writer(out, table.schema)
        writer.write_table(table)
        writer.close()
    sync_to_disk(fresh)
    os.replace(fresh, path)
