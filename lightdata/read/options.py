"""What all readers of files take: which files, and what becomes of those that fail."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from inspect import signature
from typing import Any, Literal, TypedDict

from lightdata.config import check_max_errors, config
from lightdata.errors import ArgumentError
from lightdata.io.file_rows import FileRowsSource, Format
from lightdata.io.files import FileListSource, Partitioning, as_paths, check_paths
from lightdata.io.source import OnError

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class FileOptions(TypedDict, total=False):
    """Arguments by keyword of every reader of files."""

    include_paths: bool
    """Add a column ``path``."""

    partitioning: Partitioning | Literal["hive", "dir"] | None
    """Make columns of the names of folders: of ``label=cat/`` for "hive", or as a :class:`Partitioning` says."""

    partition_filter: Callable[[dict[str, str]], bool] | None
    """Keeps the files for whose folder values, as text, it is true."""

    ignore_missing_paths: bool
    """Go on where a path does not exist, or no file is found."""

    file_extensions: Sequence[str] | None
    """Endings of the files to take from folders and patterns; by default those of the format."""

    shuffle: Literal["files"] | int | None
    """Read files in random order; a number is the seed."""

    filesystem: Any
    """An fsspec or pyarrow filesystem; by default paths say it themselves."""

    max_errors: int | float | None
    """Rows that may fail before a run is given up: a count, or a share below 1; by default ``config().max_errors``."""

    on_error: OnError
    """What becomes of what cannot be read: "raise" ends the run; "null" gives a row of nulls for each row that is
    damaged, and one for the rest of a file that is lost; "skip" leaves them out. Images in tables are then decoded to
    know. The log tells how many failed, and ``Dataset.errors`` which. By default as ``config().on_error`` says."""


def checked(options: FileOptions, reader: Callable[..., Any]) -> dict[str, Any]:
    """Copy a reader's options, and refuse a keyword that it does not take.

    Raises
    ------
    ArgumentError
        If there is one, naming the nearest that exists; or if ``on_error`` has no meaning.
    """
    own = [one.name for one in signature(reader).parameters.values() if one.kind is one.KEYWORD_ONLY]
    known = [*own, *FileOptions.__annotations__]
    for name in options:
        if name not in FileOptions.__annotations__:
            raise ArgumentError.unknown(name, step=reader.__name__, known=known)
    return {**options, "on_error": checked_on_error(options.get("on_error"))}


def checked_on_error(on_error: OnError | None) -> OnError:
    """Say what becomes of rows that fail, as configured where a reader does not say, and refuse a word without meaning.

    Raises
    ------
    ArgumentError
        If it is not "raise", "null" or "skip".
    """
    if on_error is None:
        return config().on_error
    if on_error not in ("raise", "null", "skip"):
        raise ArgumentError(f"on_error must be 'raise', 'null' or 'skip'; got {on_error!r}")
    return on_error


def _checked_max_errors(most: float | None) -> float | None:
    try:
        check_max_errors(most)
    except ValueError as error:
        raise ArgumentError(str(error)) from None
    return most


def rows_of(
    paths: Paths, file_format: Format, options: FileOptions, reader: Callable[..., Any]
) -> FileRowsSource[Format]:
    """Describe the rows that files hold.

    Raises
    ------
    ArgumentError
        If an option has no meaning.
    LightdataError
        If a path is missing, or the first file cannot be read.
    """
    rest = checked(options, reader)
    include_paths, on_error = rest.pop("include_paths", False), rest.pop("on_error", "raise")
    return FileRowsSource.open(file_list(paths, **rest), file_format, include_paths=include_paths, on_error=on_error)


def file_list(
    paths: Paths,
    *,
    partitioning: Partitioning | Literal["hive", "dir"] | None = None,
    partition_filter: Callable[[dict[str, str]], bool] | None = None,
    file_extensions: Sequence[str] | None = None,
    shuffle: Literal["files"] | int | None = None,
    filesystem: Any = None,
    ignore_missing_paths: bool = False,
    max_errors: float | None = None,
) -> FileListSource:
    """List files, later, as options say.

    Raises
    ------
    ArgumentError
        If an option has no meaning.
    ReadError
        If a path on this machine does not exist.
    """
    check_paths(paths, filesystem, ignore_missing_paths=ignore_missing_paths)
    if partitioning == "dir":
        raise ArgumentError("partitioning='dir' needs names: use ld.Partitioning('dir', field_names=['label'])")
    return FileListSource(
        paths=as_paths(paths),
        extensions=None if file_extensions is None else endings_of(file_extensions),
        filesystem=filesystem,
        ignore_missing_paths=ignore_missing_paths,
        partitioning=Partitioning("hive") if partitioning == "hive" else partitioning,
        shuffle_seed=_seed(shuffle),
        partition_filter=partition_filter,
        max_errors=_checked_max_errors(max_errors),
    ).resolved()


def endings_of(extensions: str | Sequence[str]) -> tuple[str, ...]:
    """Give extensions one form.

    >>> endings_of([".JPG", "png"])
    ('jpg', 'png')
    """
    listed = [extensions] if isinstance(extensions, str) else extensions
    return tuple(one.lower().lstrip(".") for one in listed)


def _seed(shuffle: Literal["files"] | int | None) -> int | None:
    match shuffle:
        case None | int():
            return shuffle
        case "files":
            return secrets.randbits(32)  # drawn once, so that this dataset has one order however often it runs
    raise ArgumentError(f"shuffle must be 'files', a seed or None; got {shuffle!r}")
