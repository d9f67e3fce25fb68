"""Cut, mix, prefetch and convert the batches that a consumer gets."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from lightdata.errors import ArgumentError, SchemaError
from lightdata.kernels.rebatch import concat, rebatch
from lightdata.types.plain_array import number_array

_T = TypeVar("_T")


def cut_batches(
    batches: Iterator[pa.RecordBatch],
    batch_size: int | None,
    shuffle: tuple[int, int | None] | None,
    *,
    drop_last: bool,
) -> Iterator[pa.RecordBatch]:
    """Cut a stream every ``batch_size`` rows, mixed within a buffer if ``shuffle`` gives its rows and seed.

    Raises
    ------
    ArgumentError
        For sizes that cannot work.
    """
    if batch_size is not None and batch_size < 1:
        raise ArgumentError(f"batch_size must be a positive number of rows or None; got {batch_size!r}")
    if shuffle is not None:
        if batch_size is None or shuffle[0] < 1:
            raise ArgumentError("local_shuffle_buffer_size must be positive, and needs a batch_size")
        batches = shuffled(batches, batch_size, *shuffle)
    whole = batches if batch_size is None else rebatch(batches, batch_size)
    return (batch for batch in whole if batch.num_rows and not (drop_last and batch.num_rows < (batch_size or 0)))


def shuffled(
    batches: Iterator[pa.RecordBatch], batch_size: int, buffer_rows: int, seed: int | None
) -> Iterator[pa.RecordBatch]:
    """Draw each batch at random from a buffer of at least ``buffer_rows`` rows while there are as many."""
    draw = np.random.default_rng(seed)
    buffer: pa.RecordBatch | None = None
    for batch in batches:
        buffer = batch if buffer is None else concat([buffer, batch])
        while buffer.num_rows >= buffer_rows + batch_size:
            order = draw.permutation(buffer.num_rows)
            yield buffer.take(number_array(order[:batch_size]))
            buffer = buffer.take(number_array(np.sort(order[batch_size:])))
    if buffer is not None:
        yield buffer.take(number_array(draw.permutation(buffer.num_rows)))


def prefetched(items: Iterator[_T], count: int) -> Iterator[_T]:
    """Make up to ``count`` items ready in a thread while the consumer works on one.

    Raises
    ------
    ArgumentError
        If ``count`` is negative.
    """
    if count < 0:
        raise ArgumentError(f"prefetch_batches must be 0 or more; got {count}")
    return items if count == 0 else _prefetched(items, count)


def _prefetched(items: Iterator[_T], count: int) -> Iterator[_T]:
    # The thread owns ``items``: it alone advances and closes them. It stops at the next item once ``stopped`` is set.
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=count)
    stopped = threading.Event()

    thread = threading.Thread(target=_fetch, args=(items, ready, stopped), name="lightdata-prefetch", daemon=True)
    thread.start()
    try:
        while (entry := ready.get())[0]:
            yield entry[1]
            del entry
        if entry[1] is not None:
            raise entry[1]
    finally:
        stopped.set()
        thread.join()


def _fetch(items: Iterator[Any], ready: queue.Queue[tuple[bool, Any]], stopped: threading.Event) -> None:
    def put(entry: tuple[bool, Any]) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                ready.put(entry, timeout=0.1)
                return

    try:
        for item in items:
            put((True, item))
            if stopped.is_set():
                break
        put((False, None))
    except BaseException as error:  # noqa: BLE001 - raised where the consumer is
        put((False, error))
    finally:
        items.close()  # type: ignore[attr-defined]  # generators all


def to_torch(batches: Iterator[dict[str, Any]], dtypes: Any, device: str | None) -> Iterator[dict[str, Any]]:
    """Turn NumPy batches into torch tensors.

    Raises
    ------
    ArgumentError
        If torch is not installed.
    """
    try:
        import torch  # noqa: F401, PLC0415 - an optional extra
    except ImportError:
        raise ArgumentError("iter_torch_batches needs torch; install it, or use iter_batches") from None
    for batch in batches:
        yield {
            name: torch_tensor(name, array).to(
                dtype=dtypes.get(name) if isinstance(dtypes, dict) else dtypes, device=device
            )
            for name, array in batch.items()
        }


def torch_tensor(name: str, array: np.ndarray[Any, Any]) -> Any:
    """Make a tensor of a column, or of a value of it; the array is not copied.

    Raises
    ------
    SchemaError
        If it is no array of numbers.
    """
    import torch  # noqa: PLC0415 - an optional extra

    if array.dtype.kind not in "biufc":
        raise SchemaError(f"iter_torch_batches: column {name!r} is no array of numbers of one shape; drop or resize it")
    return torch.from_numpy(np.ascontiguousarray(array))
