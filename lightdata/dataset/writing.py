"""What every writing verb does: run a query into a staging folder, then commit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lightdata.dataset.consumption import Consumption
from lightdata.errors import ArgumentError, RowError
from lightdata.interrupt import terminations_raised
from lightdata.io.location import FileSystem
from lightdata.io.sinks.sink import Sink, StagedFile
from lightdata.plan.node import Write
from lightdata.plan.schema import schema_of
from lightdata.plan.verify import verify_step
from lightdata.types.schema import Schema

if TYPE_CHECKING:
    # Most queries are not written, so the functions below import what writes.
    from lightdata.io.sinks.commit import Staged, WriteMode, WriteResult
    from lightdata.io.sinks.target import Target

Joined = Callable[[Sequence[StagedFile], Path], Sequence[StagedFile]]
"""Makes other files of all those that were staged."""


class Destination(NamedTuple):
    """Where an output goes, and what becomes of one that is there."""

    target: Target
    mode: WriteMode


def destination(path: str | os.PathLike[str], mode: object, filesystem: FileSystem = None) -> Destination:
    """Find where to write to.

    Raises
    ------
    ArgumentError
        If the mode has no meaning, or no filesystem is known for the path.
    """
    from lightdata.io.sinks.commit import write_mode  # noqa: PLC0415 - only for queries that are written
    from lightdata.io.sinks.target import target_at  # noqa: PLC0415 - the same

    return Destination(target_at(path, filesystem), write_mode(mode))


def check_on_error(on_error: str) -> str:
    """Refuse what is not a way to treat rows that cannot be written.

    Raises
    ------
    ArgumentError
        For another word.
    """
    if on_error not in ("raise", "skip"):
        raise ArgumentError(f"on_error of a writer is 'raise' or 'skip'; got {on_error!r}")
    return on_error


class Writing(Consumption):
    """A query that can be written.

    Files are written by the workers into a staging folder, forced to disk, and moved into place together at the end;
    a run that fails leaves nothing, and what it would have replaced as it was. The moves of two jobs to one folder
    never mix.
    """

    def _write(self, to: Destination, sink: Sink, *, multiple_of: int = 1, joined: Joined | None = None) -> WriteResult:
        from lightdata.io.sinks.commit import (  # noqa: PLC0415 - only for queries that are written
            WriteResult,
            check_target,
            commit,
            write_errors,
        )

        verify_step(Write(input=self._plan, sink=sink, directory=""))
        if not check_target(to.target, sink, to.mode):
            return WriteResult(to.target.shown, (), 0, 0)
        with terminations_raised(), _staging(to.target) as staging:
            plan = Write(input=self._plan, sink=sink, directory=str(staging.absolute()), multiple_of=multiple_of)
            staged = self._stage(plan, staging)
            if joined is not None:
                with write_errors(to.target.shown):
                    staged = staged._replace(files=joined(staged.files, staging))
            return commit(to.target, sink, staged, mode=to.mode)

    def _stage(self, plan: Write, folder: Path) -> Staged:
        """Run a query, and count the rows of its tasks: those that are not written are told by their number."""
        from lightdata.io.sinks.commit import Staged  # noqa: PLC0415 - only for queries that are written

        files: list[StagedFile] = []
        failures: list[RowError] = []
        rows = 0
        for batch in self._run(plan, verb=f"write {plan.sink}"):
            described = [StagedFile(**row) for row in batch.to_pylist()]
            for number, file in enumerate(described):
                if not file.path:
                    row = rows + (number if file.row is None else file.row)
                    failures.append(file.failure(row=row, stage=f"write {plan.sink}"))
            rows += sum(file.rows if file.path else 1 for file in described)
            files += described
        return Staged(folder, files, failures)

    def _known_schema(self) -> Schema | None:
        """The columns, where the plan alone tells them."""
        return schema_of(self._plan)


@contextmanager
def _staging(target: Target) -> Iterator[Path]:
    from lightdata.io.sinks.commit import write_errors  # noqa: PLC0415 - only for queries that are written

    with ExitStack() as stack:
        with write_errors(target.shown):
            staging = stack.enter_context(target.staging())
        yield staging
