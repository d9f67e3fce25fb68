"""Where a path points, what is there, and the bytes of one file.

Paths without a scheme and ``file://`` URLs go through the operating system; other URLs, and the paths of a
filesystem that is passed along, go through fsspec.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from lightdata.config import config
from lightdata.errors import ENDS, ArgumentError, LightdataError, ReadError, RowError, words_of
from lightdata.io.uris.retries import may_pass
from lightdata.kernels.header import holds_jpeg_header
from lightdata.kernels.limits import check_file_bytes
from lightdata.kernels.tally import tally

FileSystem = Any
"""An fsspec or pyarrow filesystem (both untyped), or ``None`` to go by the path."""

_log = logging.getLogger(__name__)

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL)
"""EINVAL is how Windows answers for the name of a pattern."""


class Entry(NamedTuple):
    """One name in a folder."""

    name: str
    path: str
    kind: str
    """``file``, ``directory`` or ``other``."""


@dataclass(frozen=True, slots=True)
class Location:
    """A path in its filesystem."""

    path: str
    """The path as its filesystem has it."""

    remote: FileSystem = None
    """The fsspec filesystem; ``None`` is this machine."""

    from_url: bool = False
    """Whether the path was a URL, so that what lies below it is shown as URLs too."""

    chain: str = ""
    """The end of a chained URL, ``::`` and what follows."""

    def shown(self, path: str) -> str:
        """Write a path of this filesystem so that it can be located again."""
        return f"{self.remote.unstrip_protocol(path)}{self.chain}" if self.from_url else path

    def kind(self) -> str | None:
        """Say ``file``, ``directory`` or ``other``; ``None`` where nothing is.

        Raises
        ------
        ReadError
            If that cannot be found out.
        """
        try:
            return _local_kind(self.path) if self.remote is None else self._remote_kind()
        except FileNotFoundError:
            return None
        except Exception as error:  # every filesystem has exceptions of its own
            raise read_error(error, self.shown(self.path)) from error

    def identity(self, folder: str) -> tuple[int, int] | None:
        """Tell a folder from all others, whatever links lead to it; ``None`` where there are no links.

        Raises
        ------
        ReadError
            If the folder is gone.
        """
        if self.remote is not None:
            return None
        try:
            status = os.stat(folder or os.curdir)
        except OSError as error:
            raise read_error(error, folder) from error
        return status.st_dev, status.st_ino

    def entries(self, folder: str) -> list[Entry]:
        """List a folder by name; names that are not text are left out with a warning.

        Raises
        ------
        ReadError
            If the folder cannot be listed.
        """
        try:
            found = _local_entries(folder) if self.remote is None else remote_entries(self.remote, folder)
            return sorted(entry for entry in found if _is_listed(entry))
        except Exception as error:  # every filesystem has exceptions of its own
            raise read_error(error, self.shown(folder)) from error

    def _remote_kind(self) -> str:
        # A web server's listing is a guess from links, and "?" begins its queries.
        if self.shown(self.path).startswith(("http://", "https://")):
            return "file"
        return str(self.remote.info(self.path)["type"])


def locate(path: str, filesystem: FileSystem = None) -> Location:
    """Find the filesystem that a path belongs to.

    >>> locate("file:///photos/a%20b.jpg").path
    '/photos/a b.jpg'

    Raises
    ------
    ArgumentError
        If no filesystem is known for it.
    """
    if filesystem is not None and (given := _through_fsspec(filesystem)) is not None:
        return Location(given._strip_protocol(path), given)  # noqa: SLF001 - fsspec has no public name for it
    if path.startswith("file://"):
        from urllib.request import url2pathname  # noqa: PLC0415 - it imports the whole of HTTP

        return Location(url2pathname(path.removeprefix("file://")))
    if "://" not in path:
        return Location(os.path.expanduser(path))
    return _located_by_fsspec(path)


def _through_fsspec(filesystem: FileSystem) -> FileSystem:
    """Give a filesystem as fsspec has it; ``None`` for the one of this machine."""
    from fsspec.implementations.arrow import ArrowFSWrapper  # noqa: PLC0415 - most paths are of this machine
    from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415 - the same
    from pyarrow import fs as arrow_fs  # noqa: PLC0415 - the same

    if isinstance(filesystem, LocalFileSystem | arrow_fs.LocalFileSystem):
        return None
    return ArrowFSWrapper(filesystem) if isinstance(filesystem, arrow_fs.FileSystem) else filesystem


def _located_by_fsspec(path: str) -> Location:
    import fsspec  # noqa: PLC0415 - with asyncio and more it takes as long as ten modules, and most paths are no URLs
    from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415 - the same

    try:
        remote, inner = fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise ArgumentError(f"{path}: no filesystem for this URL: {error}") from error
    if isinstance(remote, LocalFileSystem):
        return Location(inner)
    return Location(inner, remote, from_url=True, chain=path[path.index("::") :] if "::" in path else "")


HEAD_BYTES = 64 << 10
"""Bytes of a file that hold the header of nearly every JPEG: EXIF and a thumbnail are at most as much."""


def read_file(path: str, filesystem: FileSystem = None, max_bytes: int | None = None) -> bytes:
    """Read a whole file.

    Parameters
    ----------
    path : str
    filesystem : fsspec or pyarrow filesystem, optional
    max_bytes : int, optional
        Bytes that it may have, where that is not for ``config(max_file_bytes=...)`` to say.

    Raises
    ------
    ReadError
        For whatever keeps it from being read; also if it is not a regular file, or has more than ``max_bytes``.
    LimitError
        If it has more bytes than ``max_file_bytes``.
    """
    content = file_content(path, filesystem, max_bytes)
    tally("files_opened")
    tally("bytes_read", len(content))
    return content


def file_content(path: str, filesystem: FileSystem = None, max_bytes: int | None = None) -> bytes:
    """Read a whole file as :func:`read_file`, for callers that count what they read themselves."""
    try:
        if filesystem is None and "://" not in path:
            return _read_local(path if path[:1] != "~" else os.path.expanduser(path), max_bytes)
        location = locate(path, filesystem)
        if location.remote is None:
            return _read_local(location.path, max_bytes)
        return _read_remote(location, max_bytes)
    except RowError as error:
        raise error.at(uri=path) from error.__cause__
    except ENDS:
        raise
    except BaseException as error:  # every filesystem has exceptions of its own
        raise read_error(error, path) from error


def _read_remote(location: Location, max_bytes: int | None) -> bytes:
    content = read_start(location, (max_bytes or config().max_file_bytes) + 1)
    _check_bytes(len(content), max_bytes)
    return content


def read_start(location: Location, length: int) -> bytes:
    """Read at most some bytes of a file that is not on this machine, with one request where its filesystem can."""
    from fsspec.implementations.arrow import ArrowFSWrapper  # noqa: PLC0415 - most paths are of this machine

    remote: Any = location.remote
    if isinstance(remote, ArrowFSWrapper):  # its cat_file cannot say where to end
        with remote.open(location.path, "rb") as file:
            return bytes(file.read(min(length, file.size)))
    try:
        return bytes(remote.cat_file(location.path, end=length))
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        if may_pass(error) or remote.size(location.path) != 0:
            raise
        return b""  # object stores have no first byte of an empty file to give


def read_image_head(path: str, filesystem: FileSystem = None) -> bytes:
    """Read what tells the size, mode and format of an image: of a JPEG its header, of other formats the whole file.

    Others may say at their end how the camera was held.

    Raises
    ------
    ReadError
        As :func:`read_file`.
    """
    head, size = read_head(path, HEAD_BYTES, filesystem)
    if size > len(head) and not holds_jpeg_header(head):
        return read_file(path, filesystem)
    tally("files_opened")
    tally("bytes_read", len(head))
    return head


def read_head(path: str, length: int, filesystem: FileSystem = None) -> tuple[bytes, int]:
    """Read the first ``length`` bytes of a file, or all if it is shorter; also tells its size.

    Raises
    ------
    ReadError
        As :func:`read_file`.
    """
    location = locate(path, filesystem)
    try:
        if location.remote is not None:
            size = location.remote.size(location.path)
            return bytes(location.remote.cat_file(location.path, start=0, end=min(length, size))), int(size)
        size = regular_size(location.path)
        with open(location.path, "rb") as file:
            return file.read(length), size
    except ENDS:
        raise
    except BaseException as error:  # every filesystem has exceptions of its own
        raise read_error(error, path) from error


def read_range(path: str, start: int, stop: int, filesystem: FileSystem = None) -> bytes:
    """Read the bytes ``start`` to ``stop`` of a file.

    Raises
    ------
    ReadError
        As :func:`read_file`.
    """
    location = locate(path, filesystem)
    try:
        if location.remote is not None:
            content = bytes(location.remote.cat_file(location.path, start=start, end=stop))
        else:
            regular_size(location.path)
            with open(location.path, "rb") as file:
                file.seek(start)
                content = file.read(stop - start)
    except ENDS:
        raise
    except BaseException as error:  # every filesystem has exceptions of its own
        raise read_error(error, path) from error
    tally("files_opened")
    tally("bytes_read", len(content))
    return content


def regular_size(path: str) -> int:
    """Give the bytes of a file on this machine without opening it: opening a pipe would wait for ever.

    Raises
    ------
    ReadError
        If it is missing or not a regular file.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        raise read_error(error, path) from error
    if not stat.S_ISREG(status.st_mode):
        raise ReadError("not a regular file", uri=path)
    return status.st_size


