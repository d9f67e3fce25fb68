"""The verbs that run a query and hand its rows over."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import pyarrow as pa

from lightdata.dataset.batches import cut_batches, prefetched, to_torch
from lightdata.dataset.combining import Combining
from lightdata.dataset.gathered import gathered_frame, gathered_table
from lightdata.dataset.run import rows_known, run
from lightdata.dataset.verbs import checked_format
from lightdata.errors import ArgumentError, NotRunError, RowError
from lightdata.interrupt import terminations_raised
from lightdata.io.error_frame import error_frame
from lightdata.io.memory import MemorySource
from lightdata.io.warning_frame import warning_frame
from lightdata.kernels.batch_format import to_format, to_pandas
from lightdata.kernels.rows import iter_rows
from lightdata.plan.explain import explain_plan
from lightdata.plan.node import Drop, Limit, Plan, Scan
from lightdata.plan.schema import schema_of
from lightdata.report.preview import preview_row
from lightdata.report.run_log import RunLog
from lightdata.report.stats import Stats
from lightdata.types.schema import Schema

if TYPE_CHECKING:
    from typing import Self

    from lightdata.io.sinks.journal import Journal


class Consumption(Combining):
    """A query that can be run."""

    _log: RunLog | None = None
    """Of the latest run."""

    _asker: Consumption | None = None
    """The dataset that made this one to run it in its stead."""

    def schema(self) -> Schema:
        """Tell the names and types of the columns.

        The plan tells them and no file is opened; only after a ``map`` or ``map_batches`` without ``schema=`` are
        the first rows run.

        >>> import lightdata as ld
        >>> ld.range(3).schema()
        id: int64
        """
        known = schema_of(self._plan)
        if known is not None:
            return known
        first = next(self._run(Limit(input=self._plan, n=1), verb="schema"), None)
        return Schema({}) if first is None else Schema.of(first)

    @property
    def columns(self) -> list[str]:
        """Name the columns, as :meth:`schema` does."""
        return self.schema().names

    def explain(
        self,
        *,
        optimized: bool | None = None,
        format: Literal["text", "tree", "mermaid"] = "text",  # noqa: A002 - Polars' word
    ) -> str:
        """Write the plan, last step first, with the rows and bytes that are known. Runs nothing.

        Parameters
        ----------
        optimized : bool, optional
            By default as it would run: optimized unless ``config(optimize=False)`` says otherwise.
        format : "text", "tree" or "mermaid"
            ``text`` also tells which rules changed the plan, and what runs where; ``tree`` shows the inputs of joins
            side by side, and ``mermaid`` is a diagram, both with the stage of each step.

        Examples
        --------
        >>> import lightdata as ld
        >>> ld.range(9).head(2).explain(optimized=False).splitlines()
        ['limit 2  [2 rows, 16 B]', '  scan range[9]  [9 rows, 72 B]']
        """
        from lightdata.dataset.explaining import explain  # noqa: PLC0415 - not every query is explained

        return explain(self._plan, optimized=optimized, form=format)

    def take(self, n: int = 20) -> list[dict[str, Any]]:
        """Give the first ``n`` rows as dicts, images and tensors as NumPy arrays.

        >>> import lightdata as ld
        >>> ld.range(100).take(2)
        [{'id': 0}, {'id': 1}]
        """
        return list(self._in_my_stead(self.limit(n)).iter_rows())

    def take_all(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Give all rows as dicts.

        Raises
        ------
        ArgumentError
            If there are more than ``limit`` rows.
        """
        if limit is None:
            return list(self.iter_rows())
        rows = self.take(limit + 1)
        if len(rows) > limit:
            raise ArgumentError(f"the dataset has more than limit={limit} rows")
        return rows

    def first(self) -> dict[str, Any] | None:
        """Give the first row, or ``None`` if there is none."""
        return next(iter(self.take(1)), None)

    def take_batch(self, batch_size: int = 20, *, batch_format: str | None = "numpy") -> Any:
        """Give the first rows as one batch.

        Raises
        ------
        ArgumentError
            If there are no rows.
        """
        limited = self._in_my_stead(self.limit(batch_size))
        batches = limited.iter_batches(batch_size=batch_size, batch_format=batch_format)
        batch = next(iter(batches), None)
        if batch is None:
            raise ArgumentError("take_batch: the dataset has no rows")
        return batch

    def show(self, n: int = 20) -> None:
        """Print the first ``n`` rows, images as ``<Image RGB 224x224>``.

        >>> import lightdata as ld
        >>> ld.range(2).show()
        {'id': 0}
        {'id': 1}
        """
        for row in self.take(n):
            sys.stdout.write(f"{preview_row(row)}\n")

    def count(self) -> int:
        """Count the rows; no image is opened unless a step needs to look at it, nor anything run if sources know.

        >>> import lightdata as ld
        >>> ld.range(7).filter(ld.col("id") > 4).count()
        2
        """
        plan, log = _without_columns(self._plan), RunLog()
        known = rows_known(plan)
        if known is None:
            return sum(batch.num_rows for batch in self._run(plan, verb="count"))
        log.rows = known
        log.end()
        self._keep(log)
        return known

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        """Stream rows as dicts, images and tensors as NumPy arrays."""
        for batch in self._run(self._plan, verb="rows", pixels=True):
            yield from (dict(row) for row in iter_rows(batch))

    def iter_batches(
        self,
        *,
        batch_size: int | None = 256,
        batch_format: str | None = "numpy",
        prefetch_batches: int = 0,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
    ) -> Iterator[Any]:
        """Stream batches of equal size, in order.

        Parameters
        ----------
        batch_size : int, optional
            Rows of every batch but the last; ``None`` for what is at hand.
        batch_format : "numpy", "pandas", "pyarrow", "polars"
            NumPy and pandas give pixels; Polars and pyarrow the columns as stored.
        prefetch_batches : int
            Batches brought into their format by a thread while the consumer works on one. Workers run ahead without it;
            a stream that is closed early then waits for the batch in hand.
        drop_last : bool
            Leave out a last batch that is not full.
        local_shuffle_buffer_size : int, optional
            Mix rows among at least so many; ``local_shuffle_seed`` makes it repeatable.

        Examples
        --------
        >>> import lightdata as ld
        >>> [batch["id"].tolist() for batch in ld.range(5).iter_batches(batch_size=2)]
        [[0, 1], [2, 3], [4]]
        """
        form = checked_format(batch_format)
        shuffle = None if local_shuffle_buffer_size is None else (local_shuffle_buffer_size, local_shuffle_seed)
        cut = cut_batches(
            self._run(self._plan, verb="rows", pixels=form in ("numpy", "pandas")),
            batch_size,
            shuffle,
            drop_last=drop_last,
        )
        return prefetched((to_format(batch, form) for batch in cut), prefetch_batches)

    def iter_torch_batches(self, *, dtypes: Any = None, device: str | None = None, **options: Any) -> Iterator[Any]:
        """Stream batches as torch tensors; ``options`` are those of :meth:`iter_batches` but the format.

        Parameters
        ----------
        dtypes : torch.dtype or mapping of column to torch.dtype, optional
        device : str, optional
            Where to put the tensors.

        Raises
        ------
        ArgumentError
            If torch is not installed.
        SchemaError
            If a column is no array of numbers.
        """
        return to_torch(self.iter_batches(**options), dtypes, device)

    def collect(self) -> pl.DataFrame:
        """Run the query and give a Polars frame; images and tensors stay as they are stored.

        >>> import lightdata as ld
        >>> ld.range(2).collect()["id"].to_list()
        [0, 1]
        """
        return gathered_frame(list(self._run(self._plan, verb="collect", kept=True)), schema_of(self._plan))

    def to_arrow(self) -> pa.Table:
        """Run the query and give an Arrow table; images and tensors stay as they are stored."""
        return gathered_table(list(self._run(self._plan, verb="collect", kept=True)), schema_of(self._plan))

    def to_pandas(self) -> Any:
        """Run the query and give a pandas frame, with one array in each cell of an image or tensor column."""
        batches = list(self._run(self._plan, verb="collect", pixels=True))
        return to_pandas(gathered_table(batches, schema_of(self._plan)))

    def materialize(self) -> Self:
        """Run the query and give a dataset of its rows, held in memory."""
        return type(self)(Scan(source=MemorySource(self.to_arrow())))

    def stats(self) -> Stats:
        """Tell what the latest run of this dataset did, or has done so far: files, bytes, images, rows and seconds.

        A run is begun by any verb that needs rows, such as :meth:`take`, :meth:`count` or writing. What Polars asks for
        behind ``to_lazy`` or SQL is told by the dataset it asks.

        >>> import lightdata as ld
        >>> data = ld.range(1000)
        >>> data.take(3)
        [{'id': 0}, {'id': 1}, {'id': 2}]
        >>> data.stats().rows
        3

        Raises
        ------
        NotRunError
            If nothing was run yet.
        """
        return self._told("stats").stats()

    def errors(self) -> pl.DataFrame:
        """List the rows that failed in the latest run of this dataset: one row for each, in row order.

        Kept whatever ``on_error`` says; of a run that raised, the row that ended it is there too. The columns: ``uri``,
        the file; ``row``, counted among those that the step was given; ``stage``, the step; ``code``, one of
        :data:`lightdata.errors.CODES`; ``cause``, the class of the exception behind it; ``message``; ``attempts``.

        >>> import lightdata as ld
        >>> data = ld.range(3).map(lambda row: {"x": 1 // row["id"]}, on_error="skip")
        >>> data.take_all()
        [{'x': 1}, {'x': 0}]
        >>> data.errors().select("row", "code", "cause").rows()
        [(0, 'function_failed', 'ZeroDivisionError')]

        Raises
        ------
        NotRunError
            If nothing was run yet.
        """
        return error_frame(self._told("errors").errors)

    def warnings(self) -> pl.DataFrame:
        """List what decoders warned of in the latest run of this dataset: one row for each kind.

        These files could be decoded all the same. The columns: ``kind``, the class of the warning, or ``libtiff``;
        ``message``, that of the first file; ``files``, how many there are; ``uris``, the first ten by name.

        >>> import lightdata as ld
        >>> data = ld.range(3)
        >>> data.count(), data.warnings().height
        (3, 0)

        Raises
        ------
        NotRunError
            If nothing was run yet.
        """
        return warning_frame(self._told("warnings").warned())

    def _told(self, verb: str) -> RunLog:
        """Give what the latest run told."""
        if self._log is None:
            raise NotRunError(
                f"{verb}: this dataset has not run yet; run it first with take(), count(), collect() or another verb "
                "that needs rows. Lazy verbs such as select() give other datasets, with runs of their own"
            )
        return self._log

    def _run(
        self, plan: Plan, *, verb: str, pixels: bool = False, kept: bool = False, journal: Journal | None = None
    ) -> Iterator[Any]:
        """Run a plan in the name of this dataset; the run begins when the first batch is asked for."""
        log = RunLog()
        self._keep(log)
        try:
            with terminations_raised():
                yield from run(plan, verb=verb, log=log, pixels=pixels, kept=kept, journal=journal)
        finally:
            log.end()

    def _keep(self, log: RunLog) -> None:
        asker: Consumption = self if self._asker is None else self._asker
        asker._log = log

    def _failures(self) -> list[RowError]:
        """Give the rows that failed in the latest run in the name of this dataset."""
        asker: Consumption = self if self._asker is None else self._asker
        return [] if asker._log is None else asker._log.errors

    def _in_my_stead(self, derived: Self) -> Self:
        """Let a dataset that is only made to be run at once tell of its runs here."""
        derived._asker = self if self._asker is None else self._asker
        return derived

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.iter_rows()

    def __repr__(self) -> str:
        known = schema_of(self._plan)
        words = "columns known when it runs" if known is None else ", ".join(repr(known).splitlines())
        plan = "\n".join(f"  {line}" for line in explain_plan(self._plan).splitlines())
        return f"Dataset[{words}]\n{plan}"


def _without_columns(plan: Plan) -> Plan:
    """Drop all columns, for a consumer that only counts: what merely makes them is never run."""
    schema = schema_of(plan)
    return Drop(input=plan, columns=tuple(schema)) if schema else plan
