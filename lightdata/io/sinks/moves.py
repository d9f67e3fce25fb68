"""Put finished files into place together: what is decided is noted first, so that it happens whole or not at all.

How files are moved. Code that disagrees with this is wrong.
  Alone     While they move, no other job moves files to that target.
  Noted     All moves are on disk, as ``moves.json`` in the staging folder, before the first one, so that whoever finds
            them after a kill can do the rest; after the last one the note is ``finished.json``.
  Marked    ``_SUCCESS``, an empty file, is removed before the first move and put back after the last.
  Undone    Where one fails, those before it are undone, and the note is removed before that.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from lightdata.errors import RowError
from lightdata.io.sinks.durable import drain_drive, replace_whole
from lightdata.io.sinks.journal import error_from_json, errors_to_json, read_note
from lightdata.io.sinks.result import WriteResult
from lightdata.io.sinks.target import Target

SUCCESS = "_SUCCESS"
"""The empty file that says that an output is complete."""

_NOTE = "moves.json"
_FINISHED = "finished.json"


class Placed(NamedTuple):
    """A staged file and its name."""

    path: str
    name: str
    rows: int


class Moves(NamedTuple):
    """What a commit does to a target."""

    fingerprint: str
    """Of the job."""

    placed: Sequence[Placed]
    stale: Sequence[str]
    """Names of files that go."""

    beside: Sequence[Placed]
    """Files that tell of the output and are no part of it."""

    is_marked: bool
    """Whether the output is marked as complete."""

    size_bytes: int
    failures: Sequence[RowError]

    def result(self, shown: str) -> WriteResult:
        """Say what is written when all is done."""
        names = tuple(file.name for file in self.placed)
        return WriteResult(shown, names, sum(file.rows for file in self.placed), self.size_bytes, tuple(self.failures))


def move(target: Target, moves: Moves, staging: Path) -> None:
    """Put files into place and remove stale ones, or undo it all."""
    fresh = [*moves.placed, *moves.beside]
    made = [folder for folder in folders_of(fresh) if target.kind(folder) is None]
    drain_drive(staging)
    _note(moves, staging)
    aside: dict[str, str] = {}
    put: list[Placed] = []
    try:
        for number, name in enumerate(_replaced(target, moves)):
            path = str(staging / f"aside-{number}")
            target.set_aside(name, path)
            aside[name] = path
        if SUCCESS in aside:
            target.remove(SUCCESS)
        for file in fresh:
            put.append(file)
            target.put(file.path, file.name)
        _end(target, moves, staging, made)
        os.replace(staging / _NOTE, staging / _FINISHED)
    except BaseException:
        (staging / _NOTE).unlink(missing_ok=True)  # whoever finds this after a kill is to leave it
        _undo(target, put, aside, made)
        raise
    target.forget(list(aside.values()))
    _remove_empty(target, moves)


def finish_moves(target: Target, staging: Path) -> Moves | None:
    """Do what is left of the moves of a job that was killed; ``None`` where none were decided.

    Of a job that was killed after them nothing is left.
    """
    if (moves := _noted(staging / _FINISHED)) is not None or (moves := _noted(staging / _NOTE)) is None:
        return moves
    target.remove(SUCCESS)
    for file in [*moves.placed, *moves.beside]:
        if os.path.exists(file.path):  # else it was moved
            target.put(file.path, file.name)
    _end(target, moves, staging, folders_of([*moves.placed, *moves.beside]))
    os.replace(staging / _NOTE, staging / _FINISHED)
    target.forget([str(path) for path in staging.glob("aside-*")])
    _remove_empty(target, moves)
    return moves


def has_moves(staging: Path) -> bool:
    """Whether moves were decided that may not be done yet."""
    return (staging / _NOTE).exists()


def discard(staging: Path) -> None:
    """Remove a folder; what tells that its job has finished goes last."""
    for path in staging.glob("*"):  # which may be gone
        if path.name != _FINISHED:
            with suppress(OSError):  # removed with the rest, if it can be
                path.unlink()
    shutil.rmtree(staging, ignore_errors=True)


def _noted(note: Path) -> Moves | None:
    told, staging = read_note(note), note.parent
    if not isinstance(told, dict):
        return None
    return Moves(
        fingerprint=told["fingerprint"],
        placed=[_placed(staging, *row) for row in told["placed"]],
        stale=told["stale"],
        beside=[_placed(staging, *row) for row in told["beside"]],
        is_marked=told["is_marked"],
        size_bytes=told["size_bytes"],
        failures=[error_from_json(error) for error in told["failures"]],
    )


def _placed(staging: Path, path: str, name: str, rows: int) -> Placed:
    return Placed(str(staging / os.path.basename(path)), name, rows)


def folders_of(placed: Sequence[Placed]) -> list[str]:
    """Name the folders of files, outer ones first."""
    inner = {PurePosixPath(file.name.rpartition("/")[0]) for file in placed}
    return sorted({str(folder) for path in inner for folder in (path, *path.parents) if folder.name})


def _note(moves: Moves, staging: Path) -> None:
    told: dict[str, Any] = {**moves._asdict(), "failures": errors_to_json(moves.failures)}
    for name in ("placed", "beside"):
        told[name] = [(os.path.basename(path), *rest) for path, *rest in told[name]]
    replace_whole(staging / _NOTE, json.dumps(told).encode(), is_forced=True)


def _replaced(target: Target, moves: Moves) -> list[str]:
    names = [SUCCESS, *(file.name for file in [*moves.placed, *moves.beside])]
    return [*(name for name in names if target.kind(name) is not None), *moves.stale]


def _end(target: Target, moves: Moves, staging: Path, made: Sequence[str]) -> None:
    """Make the new names last, remove the old files, and say that the output is complete."""
    fresh = [*moves.placed, *moves.beside]
    target.settle(sorted({str(PurePosixPath(file.name).parent) for file in fresh} | set(made)), around=True)
    for name in moves.stale:
        target.remove(name)
    if moves.is_marked:
        mark = staging / SUCCESS
        mark.touch()
        target.put(str(mark), SUCCESS)
        target.settle([], around=False)


def _remove_empty(target: Target, moves: Moves) -> None:
    for folder in sorted({name.rpartition("/")[0] for name in moves.stale} - {""}, reverse=True):
        target.remove_empty(folder)


def _undo(target: Target, put: Sequence[Placed], aside: Mapping[str, str], made: Sequence[str]) -> None:
    for file in put:
        target.take_back(file.name, file.path)
    if SUCCESS not in aside:
        target.remove(SUCCESS)
    for name, path in aside.items():
        target.restore(name, path)
    for folder in reversed(made):
        target.remove_empty(folder)
    target.forget(list(aside.values()))