def read_error(error: BaseException, uri: str) -> LightdataError:
    """Turn what a filesystem raised into an error that names the file."""
    if isinstance(error, LightdataError):
        return error
    if isinstance(error, FileNotFoundError):
        return ReadError("no such file or folder", uri=uri)  # remote filesystems say no more than its path
    said = error.strerror if isinstance(error, OSError) else None
    return ReadError(str(said or words_of(error) or type(error).__name__), uri=uri)


def _local_kind(path: str) -> str | None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise
    return "directory" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def _local_entries(folder: str) -> Iterator[Entry]:
    with os.scandir(folder or os.curdir) as found:
        for entry in found:
            yield Entry(entry.name, entry.path if folder else entry.name, _entry_kind(entry))


def _entry_kind(entry: os.DirEntry[str]) -> str:
    try:
        return "directory" if entry.is_dir() else "file" if entry.is_file() else "other"
    except OSError:  # a link to itself
        return "other"


def remote_entries(remote: FileSystem, folder: str) -> Iterator[Entry]:
    """List a folder of a filesystem behind fsspec."""
    for found in remote.ls(folder, detail=True):
        path = str(found["name"]).rstrip("/")
        if path != folder.rstrip("/"):  # object stores list the marker of the folder itself
            yield Entry(path.rsplit("/", 1)[-1], path, str(found["type"]))


