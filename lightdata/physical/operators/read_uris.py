"""Paths and URLs to the bytes they name, many at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import finalize

import pyarrow as pa

from lightdata.config import batch_limit
from lightdata.errors import ColumnNotFoundError, ReadError, SchemaError
from lightdata.expr.deferred import Chain
from lightdata.io.uris.read import UriReader
from lightdata.kernels.tally import tally
from lightdata.physical.stage import Context, visible_names, with_column
from lightdata.types.plain_array import plain_array
from lightdata.types.uri_operation import ReadUri

_T = TypeVar("_T")
_R = TypeVar("_R")

_AHEAD = 2
"""Rows for each thread that are asked for before the oldest has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadUrisOperator:
    """Add the bytes that readings give, under the deferred names of these; a null gives null.

    Rows leave in their order, a few at a time, while later ones are still being read.
    """

    reads: tuple[Chain, ...]
    threads: int
    rows: int
    """Of a batch that leaves, at most."""

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Read what each row names."""
        opened = context.resource(self, lambda: _Opened(self.reads, self.threads), lambda one: one.close())
        try:
            for batch in batches:
                yield from self._with_bytes(batch, opened, context)
        except BaseException:
            context.drop(self)  # threads may be busy with rows that nobody wants any more
            raise

    def _with_bytes(self, batch: pa.RecordBatch, opened: _Opened, context: Context) -> Iterator[pa.RecordBatch]:
        found = [opened.results(chain, _uris(batch, chain)) for chain in self.reads]
        rows: list[tuple[bytes | None, ...]] = []
        start, size = 0, 0
        for number, results in enumerate(zip(*found, strict=True)):
            for chain, result in zip(self.reads, results, strict=True):
                if isinstance(result, ReadError) and _settings(chain).on_error == "raise":
                    yield from self._filled(batch, start, rows)
                    raise result.at(row=number, stage=str(chain)) from result.__cause__
            values = tuple(
                _counted(one, chain, number, context) for one, chain in zip(results, self.reads, strict=True)
            )
            rows.append(values)
            size += sum(len(value) for value in values if value is not None)
            if len(rows) == self.rows or size > batch_limit():
                yield from self._filled(batch, start, rows)
                rows, start, size = [], number + 1, 0
        yield from self._filled(batch, start, rows)

    def _filled(
        self, batch: pa.RecordBatch, start: int, rows: Sequence[tuple[bytes | None, ...]]
    ) -> Iterator[pa.RecordBatch]:
        if not rows:
            return
        part = batch.slice(start, len(rows))
        for chain, values in zip(self.reads, zip(*rows, strict=True), strict=True):
            part = with_column(part, chain.name, plain_array(values, pa.large_binary()))
        yield part


class _Opened:
    """Threads and connections; closed when the stage that uses them is gone."""

    def __init__(self, reads: Sequence[Chain], threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lightdata-read")
        self._readers = {chain: UriReader(_settings(chain)) for chain in reads}
        self._ahead = _AHEAD * threads
        self.close = finalize(self, _close, self._pool, list(self._readers.values()))

    def results(self, chain: Chain, uris: Iterable[str | None]) -> Iterator[bytes | ReadError | None]:
        """Read files in other threads, and give what each is in order."""
        return in_order(self._pool, lambda uri: _read(self._readers[chain], uri), uris, self._ahead)


def _close(pool: ThreadPoolExecutor, readers: Sequence[UriReader]) -> None:
    for reader in readers:
        reader.close()
    pool.shutdown(wait=False, cancel_futures=True)


def in_order(pool: ThreadPoolExecutor, function: Callable[[_T], _R], items: Iterable[_T], ahead: int) -> Iterator[_R]:
    """Call a function in threads, and give the results in the order of the items, never more than ``ahead`` early.

    Where results are large, fewer are made early: as many of the largest so far as a batch may take, and one at least.
    """
    coming: deque[Future[_R]] = deque()
    most, largest = batch_limit(), 1
    try:
        for item in items:
            coming.append(pool.submit(function, item))
            while len(coming) > min(ahead, max(most // largest, 1)):
                result = coming.popleft().result()
                largest = max(largest, len(result) if isinstance(result, bytes) else 0)
                yield result
                del result
        while coming:
            yield coming.popleft().result()
    finally:
        for one in coming:
            one.cancel()


def _read(reader: UriReader, uri: str | None) -> bytes | ReadError | None:
    try:
        return None if uri is None else reader.read(uri)
    except ReadError as error:
        return error


def _counted(result: bytes | ReadError | None, chain: Chain, number: int, context: Context) -> bytes | None:
    """Take note of what a thread did: work is counted, and failures are told, where the stage runs."""
    if isinstance(result, ReadError):
        context.failures.append(result.at(row=number, stage=str(chain)))
        return None
    if result is not None:
        tally("files_opened")
        tally("bytes_read", len(result))
    return result


def _settings(chain: Chain) -> ReadUri:
    operation: Any = chain.operations[0]
    return operation


def _uris(batch: pa.RecordBatch, chain: Chain) -> list[str | None]:
    """List what a column names; where columns are only known now, it may be no such column."""
    if chain.column not in batch.schema.names:
        raise ColumnNotFoundError.for_step(chain.column, step=str(chain), available=visible_names(batch))
    column = batch.column(chain.column)
    if not (pa.types.is_large_string(column.type) or pa.types.is_null(column.type)):
        raise SchemaError(f"{chain}: this needs paths or URLs as text, not a column of type {column.type}")
    return column.to_pylist()
