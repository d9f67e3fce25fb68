"""Streams of batches into and out of Polars' streaming engine.

This is the only module that touches Polars' unstable hooks, ``register_io_source`` and ``collect_batches``. A source
applies columns, predicate and row limit itself, as Polars expects of it: one that ignored ``n_rows`` would be read
too far. Polars pulls from a source in a thread of its own, and lets go of one it has had enough of only when somebody
calls Polars again. A thread that pulls while the interpreter ends would take the process down, so streams end first.
"""

from __future__ import annotations

import atexit
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa

from lightdata.config import memory_limit
from lightdata.errors import ExecutionError, ExpressionError
from lightdata.expr.deferred import in_words
from lightdata.interrupt import interruptible, interrupts_deferred
from lightdata.io.memory import one_batch
from lightdata.io.memory_budget import memory_budget
from lightdata.kernels.rebatch import owned
from lightdata.types.canonical import canonical
from lightdata.types.schema import Schema

_T = TypeVar("_T")

POLARS_SHARE = 2
"""The part of the memory limit that Polars has where a query runs in it, one in so many; pixels have the rest."""

_LARGE_BYTES = 1 << 20
"""Bytes of a batch from which on it counts for what Polars may hold."""

Open = Callable[[list[str] | None, pl.Expr | None, int | None], Iterator[pa.RecordBatch | pl.DataFrame]]
"""Opens a stream of these columns, of so many rows at most, and of those the ones that fulfil the predicate."""

_END_S = 0.5
"""Seconds that the end of the interpreter waits for Polars to let go of its sources."""

_WAY_BACK_S = 0.05
"""Seconds that a thread of Polars may take for the way back out of its last pull, on a busy machine."""