def _is_listed(entry: Entry) -> bool:
    if is_text(entry.name):
        return True
    _log.warning("skipped %r: its name is not text", entry.path)
    return False


def is_text(name: str) -> bool:
    """Whether a name can be written as UTF-8 and given to the operating system."""
    return "\0" not in name and (name.isascii() or not any("\ud800" <= char <= "\udfff" for char in name))


def _read_local(path: str, max_bytes: int | None) -> bytes:
    size = regular_size(path)
    _check_bytes(size, max_bytes)
    # Not to wait, should a pipe have taken the file's place since.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    try:
        # One byte more than the size: a short answer is then the whole file, without a second call.
        first = os.read(descriptor, size + 1)
        return first if len(first) == size else b"".join([first, *_rest(descriptor, len(first), max_bytes)])
    finally:
        os.close(descriptor)


def _rest(descriptor: int, size: int, max_bytes: int | None) -> Iterator[bytes]:
    """Read on in a file that is longer than it said, or than one call gives."""
    while piece := os.read(descriptor, 1 << 20):
        size += len(piece)
        _check_bytes(size, max_bytes)
        yield piece


def _check_bytes(size: int, max_bytes: int | None) -> None:
    if max_bytes is None:
        check_file_bytes(size)
    elif size > max_bytes:
        raise ReadError(f"it has {size} bytes, and max_bytes is {max_bytes}")
