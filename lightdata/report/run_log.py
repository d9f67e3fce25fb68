"""What happens in a run: the work of its stages, and the rows that failed, told once at its end.

How failed rows are counted. Code that disagrees with this is wrong.
  Record   Every row that failed is one :class:`RowError` here, in row order, whatever ``on_error`` says: of a run that
           raises, the row that ended it.
  Row      Counts the rows that the step was given which failed, from 0 on, through all tasks of its stage.
  Limit    ``max_errors`` is looked at whenever a task ends; a share only after ``PROBATION_ROWS`` rows, and at the end.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from time import perf_counter

from lightdata.errors import FunctionError, RowError, TooManyErrorsError
from lightdata.kernels.tally import Tally
from lightdata.kernels.warned import Cases, Kind, Warned
from lightdata.report.account import Boundary, Told
from lightdata.report.stats import Stats

_LOG = logging.getLogger("lightdata")

_EXAMPLES = 3
_KINDS = 20

PROBATION_ROWS = 1000
"""Rows below which a share of failed rows says nothing yet."""


class RunLog:
    """Collects what one run does, from when it is made; may be read by another thread meanwhile."""

    def __init__(self, max_errors: float | None = None) -> None:
        self.rows = 0
        """Rows that came out."""

        self.errors: list[RowError] = []
        """Rows that failed."""

        self.max_errors = max_errors
        """Rows that may fail before the run is given up: a count, or a share below 1."""

        self.rows_seen = 0
        """Rows that were looked at, by the stage that looked at most."""

        self.keeps_ends = False
        """Whether stages keep what was told of each task."""

        self.stage_logs: dict[int, StageLog] = {}
        """Those of the stages that have begun, by the ``id`` of the stage."""

        self._let_go = 0
        self._stages: list[tuple[str, Tally]] = []
        self._started = perf_counter()
        self._ended: float | None = None

    def stage(self, name: str) -> Tally:
        """Give what the work of a stage is added to; stages are told in the order in which they ask for it."""
        counts = Tally()
        self._stages.append((name, counts))
        return counts

    def stage_log(self, stage: object, begins: Boundary) -> StageLog:
        """Give what takes note of the tasks of a stage."""
        log = self.stage_logs[id(stage)] = StageLog(self, begins)
        if self.keeps_ends:
            log.ends = deque()
        return log

    def end(self) -> None:
        """Stop the clock."""
        self._ended = perf_counter()

    def stats(self) -> Stats:
        """Sum up what was done so far."""
        ended = self._ended
        return Stats.of(
            list(self._stages),
            rows=self.rows,
            seconds=(perf_counter() if ended is None else ended) - self._started,
            is_finished=ended is not None,
        )

    def warned(self) -> Warned:
        """Add up what decoders warned of so far."""
        return sum((counts.warned for _, counts in list(self._stages)), Warned())

    def add_failures(self, failures: Iterable[RowError]) -> None:
        """Take note of rows that failed, and were let go.

        Raises
        ------
        TooManyErrorsError
            If they are more than ``max_errors``.
        """
        before = self._let_go
        for failure in failures:
            self._let_go += 1
            self.errors.append(failure)
        if self._let_go > before:
            self.check(is_over=False)

    def add_last(self, error: Exception) -> None:
        """Take note of the row that ended the run, if a row did."""
        if isinstance(error, RowError):
            self.errors.append(error.at())
        elif note := next((one for one in getattr(error, "__notes__", ()) if one.startswith("lightdata: in ")), None):
            place = note.removeprefix("lightdata: in ")
            failure = FunctionError.of(error, uri=getattr(error, "uri", None), row=0, stage=place.partition(",")[0])
            failure.row = None  # its batch is told by the note alone
            self.errors.append(failure)

    def check(self, *, is_over: bool) -> None:
        """Give the run up if too many rows failed.

        Raises
        ------
        TooManyErrorsError
            Naming the commonest reasons and some of the rows.
        """
        most = self.max_errors
        if most is None or not self._let_go:
            return
        is_share = 0 < most < 1
        if is_share and not is_over and self.rows_seen < PROBATION_ROWS:
            return
        if self._let_go > (most * max(self.rows_seen, self._let_go) if is_share else most):
            raise TooManyErrorsError(self._too_many())

    def _too_many(self) -> str:
        kinds = Counter(_reason(error) for error in self.errors)
        reasons = "; ".join(f"{count} x {reason}" for reason, count in kinds.most_common(_EXAMPLES))
        samples = ", ".join(error.uri or f"row {error.row}" for error in self.errors[:_EXAMPLES])
        return (
            f"{self._let_go} of {self.rows_seen or 'the'} rows failed, more than max_errors={self.max_errors} lets go. "
            f"Commonest: {reasons}. Such as: {samples}. Mend or leave out these rows, or raise max_errors"
        )

    def tell(self) -> None:
        """Log how many rows failed, and the first few, as one warning of the ``lightdata`` logger.

        Each kind of warning of decoders is one more.
        """
        for number, (kind, cases) in enumerate(warned := [*self.warned()]):
            if number == _KINDS:
                _LOG.warning("decoders gave %d more kinds of warnings: see Dataset.warnings()", len(warned) - number)
                break
            _LOG.warning("%s", _told(kind, cases))
        if not self._let_go:
            return
        rows = "1 row" if self._let_go == 1 else f"{self._let_go} rows"
        first = "; ".join(str(failure) for failure in self.errors[: min(_EXAMPLES, self._let_go)])
        more = "; …" if self._let_go > _EXAMPLES else ""
        _LOG.warning("%s failed and went on as on_error says: %s%s", rows, first, more)


class StageLog:
    """Takes what the tasks of one stage tell, in their order, and counts their rows on."""

    def __init__(self, log: RunLog, begins: Boundary) -> None:
        self._log = log
        self._at = begins
        self.ends: deque[tuple[Boundary, list[RowError]]] | None = None
        """What was told of each task, where somebody asks for it."""

    def add(self, parts: Sequence[Told]) -> None:
        """Take note of a task that ended, and that was done in some parts."""
        failures: list[RowError] = []
        for told in parts:
            before = self._at.seen or (0,) * len(told.seen)
            seen = tuple(old + new for old, new in zip(before, told.seen, strict=True))
            self._at = Boundary(self._at.tasks, seen, self._at.rows + told.rows)
            self._log.rows_seen = max(self._log.rows_seen, *seen, 0)
            failures += [error if at < 0 else error.moved(before[at]) for at, error in told.failures]
        self._at = self._at._replace(tasks=self._at.tasks + 1)
        if self.ends is not None:
            self.ends.append((self._at, failures))
        if failures:
            self._log.add_failures(failures)


def _told(kind: Kind, cases: Cases) -> str:
    """Say in a line what a decoder warned of, how often, and of which files."""
    names = [one.uri for one in cases.first if one.uri is not None][:_EXAMPLES]
    files = "1 file" if cases.files == 1 else f"{cases.files} files"
    such = f", such as {', '.join(names)}" if len(names) < cases.files else f": {', '.join(names)}"
    return f"{kind.source} in {files}{such if names else ''}: {cases.first[0].message}"


def _reason(error: RowError) -> str:
    cause = f" ({error.cause})" if error.cause else ""
    return f"{error.code}{cause}"
