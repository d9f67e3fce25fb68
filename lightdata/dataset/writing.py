"""What every writing verb does: run a query into a staging folder, then commit."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lightdata.config import config
from lightdata.dataset.consumption import Consumption
from lightdata.errors import ArgumentError, RowError
from lightdata.interrupt import interrupts_deferred, interrupts_heard, terminations_raised
from lightdata.io.location import FileSystem
from lightdata.io.sinks.sink import Sink, StagedFile
from lightdata.plan.explain import explain_plan
from lightdata.plan.node import Write
from lightdata.plan.schema import schema_of
from lightdata.plan.seed import with_seeds
from lightdata.plan.verify import verify_step
from lightdata.types.schema import Schema

if TYPE_CHECKING:
    # Most queries are not written, so the functions below import what writes.
    from lightdata.io.sinks.commit import Staged, WriteMode
    from lightdata.io.sinks.journal import Job, Journal
    from lightdata.io.sinks.result import WriteResult
    from lightdata.io.sinks.target import Target

PathLike = str | os.PathLike[str]

_LOG = logging.getLogger("lightdata")

Joined = Callable[[Sequence[StagedFile], Path], Sequence[StagedFile]]
"""Makes other files of all those that were staged."""


class Destination(NamedTuple):
    """Where an output goes, and what becomes of one that is there."""

    target: Target
    mode: WriteMode
    resume: bool = False
    """Whether to go on where the same job was killed."""

    file: str | None = None
    """The one file that the output is."""

    @property
    def at_commit(self) -> WriteMode:
        """The mode for what is there once all rows are: one file was looked for before."""
        return "error" if self.file is not None and self.mode != "overwrite" else self.mode


def destination(
    path: str | os.PathLike[str],
    mode: object,
    filesystem: FileSystem = None,
    *,
    resume: bool = False,
    file: str | None = None,
) -> Destination:
    """Find where to write to.

    Raises
    ------
    ArgumentError
        If the mode has no meaning, or no filesystem is known for the path.
    """
    from lightdata.io.sinks.commit import write_mode  # noqa: PLC0415 - only for queries that are written
    from lightdata.io.sinks.target import target_at  # noqa: PLC0415 - the same

    if not isinstance(resume, bool):
        raise ArgumentError(f"resume is True or False; got {resume!r}")
    return Destination(target_at(path, filesystem), write_mode(mode), resume, file)


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

    What all verbs have in common:

    path : folder, or the URL of one
        Made if it is not there. URLs, and paths of ``filesystem``, are staged on this machine and uploaded at the end.
    mode : "error", "overwrite", "append" or "ignore"
        What to do where the folder holds such output: refuse, replace it (other files stay), number new files on after
        the last, or do nothing, without running the query. Files named by their rows are never added to: one that is
        there is an error unless it may be replaced.
    resume : bool
        Go on where the same query was killed, or failed with ``resume=True``: what it had written is not done again.
        With ``mode="error"`` nothing is done where the output is complete. Another query there is an error.
    filesystem : optional
        An fsspec or pyarrow filesystem that the path belongs to.
    min_rows_per_file, max_rows_per_file, max_file_bytes : int, optional
        The rows of a part, the last one excepted, and the bytes at which a new one is begun. By default a part has
        about 128 rows with images, more without.
    partition_cols : sequence of str, optional
        Columns that name folders, ``label=cat/part-00000.parquet``, and are left out of the files; read them again with
        ``partitioning=ld.Partitioning("hive")``. Values are quoted as in URLs; null is ``__HIVE_DEFAULT_PARTITION__``.
    on_error : "raise" or "skip"
        What to do with a row that cannot be encoded: stop, or leave it out and list it in ``WriteResult.errors``.

    Beside the files an empty ``_SUCCESS`` says that all are there, and ``_errors.parquet``, where rows failed, lists
    them as ``WriteResult.errors`` does. pyarrow and lightdata pass over names that begin with ``_``; to read a folder
    with ``_errors.parquet``, Polars is told ``hidden_file_prefix="_"``.
    """

    def _write(self, to: Destination, sink: Sink, *, multiple_of: int = 1, joined: Joined | None = None) -> WriteResult:
        from lightdata.io.sinks.commit import commit, write_errors  # noqa: PLC0415 - only for queries that are written
        from lightdata.io.sinks.staging import staging  # noqa: PLC0415 - the same

        write = Write(input=self._plan, sink=sink, directory="", multiple_of=multiple_of)
        verify_step(write)
        job = _job(write)
        with terminations_raised(), interrupts_deferred():
            if (result := _known_result(to, sink, job)) is not None:
                return result
            with ExitStack() as stack:
                with write_errors(to.target.shown):
                    journal = stack.enter_context(staging(to.target, job, resume=to.resume))
                job = journal.job() or job
                seeded = with_seeds(self._plan, job.seed)
                plan = replace(write, input=seeded, directory=str(journal.folder.absolute()))
                with interrupts_heard():
                    staged = self._stage(plan, journal)
                if joined is not None:
                    with write_errors(to.target.shown), interrupts_heard():
                        staged = staged._replace(files=joined(staged.files, journal.folder))
                return commit(to.target, sink, staged._replace(is_one_file=to.file is not None), mode=to.at_commit)

    def _stage(self, plan: Write, journal: Journal) -> Staged:
        """Run a query; rows are missing that a step let go, that could not be written, or whose image is null."""
        from lightdata.io.sinks.commit import Staged  # noqa: PLC0415 - only for queries that are written

        stage = f"write {plan.sink}"
        files: list[StagedFile] = []
        missing: list[tuple[StagedFile, RowError]] = []
        rows = 0
        for batch in self._run(plan, verb=stage, journal=journal):
            described = [StagedFile(**row) for row in batch.to_pylist()]
            for number, file in enumerate(described):
                if not file.path:
                    failure = file.failure(row=rows + (number if file.row is None else file.row), stage=stage)
                    missing.append((file, failure))
            rows += sum(file.rows if file.path else 1 for file in described)
            files += described
        before = [error for error in self._failures() if error.stage != stage]
        return Staged(Path(plan.directory), files, [*before, *_unexplained(missing, before)])

    def _known_schema(self) -> Schema | None:
        """The columns, where the plan alone tells them."""
        return schema_of(self._plan)


