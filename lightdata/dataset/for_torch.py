"""Rows for PyTorch's data loaders: each worker of a loader reads a share of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import cloudpickle
import numpy as np
import pyarrow as pa

from lightdata.config import config
from lightdata.dataset.batches import cut_batches, torch_tensor
from lightdata.errors import ArgumentError, ExecutionError
from lightdata.kernels.batch_format import to_format
from lightdata.kernels.rows import iter_rows
from lightdata.plan.node import Plan
from lightdata.plan.share import share_of

if TYPE_CHECKING:
    from lightdata.dataset.exchange import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How rows are handed over."""

    batch_size: int | None
    drop_last: bool
    shuffle: tuple[int, int | None] | None
    dtypes: Any


def torch_dataset(dataset: Exchange, delivery: Delivery) -> Any:
    """Wrap a dataset as a ``torch.utils.data.IterableDataset``.

    Raises
    ------
    ArgumentError
        If torch is not installed.
    """
    try:
        from torch.utils.data import IterableDataset, get_worker_info  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise ArgumentError("to_torch needs torch: pip install torch") from None

    home = os.getpid()

    class TorchRows(IterableDataset):
        """The rows of a lightdata query; a worker of a ``DataLoader`` gives its share of them."""

        def __iter__(self) -> Iterator[Any]:
            if os.getpid() != home:
                raise ExecutionError(
                    "to_torch: this worker of the DataLoader was forked, which Polars does not outlive; give the "
                    "DataLoader multiprocessing_context='spawn' or 'forkserver'"
                )
            worker = get_worker_info()
            number, shares = (0, 1) if worker is None else (worker.id, worker.num_workers)
            return delivered(dataset, delivery, number, shares)

        def __reduce__(self) -> tuple[Callable[..., Any], tuple[bytes]]:
            return _arrived, (cloudpickle.dumps((dataset, delivery)),)  # users' functions may be lambdas

    return TorchRows()


def _arrived(pickled: bytes) -> Any:
    return torch_dataset(*cloudpickle.loads(pickled))


def delivered(dataset: Exchange, delivery: Delivery, number: int, shares: int) -> Iterator[Any]:
    """Give share ``number`` of the rows, or of batches of them, as torch's tensors where they are arrays."""
    if shares > 1:
        config(workers=0, progress=False)  # this process is one of several workers, and may start none
    plan, step = dataset._plan, shares  # noqa: SLF001 - of its own family
    if shares > 1 and (share := share_of(plan, number, shares)) is not None:
        plan, number, step = share, 0, 1
    return islice(_items(dataset, plan, delivery), number, None, step)


def _items(dataset: Exchange, plan: Plan, delivery: Delivery) -> Iterator[Any]:
    batches: Iterator[pa.RecordBatch] = dataset._run(plan, verb="torch", pixels=True)  # noqa: SLF001 - as above
    if delivery.shuffle is not None or delivery.batch_size is not None:
        batches = cut_batches(batches, delivery.batch_size or 1, delivery.shuffle, drop_last=delivery.drop_last)
    for batch in batches:
        if delivery.batch_size is None:
            yield from (_values(row, delivery) for row in iter_rows(batch))
        else:
            yield _values(to_format(batch, "numpy"), delivery)


def _values(values: Mapping[str, Any], delivery: Delivery) -> dict[str, Any]:
    return {name: _value(name, value, delivery) for name, value in values.items()}


def _value(name: str, value: Any, delivery: Delivery) -> Any:
    """Make a tensor of an array of numbers; anything else stays as it is, a list of texts for a batch of them."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind not in "biufc":
        return value.tolist()
    dtypes = delivery.dtypes
    return torch_tensor(name, value).to(dtype=dtypes.get(name) if isinstance(dtypes, dict) else dtypes)
