"""The folder in which the files of one job wait for their commit, and what jobs that died have left there.

How such folders come and go. Code that disagrees with this is wrong.
  Where     Hidden, inside a target of this machine, so that files move within one file system; those of other targets
            are in a folder of this user's among the temporary ones.
  Owner     A job holds a lock that ends with its process. One without is an orphan, of a job that was killed.
  Next      Whoever writes to the target next sees to its orphans: a commit that was begun is finished, parts of a job
            that is to be resumed are taken over, all else is removed.
  End       The folder is gone when its job ends, come what may; but one that may be resumed keeps what it has if it
            fails.
  Signals   Who stages holds them back (see ``interrupt.py``), from before the folder is made until it is gone, but for
            the making of rows and the waits for others.
"""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from lightdata.errors import ArgumentError, noted
from lightdata.io.sinks.durable import adopt, claim, locked
from lightdata.io.sinks.journal import Job, Journal
from lightdata.io.sinks.moves import discard, finish_moves, has_moves
from lightdata.io.sinks.result import WriteResult
from lightdata.io.sinks.target import HIDDEN, Target

_OWNER = "owner"
_ATTEMPTS = 100
"""How often a folder is made anew that another job, ending empty-handed, took away."""


class _Claimed(NamedTuple):
    """A folder that is this process's, and the descriptor that keeps it so."""

    folder: Path
    owner: int | None


@contextmanager
def staging(target: Target, job: Job, *, resume: bool) -> Iterator[Journal]:
    """Have a folder for files that wait; with ``resume`` that of the same job, if it was killed.

    Raises
    ------
    ArgumentError
        If only another job could be resumed.
    """
    root = target.staging_root()
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    claimed, keeps = None, False
    try:
        claimed = _begin(target, job, resume=resume)
        yield Journal(claimed.folder)
    except BaseException as error:
        if claimed is not None and (keeps := resume and Journal(claimed.folder).has_done()):
            noted(error, f"what is written so far waits in {claimed.folder}; resume=True goes on with it")
        raise
    finally:
        if claimed is not None and not keeps:
            discard(claimed.folder)
        if claimed is not None:
            _let_go(claimed)
        for folder in made:
            with suppress(OSError):  # others have put something there
                folder.rmdir()
        target.leave_root()


def finish_commits(target: Target) -> dict[str, WriteResult]:
    """Finish what jobs had begun to move when they were killed; what each has written, by its fingerprint."""
    root = target.staging_root()
    if not any(root.glob(f"{HIDDEN}*")):
        return {}
    finished = {}
    with _turn(root):
        for claimed in _orphans(root):
            if (moves := finish_moves(target, claimed.folder)) is not None:
                finished[moves.fingerprint] = moves.result(target.shown)
            if moves is not None or not Journal(claimed.folder).has_done():
                discard(claimed.folder)
            _let_go(claimed)
    target.leave_root()
    return finished


def _begin(target: Target, job: Job, *, resume: bool) -> _Claimed:
    root = target.staging_root()
    for attempt in range(_ATTEMPTS):
        try:
            target.make_root()
            with _turn(root):
                return _taken_over(root, job) if resume else _anew(root, job)
        except FileNotFoundError:
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError  # pragma: no cover - the last attempt raises


def _anew(root: Path, job: Job) -> _Claimed:
    _remove(_orphans(root))
    return _made(root, job)


def _remove(orphans: Iterable[_Claimed]) -> None:
    for claimed in orphans:
        if not has_moves(claimed.folder):  # else they are to be finished, not forgotten
            discard(claimed.folder)
        _let_go(claimed)


def _taken_over(root: Path, job: Job) -> _Claimed:
    """Take the parts of the same job, and remove those of others; where there are only others, nobody has asked to."""
    orphans = list(_orphans(root))
    mine = next((one for one in orphans if _is_of(one, job)), None)
    others = [one for one in orphans if one is not mine]
    strange = next((one for one in others if Journal(one.folder).has_done()), None)
    if mine is None and strange is not None:
        for one in others:
            _let_go(one)
        raise _another(Journal(strange.folder), job)
    _remove(others)
    return mine or _made(root, job)


def _is_of(claimed: _Claimed, job: Job) -> bool:
    found = Journal(claimed.folder).job()
    return found is not None and found.fingerprint == job.fingerprint and not has_moves(claimed.folder)


def _made(root: Path, job: Job) -> _Claimed:
    """Make a folder that says whose it is; done while no other job looks."""
    folder = root / f"{HIDDEN}{uuid.uuid4().hex}"
    folder.mkdir()
    try:
        owner = claim(folder / _OWNER)
        Journal(folder).begin(job)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _Claimed(folder, owner)


def _orphans(root: Path) -> Iterator[_Claimed]:
    """Claim the folders of jobs that died; who has no owner died before it could say so, for this is our turn."""
    if sys.platform == "win32":
        return  # locks of the dead cannot be told from those of the living
    for folder in sorted(root.glob(f"{HIDDEN}*")):
        if not folder.is_dir() or folder.is_symlink() or folder.stat().st_uid != os.getuid():
            continue
        owner = adopt(folder / _OWNER)
        if owner is not None or not (folder / _OWNER).exists():
            yield _Claimed(folder, owner)


def _let_go(claimed: _Claimed) -> None:
    if claimed.owner is not None:
        os.close(claimed.owner)


def _another(journal: Journal, job: Job) -> ArgumentError:
    found = journal.job()
    return ArgumentError(
        f"resume=True: {journal.folder.parent} has parts of an interrupted job that is not this one. It was\n"
        f"{found.query if found else 'not named'}\nand this is\n{job.query}\n"
        "The query, or code that it calls, has changed; resume=False throws those parts away"
    )


@contextmanager
def _turn(root: Path) -> Iterator[None]:
    """Wait for other jobs that look at the folders here, and keep them out."""
    with locked(root / f"{HIDDEN}lock"):
        yield
