"""Where an output goes: a folder of this machine, or of a filesystem behind fsspec.

Both are written in the same way: files are made in a staging folder on this machine, and put into place one by one
at the end. What is replaced is set aside first, so that a failure can be undone.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

from lightdata.errors import ArgumentError, ExecutionError
from lightdata.interrupt import interrupts_heard
from lightdata.io.location import Entry, FileSystem, Location, locate, remote_entries
from lightdata.io.sinks.durable import drain_drive, locked, sync_to_disk

HIDDEN = ".lightdata-"
"""What all names begin with that are ours alone."""


class Target(Protocol):
    """A folder that files are put into; names are relative to it, with slashes."""

    @property
    def shown(self) -> str:
        """The folder, as the user would write it."""
        ...

    def kind(self, name: str) -> str | None:
        """Say ``file``, ``directory`` or ``other``, a link being other; ``None`` where nothing is."""
        ...

    def names(self, folder: str) -> list[tuple[str, str]]:
        """List the names in a folder, with their kinds; nothing if it is not there."""
        ...

    def staging_root(self) -> Path:
        """Give the folder of this machine in which those for files that wait are made."""
        ...

    def make_root(self) -> None:
        """Make that folder, if it is not there."""
        ...

    def leave_root(self) -> None:
        """Remove that folder if nothing waits in it and it is no part of the target."""
        ...

    def read(self, name: str) -> bytes:
        """Read a file."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Keep other jobs from putting files here, where that can be done."""
        ...

    def put(self, path: str, name: str) -> None:
        """Put a staged file into place, whole, replacing what is there."""
        ...

    def take_back(self, name: str, path: str) -> None:
        """Have a file staged again that was put into place, or that may not have been."""
        ...

    def set_aside(self, name: str, aside: str) -> None:
        """Keep a copy of a file under a key, to be restored from."""
        ...

    def restore(self, name: str, aside: str) -> None:
        """Put back what was set aside."""
        ...

    def forget(self, asides: list[str]) -> None:
        """Remove what was set aside."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file."""
        ...

    def remove_empty(self, folder: str) -> None:
        """Remove a folder if nothing is in it."""
        ...

    def settle(self, folders: list[str], *, around: bool) -> None:
        """Make the names in some folders last, and in the target; also in those ``around`` it, which may be new."""
        ...


def target_at(path: str | os.PathLike[str], filesystem: FileSystem = None) -> Target:
    """Find where a path points.

    Raises
    ------
    ArgumentError
        If no filesystem is known for it, or it can only be read.
    """
    text = os.fspath(path)
    if text.startswith(("http://", "https://")):
        raise ArgumentError(f"{text}: a web server is not written to; write to a folder or an object store")
    location = locate(text, filesystem)
    if location.remote is None:
        return LocalTarget(Path(location.path))
    return RemoteTarget(location, text)


@dataclass(frozen=True, slots=True)
class LocalTarget:
    """A folder of this machine."""

    folder: Path

    @property
    def shown(self) -> str:
        """The folder, as the user would write it."""
        return str(self.folder)

    def kind(self, name: str) -> str | None:
        """Say ``file``, ``directory`` or ``other``, a link being other; ``None`` where nothing is."""
        try:
            place = self.folder / name
            mode = (os.lstat if name else os.stat)(place).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        return "directory" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"

    def names(self, folder: str) -> list[tuple[str, str]]:
        """List the names in a folder, with their kinds; nothing if it is not there."""
        if self.kind(folder) != "directory":
            return []
        names = sorted(os.listdir(self.folder / folder))
        return [(name, self.kind(f"{folder}/{name}" if folder else name) or "other") for name in names]

    def staging_root(self) -> Path:
        """Give the target: what waits there is on its file system."""
        return self.folder

    def make_root(self) -> None:
        """Make the target, if it is not there."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def leave_root(self) -> None:
        """Do nothing: that is the target."""

    def read(self, name: str) -> bytes:
        """Read a file."""
        return (self.folder / name).read_bytes()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait for other jobs that put files here, and keep them out."""
        with locked(self.folder / f"{HIDDEN}lock"):
            yield

    def put(self, path: str, name: str) -> None:
        """Put a staged file into place, whole, replacing what is there."""
        final = self.folder / name
        try:
            os.replace(path, final)
        except FileNotFoundError:  # the first of its folder
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, final)

    def take_back(self, name: str, path: str) -> None:
        """Have a file staged again that was put into place; one that never was is staged still."""
        if not os.path.lexists(path):
            os.replace(self.folder / name, path)

    def set_aside(self, name: str, aside: str) -> None:
        """Keep a file under a second name on its file system."""
        try:
            os.link(self.folder / name, aside, follow_symlinks=False)
        except OSError:  # a file system without links
            shutil.copy2(self.folder / name, aside, follow_symlinks=False)

    def restore(self, name: str, aside: str) -> None:
        """Put back what was set aside."""
        os.replace(aside, self.folder / name)

    def forget(self, asides: list[str]) -> None:
        """Do nothing: what was set aside goes with the staging folder."""

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self.folder / name).unlink(missing_ok=True)

    def remove_empty(self, folder: str) -> None:
        """Remove a folder if nothing is in it."""
        with suppress(OSError):
            (self.folder / folder).rmdir()

    def settle(self, folders: list[str], *, around: bool) -> None:
        """Wait until names are on disk."""
        for folder in sorted({self.folder / name for name in folders} | {self.folder}):
            sync_to_disk(folder)
        for folder in self.folder.absolute().parents if around else ():
            with suppress(OSError):  # not ours to open
                sync_to_disk(folder)
        drain_drive(self.folder)


