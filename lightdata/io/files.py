"""Files that a query reads: listing folders and patterns, and the source whose rows are paths."""

from __future__ import annotations

import fnmatch
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from pathlib import PurePath, PurePosixPath
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa

from lightdata.errors import ArgumentError, ReadError
from lightdata.io.listing_sample import ListingSample
from lightdata.io.location import Entry, FileSystem, Location, is_text, locate, read_file
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
_MAGIC = re.compile(r"[*?\[]")
_SHOWN_PATHS = 3

_SHOWN_ENDINGS = 3


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
        if location.remote is not None or ignore_missing_paths or _MAGIC.search(location.path):
            continue
        if location.kind() is None:
            raise _missing(location)


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
    for found in _find(as_paths(paths), extensions, filesystem, ignore_missing_paths=ignore_missing_paths):
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
        """List files as tasks of ``task_rows`` rows; what is not asked for is not listed."""
        schema = self.schema.to_arrow()
        rows = islice(self._rows(schema.names[1:]), pushdowns.n_rows)
        while chunk := list(islice(rows, task_rows)):
            columns = [
                plain_array(column, kind) for column, kind in zip(zip(*chunk, strict=True), schema.types, strict=True)
            ]
            batch = pa.RecordBatch.from_arrays(columns, schema=schema)
            yield BatchTask(batch if pushdowns.columns is None else batch.select(list(pushdowns.columns)))

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
        for path, values in files:
            if values.keys() != set(names):
                raise ArgumentError(f"{path}: folders name {sorted(values)}, those of the first file {sorted(names)}")
            yield path, *(self._partitions.typed(name, values[name]) for name in names)

    def _files(self, *, every: bool = False) -> Iterator[tuple[str, dict[str, str]]]:
        keep = None if every else self.partition_filter
        ignore = self.ignore_missing_paths
        files = _find(as_paths(self.paths), self.extensions, self.filesystem, ignore_missing_paths=ignore)
        for _, of_one_folder in groupby(files, key=_entered):
            values: dict[str, str] | None = None
            for found in of_one_folder:
                if values is None:
                    values = {} if self.partitioning is None else found.partition_values(self.partitioning)
                if keep is None or keep({**values}):
                    yield found.location.shown(found.file), values


class _Found(NamedTuple):
    """A file of a listing."""

    location: Location
    """What was asked for."""

    folder: str | None
    """The folder that was entered for it; ``None`` where the file itself was named."""

    file: str

    def partition_values(self, partitioning: Partitioning) -> dict[str, str]:
        """Read what its folders say: those below the folder entered, unless ``partitioning`` has a base."""
        if partitioning.base_dir is None and self.folder is not None:
            partitioning = replace(partitioning, base_dir=self._unchained(self.folder))
        return partitioning.partition_values(self._unchained(self.file))

    def _unchained(self, path: str) -> str:
        return self.location.shown(path).removesuffix(self.location.chain)


def _entered(found: _Found) -> tuple[str | None, ...]:
    """Tell what partition values depend on: they are the same for all files of a folder."""
    return found.location.path, found.folder, os.path.dirname(found.file)


def _find(
    names: Sequence[str],
    extensions: Sequence[str] | None,
    filesystem: FileSystem,
    *,
    ignore_missing_paths: bool,
) -> Iterator[_Found]:
    endings = None if extensions is None else tuple(f".{ending.lower().lstrip('.')}" for ending in extensions)
    nothing = True
    for name in names:
        for found in _find_at(locate(name, filesystem), ignore_missing_paths=ignore_missing_paths):
            if endings is None or found.folder is None or found.file.lower().endswith(endings):
                nothing = False
                yield found
    if nothing and not ignore_missing_paths:
        wanted = f" ending in {', '.join(endings)}" if endings else ""
        raise ReadError(f"no file{wanted} found", uri=", ".join(names))


def _find_at(location: Location, *, ignore_missing_paths: bool) -> Iterator[_Found]:
    kind = location.kind()
    if kind == "file":
        yield _Found(location, None, location.path)
    elif kind is None and _MAGIC.search(location.path):
        folder, pattern = _split_pattern(location)
        if replace(location, path=folder or os.curdir).kind() == "directory":
            yield from (_Found(location, folder, file) for file in _walk(location, folder, pattern))
    elif kind == "directory":
        yield from (_Found(location, location.path, file) for file in _walk(location, location.path, ("**",)))
    elif kind is not None:
        _log.warning("skipped %s: not a regular file", location.path)
    elif not ignore_missing_paths:
        raise _missing(location)


def _missing(location: Location) -> ReadError:
    if location.remote is not None:
        return ReadError("no such file or folder", uri=location.shown(location.path))
    there = os.path.dirname(os.path.abspath(location.path))
    while not os.path.isdir(there) and there != os.path.dirname(there):
        there = os.path.dirname(there)
    return ReadError(f"no such file or folder; the nearest folder that exists is {there}", uri=location.path)


def _split_pattern(location: Location) -> tuple[str, tuple[str, ...]]:
    """Cut a pattern where its first wildcard is: the folder to start in, and the names to match below it."""
    pure: PurePath = PurePath(location.path) if location.remote is None else PurePosixPath(location.path)
    first = next(i for i, part in enumerate(pure.parts) if _MAGIC.search(part))
    return str(type(pure)(*pure.parts[:first])) if first else "", pure.parts[first:]


def _walk(location: Location, folder: str, pattern: tuple[str, ...]) -> Iterator[str]:
    """Yield the files below a folder that match; holds one folder a level, however deep the tree."""
    seen: set[tuple[int, int]] = set()
    stack = [(_entries(location, folder, seen), _closed([0], pattern))]
    while stack:
        entries, states = stack[-1]
        entry = next(entries, None)
        if entry is None:
            stack.pop()
        elif after := _advanced(states, entry.name, pattern):
            if entry.kind == "directory":
                stack.append((_entries(location, entry.path, seen), after))
            elif len(pattern) in after and _is_regular(entry):
                yield entry.path


def _entries(location: Location, folder: str, seen: set[tuple[int, int]]) -> Iterator[Entry]:
    identity = location.identity(folder)
    if identity in seen:
        _log.warning("skipped %s: this folder was listed under another name", folder)
        return iter(())
    if identity is not None:
        seen.add(identity)
    return iter(location.entries(folder))


def _is_regular(entry: Entry) -> bool:
    if entry.kind == "file":
        return True
    _log.warning("skipped %s: not a regular file", entry.path)
    return False


# A pattern is an automaton: state i means that its first i parts are matched. A folder that leaves no state
# is not opened; all below a folder is the pattern "**".
def _advanced(states: frozenset[int], name: str, pattern: tuple[str, ...]) -> frozenset[int]:
    after = []
    for state in states:
        part = pattern[state] if state < len(pattern) else None
        if part == "**":
            after += [] if name.startswith((".", "_")) else [state]
        elif part is not None and _name_matches(name, part):
            after.append(state + 1)
    return _closed(after, pattern)


def _closed(states: Iterable[int], pattern: tuple[str, ...]) -> frozenset[int]:
    """Add the states that are reached by letting ``**`` stand for no folder."""
    closed = set(states)
    for state, part in enumerate(pattern):
        if part == "**" and state in closed:
            closed.add(state + 1)
    return frozenset(closed)


def _name_matches(name: str, part: str) -> bool:
    return fnmatch.fnmatch(name, part) and (not name.startswith(".") or part.startswith("."))
