"""Move finished files into place: nobody sees half of one, and a run that fails leaves nothing."""

from __future__ import annotations

import logging
import os
import shutil
import unicodedata
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from lightdata.errors import ArgumentError, ExecutionError, OutputExistsError
from lightdata.io.sink import Sink, StagedFile

WriteMode = Literal["error", "overwrite"]
"""What to do where a file of the output's name exists."""

_LOG = logging.getLogger("lightdata")


class WriteResult(NamedTuple):
    """What was written."""

    path: str
    files: tuple[str, ...]
    """Names relative to ``path``."""

    rows: int
    size_bytes: int


def check_target(path: str | os.PathLike[str], sink: Sink, mode: str) -> Path:
    """Refuse a target that cannot be written to, before any row is read.

    Raises
    ------
    ArgumentError
        If it is a URL or the mode has no meaning.
    OutputExistsError
        If it is a file, or holds output of this kind and may not be replaced.
    """
    text = os.fspath(path)
    if mode not in ("error", "overwrite"):
        raise ArgumentError(f"mode must be 'error' or 'overwrite'; got {mode!r}")
    if "://" in text:
        raise ArgumentError(f"writing goes to a local folder, not to {text!r}")
    target = Path(text)
    if target.exists() and not target.is_dir():
        raise OutputExistsError(f"{text!r} is a file; writing goes to a folder")
    if mode == "error" and sink.is_numbered and (target / sink.final_name(0)).exists():
        raise _exists(target, sink.final_name(0))
    return target


@contextmanager
def staging_in(target: Path) -> Iterator[Path]:
    """Have a hidden folder inside the target, on its file system; it is gone afterwards, come what may."""
    made = [folder for folder in (target, *target.parents) if not folder.exists()]
    staging = target / f".lightdata-{uuid.uuid4().hex}"
    staging.mkdir(parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def commit(target: Path, sink: Sink, files: Iterable[StagedFile], *, mode: str) -> WriteResult:
    """Give staged files their names, in row order.

    Raises
    ------
    ExecutionError
        If two rows have one name; nothing is moved then.
    OutputExistsError
        If a file would be replaced that must not be, or is in the way of a folder; nothing is moved then.
    """
    files = list(files)
    sink.check_files(files)
    placed: dict[str, StagedFile] = {}
    nulls = 0
    for row, file in enumerate(files):
        if not file.path:
            nulls += 1
            continue
        name = sink.final_name(row) if file.name is None else file.name.format(row=row)
        if _alike(name) in placed:
            raise ExecutionError(f"two rows would be written to {name!r}; use a name that differs in every row")
        placed[_alike(name)] = file._replace(name=name)
    _check_folders(target, placed)
    _check_free(target, placed.values(), mode)
    for file in placed.values():
        final = target / str(file.name)
        final.parent.mkdir(parents=True, exist_ok=True)
        Path(file.path).replace(final)
    if mode == "overwrite":
        _remove_stale(target, sink, files)
    if nulls:
        _LOG.warning("%d null images were not written to %s", nulls, target)
    total = [(file.rows, file.size_bytes) for file in placed.values()]
    names = tuple(str(file.name) for file in placed.values())
    return WriteResult(str(target), names, sum(rows for rows, _ in total), sum(size for _, size in total))


def _remove_stale(target: Path, sink: Sink, files: Sequence[StagedFile]) -> None:
    """Remove numbered files of an earlier, longer output: who reads the folder would read them too."""
    if not sink.is_numbered:
        return
    for row, file in enumerate(files):
        if not file.path:
            (target / sink.final_name(row)).unlink(missing_ok=True)
    number = len(files)
    while (stale := target / sink.final_name(number)).is_file():
        stale.unlink()
        number += 1


def _alike(name: str) -> str:
    """Give names one form that some file systems take for the same: by case, or by how accents are composed."""
    return unicodedata.normalize("NFC", name).casefold()


def _check_folders(target: Path, placed: Mapping[str, StagedFile]) -> None:
    """Refuse a file in the way of a folder, and a link, which may lead elsewhere."""
    folders = {folder for file in placed.values() for folder in PurePosixPath(str(file.name)).parents if folder.name}
    for folder in sorted(folders):
        place = target / folder
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise OutputExistsError(f"{str(place)!r} is a file or a link, and a folder of that name is needed")


def _check_free(target: Path, files: Iterable[StagedFile], mode: str) -> None:
    for file in files:
        final = target / str(file.name)
        if final.is_dir() or (mode == "error" and os.path.lexists(final)):
            raise _exists(target, str(file.name))


def _exists(target: Path, name: str) -> OutputExistsError:
    return OutputExistsError(
        f"{str(target)!r} already has {name!r}; choose another folder, or replace files with mode='overwrite'"
    )
