"""What happens in a run: the work of its stages, and the rows that failed and were let go, told once at its end."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from time import perf_counter

from lightdata.errors import RowError
from lightdata.kernels.tally import Tally
from lightdata.report.stats import Stats

_LOG = logging.getLogger("lightdata")

_EXAMPLES = 3


class RunLog:
    """Collects what one run does, from when it is made; may be read by another thread meanwhile."""

    def __init__(self) -> None:
        self.rows = 0
        """Rows that came out."""

        self.failed_rows = 0
        """Rows that became null or were skipped."""

        self.examples: list[RowError] = []
        self._stages: list[tuple[str, Tally]] = []
        self._started = perf_counter()
        self._ended: float | None = None

    def stage(self, name: str) -> Tally:
        """Give what the work of a stage is added to; stages are told in the order in which they ask for it."""
        counts = Tally()
        self._stages.append((name, counts))
        return counts

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

    def add_failures(self, failures: Iterable[RowError]) -> None:
        """Take note of rows that failed."""
        for failure in failures:
            self.failed_rows += 1
            if len(self.examples) < _EXAMPLES:
                self.examples.append(failure)

    def tell(self) -> None:
        """Log how many rows failed, and the first few, as one warning of the ``lightdata`` logger."""
        if not self.failed_rows:
            return
        rows = "1 row" if self.failed_rows == 1 else f"{self.failed_rows} rows"
        first = "; ".join(str(failure) for failure in self.examples)
        more = "; …" if self.failed_rows > len(self.examples) else ""
        _LOG.warning("%s failed and went on as on_error says: %s%s", rows, first, more)