@dataclass(frozen=True, slots=True)
class RemoteTarget:
    """A folder of a filesystem behind fsspec: files are staged on this machine and uploaded whole.

    Such filesystems have no locks: of two jobs that write to one folder at the same moment, both may succeed.
    """

    location: Location
    shown: str
    """The folder, as the user wrote it."""

    def kind(self, name: str) -> str | None:
        """Say ``file``, ``directory`` or ``other``; ``None`` where nothing is."""
        try:
            with interrupts_heard():
                return str(self.location.remote.info(self._place(name))["type"])
        except (FileNotFoundError, NotADirectoryError):
            return None

    def names(self, folder: str) -> list[tuple[str, str]]:
        """List the names in a folder, with their kinds; nothing if it is not there."""
        self.location.remote.invalidate_cache()
        try:
            with interrupts_heard():
                return [(entry.name, entry.kind) for entry in self._entries(folder)]
        except FileNotFoundError:
            return []

    def staging_root(self) -> Path:
        """Give a temporary folder of this user's, the same for the same target.

        Raises
        ------
        ExecutionError
            If there is no place for temporary files.
        """
        try:
            temporary = tempfile.gettempdir()
        except FileNotFoundError as error:
            raise ExecutionError(
                f"{self.shown!r} is written to by way of temporary files, and there is no place for them; set TMPDIR "
                f"to a folder that can be written to. {error.strerror}"
            ) from error
        digest = blake2b(self._place("").encode(), digest_size=8).hexdigest()
        user = getattr(os, "getuid", int)()
        return Path(temporary) / f"lightdata-{user}-{digest}"

    def make_root(self) -> None:
        """Make that folder, for this user alone.

        Raises
        ------
        ExecutionError
            If somebody else has made it.
        """
        root = self.staging_root()
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32" and (root.is_symlink() or root.stat().st_uid != os.getuid()):
            raise ExecutionError(f"{str(root)!r}, where files wait for their upload, is not this user's; remove it")

    def leave_root(self) -> None:
        """Remove that folder if nothing waits in it."""
        with suppress(OSError):
            self.staging_root().rmdir()

    def read(self, name: str) -> bytes:
        """Read a file."""
        with interrupts_heard():
            return bytes(self.location.remote.cat_file(self._place(name)))

    def alone(self) -> AbstractContextManager[None]:
        """Do nothing: there are no locks."""
        return nullcontext()

    def put(self, path: str, name: str) -> None:
        """Upload a staged file, whole, replacing what is there."""
        place = self._place(name)
        with interrupts_heard():
            self.location.remote.makedirs(place.rpartition("/")[0], exist_ok=True)
            self.location.remote.put_file(path, place)

    def take_back(self, name: str, path: str) -> None:
        """Remove a file that was uploaded; it is staged still."""
        self.remove(name)

    def set_aside(self, name: str, aside: str) -> None:
        """Copy a file, where it is, to a hidden folder of the target."""
        place = self._aside(aside)
        with interrupts_heard():
            self.location.remote.makedirs(place.rpartition("/")[0], exist_ok=True)
            self.location.remote.cp_file(self._place(name), place)

    def restore(self, name: str, aside: str) -> None:
        """Put back what was set aside."""
        self.location.remote.cp_file(self._aside(aside), self._place(name))

    def forget(self, asides: list[str]) -> None:
        """Remove what was set aside."""
        for folder in {self._aside(aside).rpartition("/")[0] for aside in asides}:
            with suppress(FileNotFoundError):
                self.location.remote.rm(folder, recursive=True)

    def remove(self, name: str) -> None:
        """Remove a file."""
        with suppress(FileNotFoundError):
            self.location.remote.rm_file(self._place(name))

    def remove_empty(self, folder: str) -> None:
        """Remove a folder if nothing is in it."""
        if not self.names(folder):
            with suppress(OSError):  # object stores have no folders
                self.location.remote.rmdir(self._place(folder))

    def settle(self, folders: list[str], *, around: bool) -> None:
        """Do nothing: an upload that has ended lasts."""

    def _place(self, name: str) -> str:
        return f"{self.location.path.rstrip('/')}/{name}" if name else self.location.path

    def _aside(self, aside: str) -> str:
        return self._place("/".join(Path(aside).parts[-2:]))

    def _entries(self, folder: str) -> Iterator[Entry]:
        return remote_entries(self.location.remote, self._place(folder))
