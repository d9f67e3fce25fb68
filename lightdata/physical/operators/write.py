"""Rows to files that wait for their commit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa

from lightdata.errors import ExecutionError, RowError
from lightdata.io.sinks.durable import syncing
from lightdata.io.sinks.journal import Done, Journal, task_key
from lightdata.io.sinks.sink import WRITTEN, Sink, StagedFile
from lightdata.io.source import URI
from lightdata.physical.stage import Context, name_rows, uri_of, without_hidden
from lightdata.report.account import Told
from lightdata.types.plain_array import plain_array


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOperator:
    """Write the rows of a task, and describe the files."""

    sink: Sink
    directory: str

    counts_rows: ClassVar[bool] = True

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Write all batches of one task; of one that was written before, and whose files wait, nothing is read."""
        journal, key = Journal(Path(self.directory)), task_key(context.number, context.content())
        done = journal.done(key)
        if done is None:
            files = self._written(batches, context)
            told = context.account.told()
            done = Done(files, told.seen, told.failures)
            with self._writing():
                journal.note(key, done)
        else:
            context.account.restore(Told(done.seen, failures=done.failures))
        yield describe_files(done.files)

    def _written(self, batches: Iterator[pa.RecordBatch], context: Context) -> list[StagedFile]:
        incoming = _Incoming(batches)
        try:
            files = list(_forced_to_disk(self.sink.write(iter(incoming), Path(self.directory))))
        except RowError as error:
            raise error.at(stage=f"write {self.sink}") from error.__cause__
        except OSError as error:
            if error is incoming.error:
                raise
            raise self._cannot_write(error) from error
        context.failures += [file.failure(row=file.row, stage=f"write {self.sink}") for file in files if file.error]
        return [file if file.path or file.error else incoming.named(file, row) for row, file in enumerate(files)]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> ExecutionError:
        folder = Path(self.directory)
        free = f"; {shutil.disk_usage(folder).free:,} bytes are free there" if folder.is_dir() else ""
        target = folder.parent if folder.name.startswith(".lightdata-") else folder
        reason = os.strerror(error.errno) if error.errno else str(error)
        return ExecutionError(f"cannot write to {str(target)!r}: {reason}{free}; what was there is unchanged")


class _Incoming:
    """Batches, what their rows are of, and the error that ended them: one of the source is none of the target."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._names: list[pa.RecordBatch] = []
        self.error: BaseException | None = None

    def named(self, file: StagedFile, row: int) -> StagedFile:
        """Say of a row without a file which file it came from, where that is known."""
        for batch in self._names:
            if row < batch.num_rows:
                return file._replace(uri=uri_of(batch, row))
            row -= batch.num_rows
        return file

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._batches:
                name_rows(batch)
                self._names.append(batch.select([name for name in (URI, "path") if name in batch.schema.names]))
                yield without_hidden(batch)
        except Exception as error:
            self.error = error
            raise


def _forced_to_disk(files: Iterable[StagedFile]) -> Iterator[StagedFile]:
    """Pass files on; when they end, each is on disk."""
    with syncing() as begin:
        for file in files:
            if file.path:
                begin(file.path)
            yield file


def describe_files(files: Sequence[StagedFile]) -> pa.RecordBatch:
    """List staged files as rows."""
    columns = list(zip(*files, strict=True)) or [()] * len(WRITTEN)
    arrays = [plain_array(values, kind) for values, kind in zip(columns, WRITTEN.values(), strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=WRITTEN.names)
