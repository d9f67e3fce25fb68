"""Rows that files hold, whatever their format: which files, in what order, and what becomes of those that fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar

import polars as pl
import pyarrow as pa

from lightdata.errors import ColumnNotFoundError, DecodeError, PlanError, RowError, SchemaError
from lightdata.expr.expression import Expression
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.files import FileListSource, are_local, describe_paths
from lightdata.io.formats.arrow_predicate import conjuncts
from lightdata.io.location import FileSystem
from lightdata.io.source import URI, Bounds, Extent, OnError, Pushdowns, ReadTask
from lightdata.types.image import ImageType
from lightdata.types.plain_array import plain_array, repeated
from lightdata.types.schema import Schema

Format = TypeVar("Format", bound=FileFormat)

_NO_COLUMN = "\0rows"
"""Counts the rows of a batch that no column is asked of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRowsSource(Generic[Format]):
    """The rows of files that have the same columns; made by :meth:`open`."""

    listing: FileListSource
    """The files, and what their folders say."""

    file_format: Format
    include_paths: bool = False
    """Add the column ``path``."""

    on_error: OnError = "raise"

    @classmethod
    def open(
        cls,
        listing: FileListSource,
        file_format: Format,
        *,
        include_paths: bool = False,
        on_error: OnError = "raise",
    ) -> Self:
        """Make the source; what the format must know of its columns is read from the first file.

        Raises
        ------
        LightdataError
            If that file cannot be read; where ``on_error`` lets files go, the first one that can is taken.
        SchemaError
            If ``include_paths`` would hide a column of the files.
        """
        if listing.extensions is None and file_format.extensions is not None:
            listing = replace(listing, extensions=file_format.extensions)
        learned = cls(
            listing=listing.resolved(),
            file_format=_learned(listing, file_format, on_error),
            include_paths=include_paths,
            on_error=on_error,
        )
        stored = learned.file_format.schema
        if include_paths and stored is not None and listing.path_column in stored:
            raise SchemaError(f"the files have a column named {listing.path_column!r}; include_paths would hide it")
        return learned

    @property
    def max_errors(self) -> float | None:
        """Rows that may fail before a run is given up."""
        return self.listing.max_errors

    @property
    def schema(self) -> Schema | None:
        """The columns of the files, those that folders name, and ``path`` if asked for."""
        stored = self.file_format.schema
        if stored is None:
            return None
        named = self._named()
        return Schema({**{name: kind for name, kind in stored.items() if name not in named}, **named})

    @property
    def rows_are_listed(self) -> bool:
        """The rows are in files."""
        return False

    @property
    def lets_rows_go(self) -> bool:
        """Whether rows may fail and the query go on."""
        return self.on_error != "raise"

    def tasks(self, pushdowns: Pushdowns, *, task_rows: int) -> Iterator[ReadTask]:
        """Cut each file as its format does, until there are rows enough."""
        columns = self._asked(pushdowns.columns)
        left = pushdowns.n_rows
        for path, constants in self._files():
            if not _may_pass(pushdowns.predicate, constants):
                continue
            for part in self._parts(path, task_rows, pushdowns):
                if left is not None and left <= 0:
                    return
                yield FileRowsTask(
                    path=path,
                    filesystem=self.listing.filesystem,
                    file_format=self.file_format,
                    part=part,
                    constants=constants,
                    columns=columns,
                    batch_rows=task_rows,
                    n_rows=left,
                    on_error=self.on_error,
                )
                if left is not None and not self.lets_rows_go and not isinstance(part, RowError):
                    left -= part.rows or 0

    def count(self, most: int | None = None) -> int | None:
        """Add up what the files tell, where they do and all rows are sure to be had."""
        if self.lets_rows_go:
            return None
        total = 0
        for path, _ in self._files():
            rows = self.file_format.count(path, self.listing.filesystem)
            if rows is None:
                return None
            total += rows
            if most is not None and total >= most:
                return most
        return total

    def extent(self) -> Extent:
        """Tell what the format can tell of files on this machine."""
        return self.file_format.extent(self._local_files()) if self._is_local() else Extent()

    def bounds(self, columns: Sequence[str]) -> Bounds | None:
        """Tell what the format can tell of files on this machine, where all rows are sure to be had."""
        if self.lets_rows_go or self.listing.partition_filter is not None or not self._is_local():
            return None
        stored = [name for name in columns if name not in self._named()]
        return self.file_format.bounds(self._local_files(), stored)

    def __str__(self) -> str:
        shown = None if self.listing.extensions == self.file_format.extensions else self.listing.extensions
        return f"{self.file_format.name}[{describe_paths(self.listing.paths, shown)}]"

    def _named(self) -> dict[str, pa.DataType]:
        """Give the columns that a file's place tells, and not its rows."""
        listed = dict(self.listing.schema)
        path = listed.pop(self.listing.path_column)
        return {**listed, **({self.listing.path_column: path} if self.include_paths else {})}

    def _asked(self, columns: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return tuple(self.schema) if columns is None and self.schema is not None else columns

    def _is_local(self) -> bool:
        return are_local(self.listing.paths, self.listing.filesystem)

    def _local_files(self) -> list[str]:
        return [path for path, _ in self._files()]

    def _files(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """List files, and the values that their places give to their rows."""
        path_column, named = self.listing.path_column, self._named()
        for task in self.listing.tasks(Pushdowns(), task_rows=1024):
            for batch in task.read():
                for row in batch.to_pylist():
                    yield row[path_column], {name: plain_array([row[name]], kind)[0] for name, kind in named.items()}

    def _parts(self, path: str, rows: int, pushdowns: Pushdowns) -> Iterator[Part | RowError]:
        try:
            yield from self.file_format.parts(path, self.listing.filesystem, rows=rows, predicate=pushdowns.predicate)
        except (RowError, PlanError) as error:
            if self.on_error == "raise":
                raise
            yield _as_row_error(error, path)


def _may_be_decoded(kind: pa.DataType) -> bool:
    return pa.types.is_large_binary(kind) or (isinstance(kind, ImageType) and not kind.spec.is_fixed)


def _may_pass(predicate: Expression | None, constants: Mapping[str, pa.Scalar]) -> bool:
    """Whether rows of a file can pass, as far as the file's place tells."""
    if predicate is None or not constants:
        return True
    judged = [one for one in conjuncts(predicate.expr) if constants.keys() >= set(one.meta.root_names())]
    if not judged:
        return True
    named = pa.table({name: pa.repeat(value, 1) for name, value in constants.items()})
    return pl.DataFrame(pl.from_arrow(named)).filter(judged).height > 0


def _learned(listing: FileListSource, file_format: Format, on_error: OnError) -> Format:
    if file_format.schema is not None:
        return file_format
    failure: RowError | PlanError | None = None
    for task in replace(listing, shuffle_seed=None).tasks(Pushdowns(columns=(listing.path_column,)), task_rows=1):
        (path,) = next(iter(task.read())).column(0).to_pylist()
        try:
            return file_format.learned(path, listing.filesystem)
        except (RowError, PlanError) as error:
            if on_error == "raise":
                raise
            failure = failure or error
    if failure is not None:
        raise failure
    return file_format


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRowsTask:
    """A share of the rows of one file."""

    path: str
    filesystem: FileSystem
    file_format: FileFormat
    part: Part | RowError
    """The share, or why the file has none."""

    constants: Mapping[str, pa.Scalar]
    """Values of columns that the file's place tells."""

    columns: tuple[str, ...] | None
    batch_rows: int
    n_rows: int | None
    on_error: OnError

    def read(self, failures: list[RowError] | None = None) -> Iterator[pa.RecordBatch]:
        """Produce the rows; one that fails raises, is null or is left out, as ``on_error`` says."""
        left = self.n_rows
        for item in self._items():
            if left is not None and left <= 0:
                return
            batch = self._let_go(item, failures) if isinstance(item, RowError) else item
            if batch is None:
                continue
            if left is not None:
                batch = batch.slice(0, left)
                left -= batch.num_rows
            yield self._with_constants(batch)

    def _items(self) -> Iterator[pa.RecordBatch | RowError]:
        """Produce rows and errors; an error that ends the part is the last of them."""
        if isinstance(self.part, RowError):
            yield self.part
            return
        stored = None if self.columns is None else tuple(name for name in self.columns if name not in self.constants)
        request = Request(
            columns=stored, batch_rows=self.batch_rows, n_rows=self.n_rows, every_column=self.on_error != "raise"
        )
        try:
            yield from self.file_format.read(self.path, self.filesystem, self.part, request)
        except RowError as error:
            yield error

    def _let_go(self, error: RowError, failures: list[RowError] | None) -> pa.RecordBatch | None:
        located = error.at(uri=self.path, stage=f"read {self.file_format.name}")
        if self.on_error == "raise":
            raise located from error.__cause__
        if failures is not None:
            failures.append(located)
        schema = self.file_format.schema
        if self.on_error == "skip" or schema is None:
            return None
        names = schema if self.columns is None else [name for name in self.columns if name not in self.constants]
        nulls = {_NO_COLUMN: pa.nulls(1), **{name: pa.nulls(1, schema[name]) for name in names}}
        if (path_column := self.file_format.path_column) in nulls:
            nulls[path_column] = plain_array([located.uri], schema[path_column])
        return pa.RecordBatch.from_pydict(nulls)

    def _with_constants(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.num_rows
        stored = dict(zip(batch.schema.names, batch.columns, strict=True))
        named = {name: pa.repeat(value, rows) for name, value in self.constants.items()}
        columns = {_NO_COLUMN: pa.nulls(rows), **stored, **named}
        names = [name for name in columns if name != _NO_COLUMN] if self.columns is None else list(self.columns)
        if any(_may_be_decoded(column.type) for column in stored.values()):
            # Bytes may be decoded later on, and errors then name the file.
            columns.setdefault(URI, repeated(self.path, rows))
            names = [*(name for name in names if name != URI), URI]
        for name in names:
            if name not in columns:
                raise ColumnNotFoundError.for_step(name, step=self.path, available=[*stored, *named])
        return pa.RecordBatch.from_pydict(columns).select(names)


def _as_row_error(error: RowError | PlanError, path: str) -> RowError:
    """Take a file that is unlike the first one for one that is damaged, where such files are let go."""
    return error if isinstance(error, RowError) else DecodeError(str(error), uri=path)
