"""Batches for TensorFlow, as a ``tf.data.Dataset`` that knows what is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.errors import ArgumentError, ColumnNotFoundError, SchemaError
from lightdata.types.image import ImageType
from lightdata.types.schema import Schema
from lightdata.types.tensor import is_tensor, tensor_dtype

Columns = str | Sequence[str]

Batches = Callable[[], Iterator[dict[str, NDArray[Any]]]]
"""Opens a stream of NumPy batches, anew each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Features, labels or additional columns of each element: one tensor for a name, a dict of them for names."""

    columns: Columns
    spec: Any = None
    """What the user says of their tensors; by default the schema tells."""

    @property
    def names(self) -> list[str]:
        """The columns, in a list."""
        return [self.columns] if isinstance(self.columns, str) else list(self.columns)

    def of(self, batch: dict[str, NDArray[Any]]) -> Any:
        """Take this part out of a batch."""
        values = {name: _checked(name, batch[name]) for name in self.names}
        return values[self.columns] if isinstance(self.columns, str) else values

    def signature(self, schema: Schema, tf: Any) -> Any:
        """Tell the tensors of this part."""
        if self.spec is not None:
            return self.spec
        specs = {name: _spec(name, schema[name], tf) for name in self.names}
        return specs[self.columns] if isinstance(self.columns, str) else specs


def tf_dataset(batches: Batches, schema: Schema, parts: Sequence[Part]) -> Any:
    """Make a ``tf.data.Dataset`` whose elements are these parts of each batch.

    Raises
    ------
    ArgumentError
        If TensorFlow is not installed.
    ColumnNotFoundError
        If there is no such column.
    SchemaError
        If a column is no tensor.
    """
    try:
        import tensorflow as tf  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise ArgumentError("to_tf needs TensorFlow: pip install tensorflow") from None
    for name in [name for part in parts for name in part.names]:
        if name not in schema:
            raise ColumnNotFoundError.for_step(name, step="to_tf", available=schema.names)

    def elements() -> Iterator[tuple[Any, ...]]:
        for batch in batches():
            yield tuple(part.of(batch) for part in parts)

    signature = tuple(part.signature(schema, tf) for part in parts)
    return tf.data.Dataset.from_generator(elements, output_signature=signature)


def _spec(name: str, kind: pa.DataType, tf: Any) -> Any:
    dtype, shape = _dtype_and_shape(name, kind)
    return tf.TensorSpec(shape=(None, *shape), dtype=tf.as_dtype(dtype), name=name)


def _dtype_and_shape(name: str, kind: pa.DataType) -> tuple[Any, tuple[int | None, ...]]:
    if isinstance(kind, ImageType) and kind.spec.is_fixed:
        return kind.spec.dtype, kind.spec.shape
    if isinstance(kind, pa.FixedShapeTensorType):
        return tensor_dtype(kind), tuple(kind.shape)
    if isinstance(kind, ImageType) or is_tensor(kind):
        raise SchemaError(
            f"to_tf: the values of column {name!r} ({kind}) may differ in shape; give them one, e.g. with "
            ".image.resize(224, 224) and .image.to_mode('RGB'), or say feature_type_spec= or label_type_spec="
        )
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return "string", ()
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.dtype(kind.to_pandas_dtype()), ()
    raise SchemaError(f"to_tf: column {name!r} is {kind}, of which no tensor can be made; leave it out")


def _checked(name: str, values: NDArray[Any]) -> NDArray[Any]:
    if values.dtype == object and any(value is None for value in values):
        raise SchemaError(f"to_tf: column {name!r} has nulls; fill them with fill_null() or drop_nulls()")
    return values