class _Sources:
    """The sources that Polars has opened and not let go of."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._count = 0
        self._changed_s = -_WAY_BACK_S
        self.are_over = False

    def add(self, change: int) -> None:
        """Count one that is opened, or let go of."""
        with self._turn:
            self._count += change
            self._changed_s = time.monotonic()

    def end(self) -> None:
        """Let every source fail where it is pulled from next, and wait until Polars has let go."""
        self.are_over = True
        deadline = time.monotonic() + _END_S
        while self._count and time.monotonic() < deadline:
            let_go()
            time.sleep(0.001)
        time.sleep(max(self._changed_s + _WAY_BACK_S - time.monotonic(), 0))


_sources = _Sources()
atexit.register(interrupts_deferred(is_last=True)(_sources.end))


def let_go() -> None:
    """Call Polars, which then drops what it has let go of in threads that could not."""
    pl.thread_pool_size()


class Upstream:
    """A stream of batches that Polars reads: its error is remembered, and it can be closed from any thread.

    Polars passes an error on as it is, but does not tell a stream's from one of its own. A query that ends early may
    still be pulling a batch when it is closed: closing waits for that batch.
    """

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._turn = threading.Lock()
        self._is_closed = False
        self._held: pa.RecordBatch | None = None
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._next()) is not None:
            yield batch

    def peek(self) -> pa.RecordBatch | None:
        """Give the first batch, which is still to come, or ``None`` if there is none."""
        self._held = self._next()
        return self._held

    def _next(self) -> pa.RecordBatch | None:
        with self._turn:
            held, self._held = self._held, None
            if held is not None or self._is_closed:
                return held
            try:
                return next(self._batches, None)
            except BaseException as error:
                self.error = error
                raise

    def close(self) -> None:
        """End the stream, and what runs behind it."""
        with self._turn:
            self._is_closed = True
            if hasattr(self._batches, "close"):
                self._batches.close()


def scan_stream(upstream: Upstream, schema: Schema) -> pl.LazyFrame:
    """Hand a stream of batches to Polars; it can be read once."""

    def opened(columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None) -> Iterator[pl.DataFrame]:
        del columns, predicate, n_rows  # what has been made cannot be unmade; it is cut away
        return map(kept_frame, upstream)

    return scan_opened(opened, schema)


def scan_opened(opened: Open, schema: Schema | Callable[[], Schema]) -> pl.LazyFrame:
    """Make a frame of rows that are streamed, anew each time it is read, by a function that is told what is needed.

    The function may leave columns and rows in that were not asked for: they are cut away here. Where it filters, it
    must cut first: the predicate is about the first ``n_rows`` rows. The stream is closed when Polars needs no more. A
    schema that takes work to know is given as a function, which Polars calls when it is asked for one.
    """

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        _sources.add(1)
        batches: Iterator[pa.RecordBatch | pl.DataFrame] = iter(())
        try:
            batches = opened(columns, predicate, n_rows)
            yield from _asked(batches, columns, predicate, n_rows)
        finally:
            _sources.add(-1)
            if hasattr(batches, "close"):
                batches.close()

    types = (lambda: pl.Schema(schema().to_polars())) if callable(schema) else schema.to_polars()
    return _quietly(lambda: pl.io.plugins.register_io_source(source, schema=types))


def _asked(
    batches: Iterator[pa.RecordBatch | pl.DataFrame],
    columns: list[str] | None,
    predicate: pl.Expr | None,
    n_rows: int | None,
) -> Iterator[pl.DataFrame]:
    """Cut batches down to what Polars asks for: of the first ``n_rows`` rows those that fulfil the predicate."""
    left = n_rows
    for batch in batches:
        frame = batch if isinstance(batch, pl.DataFrame) else frame_of(batch)
        del batch
        frame = frame if left is None else frame.head(left)
        left = None if left is None else left - frame.height
        frame = frame if predicate is None else frame.filter(predicate)
        yield _only(frame, columns)
        if left == 0:
            return
        if _sources.are_over:
            raise ExecutionError("the interpreter is ending, and the query with it")


def _only(frame: pl.DataFrame, columns: list[str] | None) -> pl.DataFrame:
    """Choose columns; a frame forgets its height with its last one."""
    if columns is None:
        return frame
    return frame.select(columns) if columns else pl.DataFrame(height=frame.height)


def frame_of(batch: pa.RecordBatch) -> pl.DataFrame:
    """Give a batch as a frame of as many rows, even without columns."""
    return pl.DataFrame(pl.from_arrow(batch)) if batch.num_columns else pl.DataFrame(height=batch.num_rows)


def kept_frame(batch: pa.RecordBatch) -> pl.DataFrame:
    """Give a batch as a frame in memory of Polars' own, for it keeps what it sorts or joins.

    A batch that stays would keep a worker's slot, and Polars spills by what it has allocated itself: it does not know
    of memory that it was handed.
    """
    if not batch.num_columns or batch.nbytes < _LARGE_BYTES:
        return frame_of(owned(batch))
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, batch.schema) as writer:
        writer.write_batch(batch)
    return _quietly(lambda: pl.read_ipc_stream(pa.BufferReader(out.getvalue())))


def collect_stream(query: pl.LazyFrame, upstreams: Sequence[Upstream] = ()) -> Generator[pa.RecordBatch, None, None]:
    """Run a query as :func:`collect_frames` does, and give its batches in canonical types."""
    with interrupts_deferred():
        counted = not query.collect_schema()  # a frame forgets its height with its last column
    frames = collect_frames(query.select(pl.len()) if counted else query, upstreams)
    try:
        for frame in frames:
            yield rows_without_columns(frame.item()) if counted else one_batch(canonical(frame.to_arrow()))
    finally:
        frames.close()


def collect_frames(
    query: pl.LazyFrame, upstreams: Sequence[Upstream] = (), *, rows: int | None = None
) -> Generator[pl.DataFrame, None, None]:
    """Run a query in Polars' streaming engine and give its rows in order, as frames that are not empty.

    Polars may take its share of the memory limit, then it spills what it can.

    Parameters
    ----------
    query, upstreams
        What to run, and the streams that it reads.
    rows : int, optional
        Rows of a frame, about; by default as Polars works them off.

    Raises
    ------
    ExpressionError
        In Polars' words; but an error of an upstream is raised as it was.
    """
    batches: Any = None
    with memory_budget(memory_limit() // POLARS_SHARE):
        try:
            # Not lazily: the query then runs while the thread that waits for it is made.
            batches = _quietly(lambda: query.collect_batches(maintain_order=True, lazy=False, chunk_size=rows))
            for frame in interruptible(batches, "lightdata-polars"):
                if frame.height:
                    yield frame
        except pl.exceptions.PolarsError as error:
            if found := next((one.error for one in upstreams if one.error is not None), None):
                raise found from None
            raise ExpressionError(in_words(str(error))) from error
        finally:
            del batches  # Polars stops pulling when nobody holds it
            for upstream in upstreams:
                upstream.close()
            let_go()


def rows_without_columns(count: int) -> pa.RecordBatch:
    """Make a batch that has rows and no columns."""
    return pa.RecordBatch.from_arrays([pa.nulls(count)], names=["rows"]).select([])


def _quietly(call: Callable[[], _T]) -> _T:
    with interrupts_deferred(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Polars calls these hooks unstable, which this module exists for
        return call()
