"""One quiet line for work that takes a while."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

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
    if not config().progress or not sys.stderr.isatty():
        yield from batches
        return
    from tqdm import tqdm  # noqa: PLC0415 - only where there is somebody to look

    with tqdm(total=total(), desc=verb, unit=" rows", delay=DELAY_S, leave=False, dynamic_ncols=True) as line:
        for batch in batches:
            yield batch
            line.update(rows(batch))
            if not line.initial:
                line.initial, line.start_t = line.n, time.time()
