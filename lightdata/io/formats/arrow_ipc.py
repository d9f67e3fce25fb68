"""Arrow IPC files and streams; files on this machine are mapped into memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import pyarrow as pa

from lightdata.errors import DecodeError, LightdataError, SchemaError
from lightdata.expr.expression import Expression
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.formats.arrow_bodies import check_file, check_stream
from lightdata.io.location import FileSystem, locate, read_error, regular_size
from lightdata.kernels.tally import tally
from lightdata.types.canonical import canonical
from lightdata.types.schema import Schema
from lightdata.types.valid_values import check_values

_MAGIC = b"ARROW1"
"""What a file begins with; a stream does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrowFormat(FileFormat):
    """Arrow IPC (Feather 2) files, a part for each of their batches, and streams; every batch is validated in full."""

    stored: Schema | None = None
    """The columns of the first file."""

    @property
    def name(self) -> str:
        """As the format is called."""
        return "arrow"

    @property
    def extensions(self) -> tuple[str, ...]:
        """The usual endings."""
        return ("arrow", "arrows", "feather", "ipc")

    @property
    def schema(self) -> Schema | None:
        """The columns of the files."""
        return self.stored

    def learned(self, path: str, filesystem: FileSystem) -> Self:
        """Read the schema of a file."""
        with _opened(path, filesystem) as reader:
            return replace(self, stored=_held(reader.schema, path))

    def parts(
        self,
        path: str,
        filesystem: FileSystem,
        *,
        rows: int,
        predicate: Expression | None,
    ) -> Iterator[Part]:
        """Give the batches of a file, or a stream as a whole."""
        with _opened(path, filesystem) as reader:
            schema = _held(reader.schema, path)
            if self.stored is not None and schema != self.stored:
                raise DecodeError(f"its columns are {schema!r}; those of the first file {self.stored!r}", uri=path)
            if not isinstance(reader, pa.RecordBatchFileReader):
                yield Part(None)
                return
            numbers = range(reader.num_record_batches)
        yield from (Part(None, number) for number in numbers)

    def read(self, path: str, filesystem: FileSystem, part: Part, request: Request) -> Iterator[pa.RecordBatch]:
        """Produce the rows of a part.

        Raises
        ------
        DecodeError
            If the file is damaged, or a column holds what its type does not allow.
        """
        with _opened(path, filesystem) as reader:
            for batch in _checked(reader, path, filesystem, part.key):
                wanted = batch.schema.names if request.columns is None else list(request.columns)
                held = _validated(batch.select(wanted), path)
                counted = held if wanted else pa.RecordBatch.from_pydict({"": pa.nulls(batch.num_rows)})
                for start in range(0, batch.num_rows, request.batch_rows):
                    yield counted.slice(start, request.batch_rows)

    def count(self, path: str, filesystem: FileSystem) -> int | None:
        """Add up the rows of the batches, whose values are not looked at."""
        with _opened(path, filesystem) as reader:
            if not isinstance(reader, pa.RecordBatchFileReader) or locate(path, filesystem).remote is not None:
                return None
            return sum(reader.get_batch(number).num_rows for number in range(reader.num_record_batches))


def _checked(reader: Any, path: str, filesystem: FileSystem, number: int | None) -> Iterator[pa.RecordBatch]:
    """Give the batches of a stream, or one of a file; what it expands to is looked at before, on this machine."""
    location = locate(path, filesystem)
    if location.remote is not None:
        yield from reader if number is None else (reader.get_batch(number),)
        return
    with pa.memory_map(location.path) as source:
        if number is not None:
            check_file(source, path, number)
            yield reader.get_batch(number)
            return
        for _ in check_stream(source, path):
            yield reader.read_next_batch()


def _validated(batch: pa.RecordBatch, path: str) -> pa.RecordBatch:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            column.validate(full=True)
        except (pa.ArrowException, ValueError) as error:
            raise DecodeError(f"column {name!r}: {error}", uri=path) from error
    held = canonical(batch)
    held.validate(full=True)
    for name, column in zip(held.schema.names, held.columns, strict=True):
        try:
            check_values(column)
        except ValueError as error:
            raise DecodeError(f"column {name!r}: {error}", uri=path) from error
    return held


def _held(schema: pa.Schema, path: str) -> Schema:
    if len(set(schema.names)) < len(schema.names):
        raise SchemaError(f"{path} has two columns of one name: {', '.join(schema.names)}")
    try:
        return Schema.of(schema)
    except SchemaError as error:
        raise SchemaError(f"{path} has a column that cannot be held: {error}") from error


@contextmanager
def _opened(path: str, filesystem: FileSystem) -> Iterator[Any]:
    location = locate(path, filesystem)
    with ExitStack() as stack:
        try:
            if location.remote is None:
                tally("bytes_read", regular_size(location.path))
                stream = stack.enter_context(pa.memory_map(location.path))
            else:
                stream = pa.PythonFile(stack.enter_context(location.remote.open(location.path, "rb")))
            tally("files_opened")
            is_file = stream.read(len(_MAGIC)) == _MAGIC
            stream.seek(0)
            yield stack.enter_context(pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream))
        except LightdataError:
            raise
        except OSError as error:
            raise read_error(error, path) if error.errno else DecodeError(str(error), uri=path) from error
        except (pa.ArrowException, ValueError, TypeError, LookupError, EOFError, OverflowError) as error:
            raise DecodeError(str(error), uri=path) from error
