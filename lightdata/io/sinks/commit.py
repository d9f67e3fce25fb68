"""Name finished files and put them into place: nobody sees half of one, and a run that fails leaves nothing.

Beside them, :data:`ERRORS` lists the rows that failed, and an empty ``_SUCCESS`` says that all is there; neither is
read as data. A target that holds one file alone has neither.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from lightdata.errors import ArgumentError, ExecutionError, LightdataError, OutputExistsError, RowError
from lightdata.io.error_frame import error_frame
from lightdata.io.sinks.durable import sync_to_disk
from lightdata.io.sinks.journal import Journal
from lightdata.io.sinks.moves import SUCCESS, Moves, Placed, folders_of, move
from lightdata.io.sinks.result import WriteResult
from lightdata.io.sinks.sink import Sink, StagedFile
from lightdata.io.sinks.target import LocalTarget, Target
from lightdata.types.file_name import alike

WriteMode = Literal["error", "overwrite", "append", "ignore"]
"""What to do where the target holds output already."""

ERRORS = "_errors.parquet"
"""The list of rows that failed, as :attr:`WriteResult.errors` has them; only where there are such."""

_MODES = ("error", "overwrite", "append", "ignore")
_LOG = logging.getLogger("lightdata")


class Staged(NamedTuple):
    """What a run has left to be committed."""

    folder: Path
    """Where the files are."""

    files: Sequence[StagedFile]
    """In row order."""

    failures: Sequence[RowError] = ()
    is_one_file: bool = False
    """Whether the target is that file, and not its folder."""


def write_mode(mode: object) -> WriteMode:
    """Read a mode, Ray's ``SaveMode`` included.

    >>> write_mode("append")
    'append'

    Raises
    ------
    ArgumentError
        If it has no meaning.
    """
    for known in _MODES:
        if getattr(mode, "value", mode) == known:
            return known  # type: ignore[return-value]
    raise ArgumentError(f"mode must be 'error', 'overwrite', 'append' or 'ignore'; got {mode!r}")


def check_target(target: Target, sink: Sink, mode: WriteMode) -> bool:
    """Refuse a target that cannot be written to, before any row is read; ``False`` if there is nothing to do.

    Raises
    ------
    OutputExistsError
        If it is a file, or holds output of this kind and may not be replaced.
    """
    with write_errors(target.shown):
        if target.kind("") not in (None, "directory"):
            raise OutputExistsError(f"{target.shown!r} is a file; writing goes to a folder")
        if mode == "ignore":
            return not _visible(target)
        if mode == "error" and (found := _outputs(target, sink)):
            raise _exists(target, found[0])
    return True


def check_file(target: Target, name: str, mode: WriteMode) -> bool:
    """Refuse one file that may not be replaced, before any row is read; ``False`` if there is nothing to do.

    Raises
    ------
    ArgumentError
        If it would be added to.
    OutputExistsError
        If it is there and may not be replaced.
    """
    if mode == "append":
        raise ArgumentError(f"mode='append' adds files, and {name!r} is one file; leave single_file out")
    with write_errors(target.shown):
        if target.kind("") not in (None, "directory"):
            raise OutputExistsError(f"{target.shown!r} is a file; writing goes to a folder")
        if mode == "error" and target.kind(name) is not None:
            raise _exists(target, name)
        return mode != "ignore" or target.kind(name) is None


def is_complete(target: Target, file: str | None) -> bool:
    """Whether a job has put all of its files there, or the one ``file`` that it makes."""
    with write_errors(target.shown):
        return target.kind(SUCCESS if file is None else file) is not None


def commit(target: Target, sink: Sink, staged: Staged, *, mode: WriteMode) -> WriteResult:
    """Give staged files their names, in row order.

    Raises
    ------
    ExecutionError
        If two rows have one name, or files cannot be put into place; what was moved is moved back then.
    OutputExistsError
        If a file would be replaced that must not be, or is in the way of a folder; nothing is moved then.
    """
    written = [file for file in staged.files if file.path]
    if nulls := sum(not file.path and file.error is None for file in staged.files):
        _LOG.warning("%d null images were not written to %s", nulls, target.shown)
    with write_errors(target.shown):
        sink.check_files(written)
        with target.alone():
            before = _outputs(target, sink)
            if mode == "ignore" and _visible(target):
                return WriteResult(target.shown, (), 0, 0)  # another job was faster
            if mode == "error" and before:
                raise _exists(target, before[0])
            moves = _moves(target, sink, staged, before, mode)
            _check_twins(target, moves.placed)
            _check_folders(target, moves.placed)
            _check_free(target, moves.placed, mode)
            move(target, moves, staged.folder)
    return moves.result(target.shown)


def _moves(target: Target, sink: Sink, staged: Staged, before: Sequence[str], mode: WriteMode) -> Moves:
    """Decide what moves where."""
    job = Journal(staged.folder).job()
    placed = _named(sink, staged.files, before if mode == "append" else [])
    stale = set(before) - {file.name for file in placed} if mode == "overwrite" else set()
    beside = [] if staged.is_one_file else _errors_beside(target, staged, is_anew=mode == "overwrite")
    if mode == "overwrite" and not staged.is_one_file and not beside and target.kind(ERRORS) is not None:
        stale.add(ERRORS)
    is_marked = not staged.is_one_file and bool(placed or stale or beside)
    sizes = sum(os.stat(file.path).st_size for file in placed)
    return Moves(job.fingerprint if job else "", placed, sorted(stale), beside, is_marked, sizes, staged.failures)


def _errors_beside(target: Target, staged: Staged, *, is_anew: bool) -> list[Placed]:
    """Stage the list of the rows that failed, after those that are listed there unless all is written anew."""
    if not staged.failures:
        return []
    import polars as pl  # noqa: PLC0415 - only where rows failed

    frame = error_frame(staged.failures)
    if not is_anew and target.kind(ERRORS) == "file":
        frame = pl.concat([pl.read_parquet(target.read(ERRORS)), frame], how="diagonal_relaxed")
    path = staged.folder / ERRORS
    frame.write_parquet(path)
    sync_to_disk(path)
    return [Placed(str(path), ERRORS, 0)]


@contextmanager
def write_errors(shown: str) -> Iterator[None]:
    """Name the target where it cannot be written to.

    Raises
    ------
    ExecutionError
        For whatever its filesystem raises.
    """
    try:
        yield
    except LightdataError:
        raise
    except Exception as error:  # every filesystem has exceptions of its own
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else str(error) or type(error).__name__
        raise ExecutionError(f"cannot write to {shown!r}: {reason}; what was there is unchanged") from error


def _visible(target: Target) -> list[str]:
    return [name for name, _ in target.names("") if not name.startswith(".")]


def _outputs(target: Target, sink: Sink, folder: str = "") -> list[str]:
    """Name the numbered files of a sink in a folder and in the partitions below it."""
    if not sink.is_numbered:
        return []
    found = []
    for name, kind in target.names(folder):
        path = f"{folder}/{name}" if folder else name
        if kind == "directory" and "=" in name:
            found += _outputs(target, sink, path)
        elif kind != "directory" and _number(sink, name) is not None:
            found.append(path)
    return found


def _number(sink: Sink, name: str) -> int | None:
    """Read the number that a sink gave a file; ``None`` for a name of others."""
    digits = re.findall(r"\d+", name.rpartition(".")[0])
    return int(digits[-1]) if digits and sink.final_name(int(digits[-1])) == name else None


def _named(sink: Sink, files: Sequence[StagedFile], before: Sequence[str]) -> list[Placed]:
    """Name files by their rows, or number them, on from those that are there."""
    numbers: Counter[str] = Counter()
    for name in before:
        folder, _, last = name.rpartition("/")
        numbers[alike(folder)] = max(numbers[alike(folder)], 1 + (_number(sink, last) or 0))
    placed, seen = [], set()
    for row, file in enumerate(files):
        if file.name is None:
            number = numbers[alike(file.folder)]
            numbers[alike(file.folder)] += 1
            name = "/".join(part for part in (file.folder, sink.final_name(number)) if part)
        else:
            name = file.name.format(row=row)
        if not file.path:
            continue
        if alike(name) in seen:
            raise ExecutionError(f"two rows would be written to {name!r}; use a name that differs in every row")
        seen.add(alike(name))
        placed.append(Placed(file.path, name, file.rows))
    return placed


def _check_twins(target: Target, placed: Sequence[Placed]) -> None:
    """Refuse partitions that a file system would take for one: their rows would mix."""
    folders = {str(PurePosixPath(file.name).parent) for file in placed}
    spellings: dict[str, str] = {}
    for folder in sorted(folders):
        other = spellings.setdefault(alike(folder), folder)
        if other != folder and isinstance(target, LocalTarget) and _ignores_case(target.folder):
            raise ExecutionError(f"{other!r} and {folder!r} are one folder here; give the values one spelling first")


def _ignores_case(folder: Path) -> bool:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".lightdata-a") as file:
        return Path(file.name).with_name(Path(file.name).name.swapcase()).exists()


def _check_folders(target: Target, placed: Sequence[Placed]) -> None:
    """Refuse a file in the way of a folder, and a link, which may lead elsewhere."""
    for folder in folders_of(placed):
        if target.kind(folder) not in (None, "directory"):
            place = f"{target.shown}/{folder}"
            raise OutputExistsError(f"{place!r} is a file or a link, and a folder of that name is needed")


def _check_free(target: Target, placed: Sequence[Placed], mode: WriteMode) -> None:
    for file in placed:
        kind = target.kind(file.name)
        if kind == "directory" or (kind is not None and mode != "overwrite"):
            raise _exists(target, file.name)


def _exists(target: Target, name: str) -> OutputExistsError:
    return OutputExistsError(
        f"{target.shown!r} already has {name!r}; choose another folder, replace files with mode='overwrite', "
        "add to them with mode='append', or keep them with mode='ignore'"
    )
