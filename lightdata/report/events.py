"""Rows that failed and were let go, told once at the end of a run."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from lightdata.errors import RowError

_LOG = logging.getLogger("lightdata")

_EXAMPLES = 3


class FailureLog:
    """Collects the rows that became null or were skipped."""

    def __init__(self) -> None:
        self.count = 0
        self.examples: list[RowError] = []

    def add(self, failures: Iterable[RowError]) -> None:
        """Take note of failures."""
        for failure in failures:
            self.count += 1
            if len(self.examples) < _EXAMPLES:
                self.examples.append(failure)

    def tell(self) -> None:
        """Log how many rows failed, and the first few, as one warning of the ``lightdata`` logger."""
        if not self.count:
            return
        rows = "1 row" if self.count == 1 else f"{self.count} rows"
        first = "; ".join(str(failure) for failure in self.examples)
        more = "; …" if self.count > len(self.examples) else ""
        _LOG.warning("%s failed and went on as on_error says: %s%s", rows, first, more)
