"""Write single files into a folder, here or in a filesystem of fsspec: whole, and never outside of it."""

from __future__ import annotations

import errno
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lightdata.errors import OutputExistsError, ReadError, WriteError
from lightdata.io.location import Location
from lightdata.io.uris.read import located
from lightdata.io.uris.redaction import safe_text, safe_url
from lightdata.io.uris.retries import PassingError, may_pass, retried

Content = bytes | memoryview

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}
"""How file systems say that they have no second names for a file."""

_BUCKETS = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss"}
"""Schemes of stores that have no folders; others may want them made."""

_HAS_FOLDERS = os.open in os.supports_dir_fd
"""Whether a file can be named by an open folder, which nobody can replace meanwhile."""

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | getattr(os, "O_BINARY", 0)


def write_file(
    folder: str, name: str, content: Content, *, overwrite: bool, retries: int, is_again: bool = False
) -> str:
    """Write one file, and give its path or URL; ``name`` has been checked to stay inside the folder.

    With ``is_again``, a process may have died after it wrote this file: one that is there and has this content will do.

    Raises
    ------
    OutputExistsError
        If there is a file of that name that must not be replaced, or a file or link where a folder should be.
    WriteError
        If it cannot be written.
    ArgumentError
        If a package is missing.
    """
    target = f"{folder.rstrip('/')}/{name}" if "://" in folder else os.path.join(os.path.expanduser(folder), name)

    def attempt(tried: int) -> None:
        place = located(folder)
        if place.remote is None:
            try:
                _write_local(place.path, name, content, overwrite=overwrite)
            except FileExistsError:
                if not is_again or not _holds(place.path, name, content):
                    raise
        else:
            _write_remote(place, name, bytes(content), overwrite=overwrite, is_again=is_again or tried > 0)

    try:
        retried(attempt, retries=retries, pause=time.sleep)
    except OutputExistsError:
        raise
    except FileExistsError as error:
        words = f"{safe_url(target)!r} exists; choose another folder, or replace files with overwrite=True"
        raise OutputExistsError(words) from error
    except (PassingError, OSError) as error:
        words = (
            error.message
            if isinstance(error, ReadError | WriteError)
            else str(getattr(error, "strerror", None) or error)
        )
        raise WriteError(safe_text(words), uri=safe_url(target)) from error
    return target


def _holds(folder: str, name: str, content: Content) -> bool:
    *parents, last = name.split("/")
    with _opened(folder, parents) as (prefix, at):
        descriptor = os.open(os.path.join(prefix, last), os.O_RDONLY | _NO_LINK, dir_fd=at)
        with open(descriptor, "rb") as file:
            return file.read() == content


def _write_local(folder: str, name: str, content: Content, *, overwrite: bool) -> None:
    *parents, last = name.split("/")
    with _opened(folder, parents) as (prefix, at):
        final = os.path.join(prefix, last)
        temporary = os.path.join(prefix, f".lightdata-{uuid.uuid4().hex}")
        descriptor = os.open(temporary, _NEW, 0o666, dir_fd=at)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
            if overwrite:
                os.replace(temporary, final, src_dir_fd=at, dst_dir_fd=at)
            else:
                _name_once(temporary, final, at)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=at)


def _name_once(temporary: str, final: str, at: int | None) -> None:
    """Give a file its name, unless something has it."""
    try:
        os.link(temporary, final, src_dir_fd=at, dst_dir_fd=at)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.close(os.open(final, _NEW, 0o666, dir_fd=at))  # the name is taken first, by an empty file
        os.replace(temporary, final, src_dir_fd=at, dst_dir_fd=at)


@contextmanager
def _opened(folder: str, parents: list[str]) -> Iterator[tuple[str, int | None]]:
    """Make folders inside the target and open the last one, following no link; or give its path, if none opens."""
    os.makedirs(folder or os.curdir, exist_ok=True)
    if not _HAS_FOLDERS:
        yield _made(folder, parents), None
        return
    at = os.open(folder or os.curdir, _FOLDER)
    try:
        for part in parents:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=at)
            try:
                inner = os.open(part, _FOLDER | _NO_LINK, dir_fd=at)
            except OSError as error:
                raise _in_the_way(folder, part) from error
            os.close(at)
            at = inner
        yield "", at
    finally:
        os.close(at)


def _made(folder: str, parents: list[str]) -> str:
    for part in parents:
        folder = os.path.join(folder, part)
        if os.path.islink(folder) or os.path.isfile(folder):
            raise _in_the_way(folder, part)
        os.makedirs(folder, exist_ok=True)
    return folder


def _in_the_way(folder: str, part: str) -> OutputExistsError:
    return OutputExistsError(
        f"{safe_url(part)!r} in {folder!r} is a file or a link, and a folder of that name is needed"
    )


def _write_remote(place: Location, name: str, content: bytes, *, overwrite: bool, is_again: bool) -> None:
    remote, path = place.remote, f"{place.path.rstrip('/')}/{name}"
    try:
        if overwrite or not remote.exists(path):
            _pipe(remote, path, content, "overwrite" if overwrite else "create")
            return
        is_ours = is_again and remote.cat_file(path) == content  # only the answer to the try before this was lost
    except FileExistsError:
        raise
    except Exception as error:  # every filesystem has exceptions of its own
        if may_pass(error):
            raise PassingError(str(error) or type(error).__name__) from error
        raise WriteError(str(getattr(error, "strerror", None) or error)) from error
    if not is_ours:
        raise FileExistsError(errno.EEXIST, "it exists", path)


def _pipe(remote: Any, path: str, content: bytes, mode: str) -> None:
    try:
        remote.pipe_file(path, content, mode=mode)
    except FileNotFoundError:
        if remote.unstrip_protocol(path).partition("://")[0] in _BUCKETS:
            raise  # there, this would make a bucket
        remote.makedirs(path.rpartition("/")[0], exist_ok=True)
        remote.pipe_file(path, content, mode=mode)
