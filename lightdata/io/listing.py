"""Walk folders and patterns, in the order of names."""

from __future__ import annotations

import fnmatch
import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import PurePath, PurePosixPath
from typing import NamedTuple

from lightdata.errors import ReadError
from lightdata.io.location import Entry, FileSystem, Location, locate
from lightdata.io.partitioning import Partitioning

_log = logging.getLogger(__name__)

MAGIC = re.compile(r"[*?\[]")
"""What makes a path a pattern."""


class Found(NamedTuple):
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


def entered(found: Found) -> tuple[str | None, ...]:
    """Tell what partition values depend on: they are the same for all files of a folder."""
    return found.location.path, found.folder, os.path.dirname(found.file)


def find_files(
    names: Sequence[str],
    extensions: Sequence[str] | None,
    filesystem: FileSystem,
    *,
    ignore_missing_paths: bool,
) -> Iterator[Found]:
    """List the files that paths, folders and patterns stand for, each with the folder it was found in.

    Raises
    ------
    ReadError
        If a path is missing or a folder cannot be listed; at the end, if there was no file at all.
    """
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


def _find_at(location: Location, *, ignore_missing_paths: bool) -> Iterator[Found]:
    kind = location.kind()
    if kind == "file":
        yield Found(location, None, location.path)
    elif kind is None and MAGIC.search(location.path):
        folder, pattern = _split_pattern(location)
        if replace(location, path=folder or os.curdir).kind() == "directory":
            yield from (Found(location, folder, file) for file in _walk(location, folder, pattern))
    elif kind == "directory":
        yield from (Found(location, location.path, file) for file in _walk(location, location.path, ("**",)))
    elif kind is not None:
        _log.warning("skipped %s: not a regular file", location.path)
    elif not ignore_missing_paths:
        raise missing_error(location)


def missing_error(location: Location) -> ReadError:
    """Say that nothing is at a path, and what there is on the way to it."""
    if location.remote is not None:
        return ReadError("no such file or folder", uri=location.shown(location.path))
    there = os.path.dirname(os.path.abspath(location.path))
    while not os.path.isdir(there) and there != os.path.dirname(there):
        there = os.path.dirname(there)
    return ReadError(f"no such file or folder; the nearest folder that exists is {there}", uri=location.path)


def _split_pattern(location: Location) -> tuple[str, tuple[str, ...]]:
    """Cut a pattern where its first wildcard is: the folder to start in, and the names to match below it."""
    pure: PurePath = PurePath(location.path) if location.remote is None else PurePosixPath(location.path)
    first = next(i for i, part in enumerate(pure.parts) if MAGIC.search(part))
    return str(type(pure)(*pure.parts[:first])) if first else "", pure.parts[first:]


def _walk(location: Location, folder: str, pattern: tuple[str, ...]) -> Iterator[str]:
    """Yield the files below a folder that match; holds one folder a level, however deep the tree."""
    seen: set[tuple[int, int]] = set()
    if pattern == ("**",):
        yield from _walk_all(location, folder, seen)
        return
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


def _walk_all(location: Location, folder: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Yield all files below a folder, as the pattern ``**`` does: most folders are large, and asked for in this way."""
    stack = [_entries(location, folder, seen)]
    while stack:
        for entry in stack[-1]:
            if entry.name[0] in "._":
                continue
            if entry.kind == "directory":
                stack.append(_entries(location, entry.path, seen))
                break
            if _is_regular(entry):
                yield entry.path
        else:
            stack.pop()


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
