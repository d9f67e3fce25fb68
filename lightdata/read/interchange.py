"""Datasets of other libraries: PyTorch, TensorFlow, Hugging Face."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lightdata.dataset.dataset import Dataset
from lightdata.errors import ArgumentError
from lightdata.io.huggingface import HuggingFaceSource, stream_batches
from lightdata.io.iterable import IterableSource, batches_of_items
from lightdata.plan.node import DecodeImages, Plan, Scan
from lightdata.read import objects


def from_torch(dataset: Any, *, columns: Sequence[str] | None = None) -> Dataset:
    """Make a dataset of a PyTorch dataset, map-style or iterable; items are made when rows are asked for.

    Items that are mappings give their keys as columns, others a column ``item``, tuples columns ``item_0``, ``item_1``
    and so on. Tensors become tensors, PIL images become images. Items of a map-style dataset are made by the workers,
    those of an iterable one in order, by one of them.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
    columns : sequence of str, optional
        Names for the parts of a tuple, e.g. ``["image", "label"]``.

    Raises
    ------
    ArgumentError
        If it is no dataset.
    """
    if isinstance(columns, str):
        raise ArgumentError(f"from_torch: columns must be a list of names; got the text {columns!r}")
    to_row = partial(_row, columns=None if columns is None else tuple(columns))
    if hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__"):
        return objects.range(len(dataset)).map(_Item(dataset, to_row))
    if isinstance(dataset, Iterable):
        return Dataset(
            Scan(source=IterableSource(open=partial(batches_of_items, dataset, to_row), name=_name("torch", dataset)))
        )
    raise ArgumentError(
        f"from_torch takes a dataset with __getitem__ and __len__, or with __iter__; got {type(dataset).__name__}"
    )


def from_tf(dataset: Any) -> Dataset:
    """Make a dataset of a ``tf.data.Dataset``, whose elements are all read at once.

    Dicts give their keys as columns, other elements a column ``item``, tuples columns ``item_0``, ``item_1``.

    Raises
    ------
    ArgumentError
        If it is none.
    """
    if not hasattr(dataset, "as_numpy_iterator"):
        raise ArgumentError(f"from_tf takes a tf.data.Dataset; got {type(dataset).__name__}")
    return objects.from_items([_row(_dense(element), None) for element in dataset])


def from_huggingface(dataset: Any) -> Dataset:
    """Make a dataset of a ``datasets.Dataset``, whose Arrow data are not copied as a whole, or an ``IterableDataset``.

    Pictures become images, arrays become tensors, class labels stay integers. Rows are those of the dataset, also
    after its ``filter`` or ``select``; columns are all of it, whatever its format.

    Raises
    ------
    ArgumentError
        If ``datasets`` is not installed, or there are several splits.
    """
    try:
        import datasets  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise ArgumentError("from_huggingface needs datasets: pip install datasets") from None
    match dataset:
        case datasets.Dataset():
            return _from_table(dataset, datasets)
        case datasets.IterableDataset():
            return _from_stream(dataset, datasets)
        case Mapping():
            splits = ", ".join(f"dataset[{name!r}]" for name in dataset)
            raise ArgumentError(f"from_huggingface takes one split, not all of them; choose one of {splits}")
    raise ArgumentError(f"from_huggingface takes a datasets.Dataset; got {type(dataset).__name__}")


def _from_table(dataset: Any, datasets: Any) -> Dataset:
    pictures = _pictures(dataset, datasets)
    source = HuggingFaceSource(table=dataset.with_format("arrow")[:], images=tuple(pictures))
    return _decoded(Scan(source=source), pictures)


def _from_stream(dataset: Any, datasets: Any) -> Dataset:
    pictures = _pictures(dataset, datasets)
    opened = partial(stream_batches, dataset.with_format("arrow"), tuple(pictures))
    return _decoded(Scan(source=IterableSource(open=opened, name="huggingface[stream]")), pictures)


def _pictures(dataset: Any, datasets: Any) -> dict[str, Any]:
    return {name: one for name, one in (dataset.features or {}).items() if isinstance(one, datasets.Image)}


def _decoded(plan: Plan, pictures: Mapping[str, Any]) -> Dataset:
    for name, feature in pictures.items():
        plan = DecodeImages(input=plan, column=name, mode=feature.mode)
    return Dataset(plan)


@dataclass(frozen=True, slots=True)
class _Item:
    """Makes the row of an index."""

    dataset: Any
    to_row: Any

    def __call__(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.to_row(self.dataset[int(row["id"])])

    @property
    def __name__(self) -> str:
        return _name("item of", self.dataset)


def _row(item: Any, columns: tuple[str, ...] | None) -> dict[str, Any]:
    match item:
        case Mapping():
            return {str(name): value for name, value in item.items()}
        case tuple() if hasattr(item, "_fields"):
            return dict(zip(item._fields, item, strict=True))
        case tuple():
            names = columns or tuple(f"item_{number}" for number in range(len(item)))
            if len(names) != len(item):
                raise ArgumentError(f"columns names {len(names)} parts; an item has {len(item)}")
            return dict(zip(names, item, strict=True))
    return {"item" if columns is None else columns[0]: item}


def _dense(element: Any) -> Any:
    """Take NumPy values out of what TensorFlow gives."""
    match element:
        case Mapping():
            return {name: _dense(value) for name, value in element.items()}
        case tuple():
            return tuple(_dense(value) for value in element)
    if hasattr(element, "to_list"):  # ragged
        return element.to_list()
    if hasattr(element, "numpy"):
        value = element.numpy()
        return value.tolist() if isinstance(value, np.ndarray) and value.dtype == object else value
    kind = type(element).__name__
    raise ArgumentError(f"from_tf cannot hold {kind}; make it dense first, e.g. with tf.sparse.to_dense")


def _name(kind: str, dataset: Any) -> str:
    return f"{kind} {type(dataset).__name__}"
