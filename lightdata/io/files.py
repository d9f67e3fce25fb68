"""Files that a query reads: listing folders and patterns, and the source whose rows are paths."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import Any, Self

import numpy as np
import pyarrow as pa

from lightdata.errors import ArgumentError
from lightdata.io.listing import MAGIC, entered, find_files, missing_error
from lightdata.io.listing_sample import ListingSample
from lightdata.io.location import FileSystem, is_text, locate, read_file
from lightdata.io.memory import BatchTask
from lightdata.io.partitioning import Partitioning
from lightdata.io.source import Bounds, Extent, Pushdowns, ReadTask
from lightdata.types.plain_array import plain_array
from lightdata.types.schema import Schema

__all__ = [
    "FileListSource",
    "FileSystem",
    "Partitioning",
    "Paths",
    "are_local",
    "as_paths",
    "check_paths",
    "describe_paths",
    "list_files",
    "read_file",
]

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

_log = logging.getLogger(__name__)
_SHOWN_PATHS = 3

_SHOWN_ENDINGS = 3

_FIRST_TASKS = 16
"""Tasks of a listing that are as small as asked for, so that rows come soon and are shared out evenly."""

_SAMPLED_FILES = 8
_TASK_BYTES = 1 << 20
_LARGEST = 8
"""Of later tasks: how many files are asked for their size, the bytes that their files may have, and how many times
larger than asked for they may be."""


def as_paths(paths: Paths) -> tuple[str, ...]:
    """Give one path or many as a tuple of text.

    Raises
    ------
    ArgumentError
        If there is none, or one is not a path.
    """
    many = [paths] if isinstance(paths, str | bytes | os.PathLike) else list(paths)
    if not many:
        raise ArgumentError("paths is empty; give at least one file, folder or pattern")
    texts = tuple(os.fspath(path) if isinstance(path, str | os.PathLike) else path for path in many)
    for text in texts:
        if not isinstance(text, str) or not text or not is_text(text):
            raise ArgumentError(f"a path is text that is not empty; got {text!r}")
    return texts


def check_paths(paths: Paths, filesystem: FileSystem = None, *, ignore_missing_paths: bool = False) -> None:
    """Refuse, while the query is built, paths that cannot be read; asks no remote filesystem.

    Raises
    ------
    ArgumentError
        If there are no paths, or no filesystem for one.
    ReadError
        If a path on this machine that is not a pattern does not exist.
    """
    for path in as_paths(paths):
        location = locate(path, filesystem)
        if location.remote is not None or ignore_missing_paths or MAGIC.search(location.path):
            continue
        if location.kind() is None:
            raise missing_error(location)


def are_local(paths: Paths, filesystem: FileSystem = None) -> bool:
    """Whether all paths are on this machine, so that listing them asks nobody else.

    >>> are_local(["photos/", "memory://photos"])
    False
    """
    return all(locate(path, filesystem).remote is None for path in as_paths(paths))


def list_files(
    paths: Paths,
    *,
    extensions: Sequence[str] | None = None,
    filesystem: FileSystem = None,
    ignore_missing_paths: bool = False,
) -> Iterator[str]:
    """List files, folders (all below them) and patterns as files, the entries of each folder by name.

    A file that is named is always listed; ``extensions`` choose among what folders and patterns hold. Names
    in folders that start with ``.`` or ``_`` are left out. In a pattern ``*`` stays within one folder, ``**``
    does not.

    Raises
    ------
    ReadError
        If a path is missing or a folder cannot be listed; at the end, if there was no file at all.
    """
    for found in find_files(as_paths(paths), extensions, filesystem, ignore_missing_paths=ignore_missing_paths):
        yield found.location.shown(found.file)


def describe_paths(paths: Paths, extensions: Sequence[str] | None = None) -> str:
    """Write paths and extensions on one short line.

    >>> describe_paths("photos/", ("jpg", "png"))
    'photos/, *.jpg|*.png'
    """
    names = as_paths(paths)
    shown = names if len(names) <= _SHOWN_PATHS else (names[0], f"… {len(names)} paths")
    known = list(extensions or ())
    more = [f"{len(known) - 1} more"] if len(known) > _SHOWN_ENDINGS else []
    endings = "|".join([*(f"*.{ending}" for ending in (known[:1] if more else known)), *more])
    return ", ".join([*shown, *([endings] if endings else [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class FileListSource:
    """One row for each file: its path, and what its folders say."""

    paths: Paths
    """Files, folders or patterns."""

    extensions: tuple[str, ...] | None = None
    """Endings, lower case, of the files to take from folders and patterns."""

    filesystem: FileSystem = field(default=None, hash=False)
    """The filesystem of the paths, where they do not say it."""

    ignore_missing_paths: bool = False
    """Go on where a path does not exist, or nothing is found."""

    partitioning: Partitioning | None = None
    """How folders name values."""

    partition_filter: Callable[[dict[str, str]], bool] | None = None
    """Keeps the files for whose folder values, as text, it is true."""

    shuffle_seed: int | None = None
    """Seed of the order of files; ``None`` keeps the order of the listing."""

    path_column: str = "path"
    """Name of the column of paths."""

    max_errors: float | None = None
    """Rows that may fail before a run that reads these files is given up, by number or share."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", as_paths(self.paths))
        if self.partition_filter is not None and self.partitioning is None:
            raise ArgumentError("partition_filter needs a partitioning to read values with")

    def resolved(self) -> Self:
        """Copy this source with its columns known: where hive folders name them, the first file tells."""
        if self.partitioning is None or self.partitioning.field_names is not None:
            return self
        names = self._partition_columns()
        return replace(self, partitioning=replace(self.partitioning, field_names=names))

    @property
    def schema(self) -> Schema:
        """The path, then the partition columns."""
        types = {self.path_column: pa.large_string()}
        for name in self._partition_columns():
            if name in types:
                raise ArgumentError(f"two columns would be named {name!r}: see path_column and the partitioning")
            types[name] = self._partitions.column_type(name)
        return Schema(types)

    @property
    def rows_are_listed(self) -> bool:
        """The listing is the rows."""
        return True

    @property
    def lets_rows_go(self) -> bool:
        """None fails."""
        return False

    def tasks(self, pushdowns: Pushdowns, *, task_rows: int) -> Iterator[ReadTask]:
        """List files as tasks of ``task_rows`` rows, larger ones of many tiny files, and list no more than asked."""
        schema = self.schema.to_arrow()
        rows = islice(self._rows(schema.names[1:]), pushdowns.n_rows)
        number, larger = 0, 1
        while chunk := list(islice(rows, task_rows * larger)):
            number += 1
            if number == _FIRST_TASKS:
                larger = self._larger([path for path, *_ in chunk[:_SAMPLED_FILES]], task_rows)
            columns = [
                plain_array(column, kind) for column, kind in zip(zip(*chunk, strict=True), schema.types, strict=True)
            ]
            batch = pa.RecordBatch.from_arrays(columns, schema=schema)
            yield BatchTask(batch if pushdowns.columns is None else batch.select(list(pushdowns.columns)))

    def _larger(self, paths: Sequence[str], task_rows: int) -> int:
        """Say how many times larger tasks of such files may be: a task costs as much as reading some tiny files."""
        if not are_local(self.paths, self.filesystem):
            return 1
        sizes = [os.path.getsize(path) for path in paths if os.path.isfile(path)]
        mean = sum(sizes) / max(len(sizes), 1)
        return max(1, min(_LARGEST, int(_TASK_BYTES / max(mean * task_rows, 1))))

    def count(self, most: int | None = None) -> int:
        """List and count the files."""
        return sum(1 for _ in islice(self._files(), most))

    def extent(self) -> Extent:
        """List the files, and ask some for their size; those that a user's filter would drop are counted too."""
        if not are_local(self.paths, self.filesystem):
            return Extent()
        sample = ListingSample()
        for path, _ in self._files(every=True):
            sample.add(path, self.filesystem)
        return Extent(
            rows=sample.rows,
            is_exact=self.partition_filter is None,
            widths={self.path_column: sample.mean(len(path) for path, _ in sample.files)},
            file_bytes=sample.mean(size for _, size in sample.files),
        )

    def bounds(self, columns: Sequence[str]) -> Bounds | None:
        """Tell the rows; a user's filter is not called to plan."""
        is_told = self.partition_filter is None and are_local(self.paths, self.filesystem)
        return Bounds(rows=self.count()) if is_told else None

    def __str__(self) -> str:
        return f"files[{describe_paths(self.paths, self.extensions)}]"

    @property
    def _partitions(self) -> Partitioning:
        return self.partitioning or Partitioning()

    def _partition_columns(self) -> tuple[str, ...]:
        if self.partitioning is None:
            return ()
        if self.partitioning.field_names is not None:
            return tuple(name for name in self.partitioning.field_names if name is not None)
        first = next(self._files(every=True), None)
        return tuple(first[1]) if first else ()

    def _rows(self, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        files: Iterable[tuple[str, dict[str, str]]] = self._files()
        if self.shuffle_seed is not None:
            listed = list(files)
            files = (listed[i] for i in np.random.default_rng(self.shuffle_seed).permutation(len(listed)))
        if not names and self.partitioning is None:
            yield from ((path,) for path, _ in files)
            return
        for path, values in files:
            if values.keys() != set(names):
                raise ArgumentError(f"{path}: folders name {sorted(values)}, those of the first file {sorted(names)}")
            yield path, *(self._partitions.typed(name, values[name]) for name in names)

    def _files(self, *, every: bool = False) -> Iterator[tuple[str, dict[str, str]]]:
        keep = None if every else self.partition_filter
        ignore = self.ignore_missing_paths
        files = find_files(as_paths(self.paths), self.extensions, self.filesystem, ignore_missing_paths=ignore)
        if self.partitioning is None:
            yield from ((found.location.shown(found.file), {}) for found in files if keep is None or keep({}))
            return
        for _, of_one_folder in groupby(files, key=entered):
            values: dict[str, str] | None = None
            for found in of_one_folder:
                if values is None:
                    values = found.partition_values(self.partitioning)
                if keep is None or keep({**values}):
                    yield found.location.shown(found.file), values
