"""One quiet line for work that takes a while."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from lightdata.config import config

DELAY_S = 1.0
"""Work that is shorter shows nothing."""


def with_progress(
    batches: Iterator[pa.RecordBatch],
    *,
    verb: str,
    total: Callable[[], int | None],
    rows: Callable[[pa.RecordBatch], int] = len,
) -> Iterator[pa.RecordBatch]:
    """Pass batches on, showing rows, rate and time left on a terminal; silent elsewhere or if it is switched off.

    The rate is that of the rows after the first batch: before it workers start and models warm up. ``rows`` says
    how many rows a batch stands for: its own, or those of the files it lists.
    """
    if not config().progress or sys.stderr is None or not sys.stderr.isatty():  # None where it was closed
        yield from batches
        return
    began, line = time.monotonic(), None
    try:
        for batch in batches:
            count = rows(batch)
            yield batch
            del batch  # while the next one is made, nobody here needs it
            if line is None:
                line = _begun(verb, total(), count, waited_s=time.monotonic() - began)
            else:
                line.update(count)
    finally:
        if line is not None:
            line.close()


def _begun(verb: str, total: int | None, rows: int, *, waited_s: float) -> Any:
    """Begin the line with the rows of the first batch, which count but not towards the rate.

    The line's clock, and the mean that it keeps of recent rates, begin here: both would long remember the wait.
    """
    from tqdm import tqdm  # noqa: PLC0415 - only where there is somebody to look

    delay = max(0.0, DELAY_S - waited_s)
    return tqdm(total=total, initial=rows, desc=verb, unit=" rows", delay=delay, leave=False, dynamic_ncols=True)
