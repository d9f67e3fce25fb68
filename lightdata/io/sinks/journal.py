"""What a job that writes leaves in its staging folder, so that the next one can go on where it was killed.

How a job is taken up again. Code that disagrees with this is wrong.
  Header    ``job.json`` says which query it is, and the seed of its random steps.
  Done      A task that is written says so in a small file of its own, after its files are on disk: those files, and
            what is to be told of its rows. What is not whole, or whose files are not as it says, was not done.
  Line      Where a run has several stages, ``progress.jsonl`` tells how far all of them are (see
            ``physical/checkpoint.py``).
  Key       A task is known by its number and by what it reads. One that reads other files than before is done anew.
  Trust     Nothing here is unpickled, and names that leave the folder are none. A folder of another user is not read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from google_crc32c import value as crc32c

from lightdata.errors import RowError
from lightdata.io.sinks.durable import replace_whole
from lightdata.io.sinks.sink import StagedFile

_HEADER = "job.json"
_LINES = "progress.jsonl"


class Job(NamedTuple):
    """Which query is written."""

    fingerprint: str
    query: str
    """Its steps in words."""

    seed: int
    """What random steps without a seed of their own draw theirs from."""


class Done(NamedTuple):
    """A task whose rows are staged."""

    files: Sequence[StagedFile]
    seen: tuple[int, ...]
    """Rows that each operator was given."""

    failures: tuple[tuple[int, RowError], ...]
    """Rows that failed, each with the number of its operator."""


class Line(NamedTuple):
    """A task of the last stage that is staged, and where the whole run stands then."""

    files: Sequence[StagedFile]
    failures: tuple[RowError, ...]
    point: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Journal:
    """The notes in a staging folder."""

    folder: Path

    def begin(self, job: Job) -> None:
        """Say which job this is."""
        replace_whole(self.folder / _HEADER, json.dumps(job._asdict()).encode())

    def job(self) -> Job | None:
        """Give the job that was begun here; ``None`` where that cannot be known."""
        match read_note(self.folder / _HEADER):
            case {"fingerprint": str(found), "query": str(query), "seed": int(seed)}:
                return Job(found, query, seed)
        return None

    def note(self, key: str, done: Done) -> None:
        """Say that a task is done: its files are on disk."""
        told = {
            **self._told(done.files),
            "seen": done.seen,
            "failures": [[place, error_to_json(error)] for place, error in done.failures],
        }
        replace_whole(self.folder / f"done-{key}", json.dumps(told).encode())

    def done(self, key: str) -> Done | None:
        """Give what is known of a task that was done; ``None`` if it was not."""
        match read_note(self.folder / f"done-{key}"):
            case {"files": list(files), "seen": list(seen), "failures": list(failures)}:
                staged = [self._staged(file) for file in files]
                if all(map(_is_whole, staged)):
                    told = tuple((int(place), error_from_json(error)) for place, error in failures)
                    return Done(staged, tuple(map(int, seen)), told)
        return None

    def has_done(self) -> bool:
        """Whether any task is."""
        return any(self.folder.glob("done-*"))

    def add_line(self, line: Line) -> None:
        """Note that a task is done, and all rows before it."""
        told = {**self._told(line.files), "failures": errors_to_json(line.failures), "point": line.point}
        with (self.folder / _LINES).open("ab", buffering=0) as file:
            file.write(json.dumps(told).encode() + b"\n")

    def lines(self) -> list[Line]:
        """Give what was noted, up to the first line that is not whole or whose files are not as it says."""
        found: list[Line] = []
        try:
            content = (self.folder / _LINES).read_bytes()
        except FileNotFoundError:
            return found
        for row in content.split(b"\n"):
            try:
                told = json.loads(row)
            except ValueError:
                break
            files = [self._staged(file) for file in told["files"]]
            if not all(map(_is_whole, files)):
                break
            found.append(Line(files, tuple(map(error_from_json, told["failures"])), told["point"]))
        kept = b"".join(content.splitlines(keepends=True)[: len(found)])
        if kept != content:
            replace_whole(self.folder / _LINES, kept)
        return found

    def _told(self, files: Sequence[StagedFile]) -> dict[str, Any]:
        return {"files": [file._replace(path=os.path.basename(file.path))._asdict() for file in files]}

    def _staged(self, row: Mapping[str, Any]) -> StagedFile:
        file = StagedFile(**row)
        return file._replace(path=str(self.folder / os.path.basename(file.path))) if file.path else file


def task_key(number: int, content: bytes) -> str:
    """Name a task by its number in the stage and what it reads.

    >>> task_key(7, b"123456789")
    '7-e3069283-9'
    """
    return f"{number}-{crc32c(content):08x}-{len(content)}"


def error_to_json(error: RowError) -> dict[str, Any]:
    """Tell a failed row in words and numbers.

    >>> from lightdata.errors import LimitError
    >>> error_from_json(error_to_json(LimitError("too large", uri="a.jpg", row=3)))
    LimitError('a.jpg: too large')
    """
    error = error.at()
    return {
        "kind": type(error).__name__,
        "message": error.message,
        "uri": None if error.uri is None else str(error.uri),
        "row": error.row,
        "stage": error.stage,
        "cause": error.cause,
        "attempts": error.attempts,
    }


def error_from_json(told: Mapping[str, Any]) -> RowError:
    """Make the error that was told."""
    kind = next((one for one in _kinds(RowError) if one.__name__ == told["kind"]), RowError)
    return kind(**{name: value for name, value in told.items() if name != "kind"})


def _kinds(kind: type[RowError]) -> Iterator[type[RowError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)


def errors_to_json(errors: Iterable[RowError]) -> list[dict[str, Any]]:
    """Tell failed rows in words and numbers."""
    return [error_to_json(error) for error in errors]


def read_note(path: Path) -> Any:
    """Read a note of JSON; nothing where it is not there or not whole, as after a failure of power."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _is_whole(file: StagedFile) -> bool:
    try:
        return not file.path or os.stat(file.path).st_size == file.size_bytes
    except OSError:
        return False
