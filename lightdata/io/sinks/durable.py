"""What survives a crash: bytes forced to disk, and locks that the system frees when their owner dies."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from lightdata.errors import OutputExistsError
from lightdata.interrupt import interrupts_heard

_WAITING = 4
"""Threads that wait for the disk: a journal takes the files of all of them in one go."""


def sync_to_disk(path: str | os.PathLike[str]) -> None:
    """Wait until a file's bytes, or a folder's names, are on disk.

    Raises
    ------
    OSError
        If the disk fails, or is full.
    """
    if sys.platform == "win32" and os.path.isdir(path):
        return  # folders cannot be opened there; their names are written through
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_whole(path: Path, content: bytes, *, is_forced: bool = False) -> None:
    """Write a small file that is there whole or not at all; ``is_forced`` waits until it is on disk.

    Raises
    ------
    OSError
        If the disk fails, or is full.
    """
    fresh = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    fresh.write_bytes(content)
    if is_forced:
        sync_to_disk(fresh)
    os.replace(fresh, path)
    if is_forced:
        sync_to_disk(path.parent)


def drain_drive(folder: str | os.PathLike[str]) -> None:
    """Wait until what was forced to a folder's disk has left the drive's own cache too.

    Only macOS leaves bytes there after fsync(2), and empties it for all files at once.
    """
    if sys.platform == "darwin":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # a file system that has no drive
                fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        finally:
            os.close(descriptor)


@contextmanager
def syncing() -> Iterator[Callable[[str], None]]:
    """Force files to disk while others are made: a call begins, and at the end all are there.

    Raises
    ------
    OSError
        The first of those that :func:`sync_to_disk` raised.
    """
    begun: list[Future[None]] = []
    try:
        yield lambda path: begun.append(_waiting(os.getpid()).submit(sync_to_disk, path))
        for one in begun:
            one.result()
    finally:
        for one in begun:
            one.cancel()
        wait(begun)  # whoever removes the files afterwards finds nobody at them


@cache
def _waiting(owner: int) -> ThreadPoolExecutor:  # noqa: ARG001 - one that was forked off has none of the threads
    """The threads of a process that wait for the disk; starting them for each task would take longer than that."""
    return ThreadPoolExecutor(_WAITING, thread_name_prefix="lightdata-sync")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, waiting for whoever holds it; it is gone afterwards.

    Raises
    ------
    FileNotFoundError
        If its folder is gone.
    OutputExistsError
        Where the system has no locks that end with their process, and the file is there.
    """
    descriptor = _own(path, wait=True)
    try:
        yield
    finally:
        with suppress(OSError):  # the lock itself ends with the descriptor
            path.unlink(missing_ok=True)
        if descriptor is not None:
            os.close(descriptor)


def claim(path: Path) -> int | None:
    """Make a file that is locked for as long as the returned descriptor is open."""
    return _own(path, wait=True)


def adopt(path: Path) -> int | None:
    """Claim a file that has lost its owner; ``None`` if it has one, or where that cannot be known."""
    if sys.platform == "win32" or not path.is_file():
        return None
    try:
        return _own(path, wait=False)
    except OSError:
        return None


def is_orphan(path: Path) -> bool:
    """Whether a file that :func:`claim` made has lost its owner; ``False`` where that cannot be known."""
    descriptor = adopt(path)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


if sys.platform == "win32":

    def _own(path: Path, *, wait: bool) -> int | None:  # noqa: ARG001 - as the other
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            raise OutputExistsError(
                f"another query writes to {str(path.parent)!r}; if none does, remove {path.name}"
            ) from None
        return None

else:
    import fcntl

    def _own(path: Path, *, wait: bool) -> int | None:
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                _lock(descriptor, wait=wait)
                if _is_there(descriptor, path):
                    return descriptor
            except BaseException:
                if wait:
                    _forget(descriptor, path)
                os.close(descriptor)
                raise
            os.close(descriptor)  # who held it before has removed the file

    def _lock(descriptor: int, *, wait: bool) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise
            with interrupts_heard():
                fcntl.flock(descriptor, fcntl.LOCK_EX)

    def _forget(descriptor: int, path: Path) -> None:
        """Remove a file that was waited for, unless it is another's: an interrupt may come just after it was had."""
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_there(descriptor, path):
                path.unlink()

    def _is_there(descriptor: int, path: Path) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(path))
        except FileNotFoundError:
            return False