def _job(write: Write) -> Job:
    from lightdata.io.sinks.journal import Job  # noqa: PLC0415 - only for queries that are written
    from lightdata.plan.fingerprint import fingerprint  # noqa: PLC0415 - the same

    settings = config()
    known = fingerprint(write, settings.exact_pixels, settings.on_error)
    return Job(known, explain_plan(write), secrets.randbits(63))


def _known_result(to: Destination, sink: Sink, job: Job) -> WriteResult | None:
    """Refuse a target that cannot be written to, before any row is read; give the result where nothing is to do."""
    from lightdata.io.sinks.commit import check_file, check_target, is_complete, write_errors  # noqa: PLC0415 - as above
    from lightdata.io.sinks.result import WriteResult  # noqa: PLC0415 - the same
    from lightdata.io.sinks.staging import finish_commits  # noqa: PLC0415 - the same

    with write_errors(to.target.shown):
        finished = finish_commits(to.target)
    nothing = WriteResult(to.target.shown, (), 0, 0)
    if to.resume and job.fingerprint in finished:
        return finished[job.fingerprint]
    if to.resume and to.mode == "error" and is_complete(to.target, to.file):
        _LOG.warning("%s is complete; nothing was written. mode='overwrite' writes it anew", to.target.shown)
        return nothing
    if to.file is not None:
        return None if check_file(to.target, to.file, to.mode) else nothing
    return None if check_target(to.target, sink, to.mode) else nothing


def _unexplained(missing: Sequence[tuple[StagedFile, RowError]], before: Sequence[RowError]) -> list[RowError]:
    """Leave out null images that are null because a step before could not make them: that is told already."""
    told = {_place(error) for error in before}
    return [error for file, error in missing if file.error is not None or _place(error) not in told]


def _place(error: RowError) -> tuple[str | None, int | None]:
    return error.uri, None if error.uri else error.row
