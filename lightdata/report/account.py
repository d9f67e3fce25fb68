"""Rows of a task as they pass its operators: where each failed row was, and that none is lost on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Self

import pyarrow as pa

from lightdata.errors import ExecutionError, RowError
from lightdata.kernels.tally import rows_in_hand

_SOURCE = -1
"""Stands for what read the task, before the first operator."""


class Boundary(NamedTuple):
    """The end of a task of a stage, counted from where the stage began; a stage may go on from there."""

    tasks: int = 0
    seen: tuple[int, ...] = ()
    """Rows that were handed to each operator."""

    rows: int = 0
    """Rows that came out."""

    @property
    def seen_first(self) -> int:
        """Rows that came in."""
        return self.seen[0] if self.seen else self.rows


class Told(NamedTuple):
    """What is known of a task when it has ended."""

    seen: tuple[int, ...] = ()
    """Rows that were handed to each operator."""

    rows: int = 0
    """Rows that came out."""

    failures: tuple[tuple[int, RowError], ...] = ()
    """Rows that failed and were let go: the operator, and the error, whose row counts those that operator was given."""


class Account:
    """Keeps the rows of one task."""

    def __init__(self, operators: Sequence[Any] = ()) -> None:
        self._operators = operators
        self._seen = [0] * len(operators)
        self._before = [0] * len(operators)
        self._rows = 0
        self._failures: list[tuple[int, RowError]] = []

    def entering(self, place: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass on the batches that an operator gets."""
        for batch in batches:
            self._seen[place] += batch.num_rows
            held = [batch]
            del batch  # the operator lets go of it, and nobody else needs it
            rows_in_hand(None)  # until it says whose
            yield held.pop()
            self._before[place] = self._seen[place]

    def failures(self, place: int = _SOURCE) -> list[RowError]:
        """Give the list that an operator, or the source, adds its failures to."""
        return _Failures(self, place)

    def add(self, place: int, failure: RowError) -> None:
        """Take note of a row of the batch that an operator has in hand."""
        counts = place == _SOURCE or getattr(self._operators[place], "counts_rows", False)  # by itself, of all batches
        self._failures.append((place, failure if counts else failure.moved(self._before[place])))

    def told(self) -> Told:
        """Sum up."""
        return Told(tuple(self._seen), self._rows, tuple(self._failures))

    def restore(self, told: Told) -> None:
        """Take what was told of a task that was done before for what became of this one."""
        self._seen[:] = told.seen
        self._failures[:] = told.failures

    def check(self, rows_out: int) -> None:
        """See that each row that operators were given went on, or failed.

        Raises
        ------
        ExecutionError
            If not: that is a mistake of lightdata's.
        """
        self._rows = rows_out
        given_by = [*self._seen[1:], rows_out]
        for place, operator in enumerate(self._operators):
            seen, given = self._seen[place], given_by[place]
            if not getattr(operator, "keeps_rows", False):
                continue
            failed = {error.row for at, error in self._failures if at == place}
            lost = len(failed) if operator.on_error == "skip" else 0
            if given + lost != seen:
                raise ExecutionError(
                    f"{type(operator).__name__} was given {seen} rows, gave {given} and told of {lost} it left out; "
                    "this is a mistake of lightdata's, please report it"
                )


class _Failures(list[RowError]):
    """The failures of one operator, on their way to the account."""

    def __init__(self, account: Account, place: int) -> None:
        super().__init__()
        self._account, self._place = account, place

    def append(self, failure: RowError) -> None:
        self._account.add(self._place, failure)

    def extend(self, failures: Iterable[RowError]) -> None:
        for failure in failures:
            self.append(failure)

    def __iadd__(self, failures: Iterable[RowError]) -> Self:  # type: ignore[misc,override]  # of errors alone
        self.extend(failures)
        return self
