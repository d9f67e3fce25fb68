"""Tensor columns: Arrow's canonical type where every shape is the same, our own where shapes differ.

``arrow.variable_shape_tensor`` is not used: pyarrow has no class for it, and cannot read files that Polars writes
with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.errors import SchemaError
from lightdata.types.image import binary_from_ndarray, binary_values, binary_view
from lightdata.types.plain_array import number_array, plain_array, plain_values

NAME = "lightdata.tensor"

STORAGE = pa.struct([pa.field("payload", pa.large_binary()), pa.field("shape", pa.large_list(pa.int32()))])


MOST_VALUES = (1 << 31) - 1
"""Values of a tensor in a column of one shape, at most: Arrow counts them in 32 bits."""


class TensorType(pa.ExtensionType):
    """Arrays of one dtype and any shape; the payload is C-contiguous and little-endian."""

    def __init__(self, dtype: np.dtype[Any] | str, storage: pa.DataType | None = None) -> None:
        self.dtype = np.dtype(dtype).newbyteorder("=")
        if self.dtype.kind not in "biufc":
            raise SchemaError(f"a tensor holds numbers or booleans, not {self.dtype}")
        super().__init__(storage or STORAGE, NAME)

    def __arrow_ext_serialize__(self) -> bytes:
        return self.dtype.name.encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> TensorType:
        return cls(serialized.decode(), storage_type)

    def __arrow_ext_class__(self) -> type[TensorArray]:
        return TensorArray

    def __eq__(self, other: object) -> bool:
        # pyarrow's own comparison forgets the parameters.
        return isinstance(other, TensorType) and (self.dtype, self.storage_type) == (
            other.dtype,
            other.storage_type,
        )

    def __ne__(self, other: object) -> bool:
        return not self == other  # pyarrow's own would not ask the method above

    def __hash__(self) -> int:
        return hash((NAME, self.dtype))

    def __str__(self) -> str:
        return f"Tensor[{self.dtype.name}]"


class TensorArray(pa.ExtensionArray):
    """An Arrow array of tensors whose shapes may differ."""

    def to_numpy_ndarray(self) -> NDArray[Any]:
        """View a column whose shapes happen to be equal as one array ``[N, *shape]``, without a copy.

        Raises
        ------
        SchemaError
            If shapes differ or a row is null.
        """
        shapes = self.shapes()
        if self.null_count or len(set(shapes)) > 1:
            raise SchemaError("these tensors differ in shape or are null; there is no one array of them")
        payload = self.storage.flatten()[0]
        return binary_view(payload, self.type.dtype, shapes[0] if shapes else (0,))

    def shapes(self) -> list[tuple[int, ...]]:
        """List the shape of every row; ``()`` where the row is null."""
        return [tuple(shape or ()) for shape in self.storage.flatten()[1].to_pylist()]


def fixed_tensor_type(dtype: np.dtype[Any] | str, shape: Sequence[int]) -> pa.DataType:
    """Give Arrow's canonical type for tensors of one shape."""
    kind = np.dtype(dtype).newbyteorder("=")
    if kind.kind not in "iuf" or 0 in shape or prod(shape) > MOST_VALUES:
        raise SchemaError(f"Arrow has no tensors of one shape {tuple(shape)} and dtype {kind}; leave the shape open")
    return pa.fixed_shape_tensor(pa.from_numpy_dtype(kind), tuple(shape))


def fixed_tensors(rows: NDArray[Any]) -> pa.Array:
    """Wrap ``[N, *shape]`` as Arrow's canonical tensors, without a copy where it is contiguous."""
    rows = np.ascontiguousarray(rows, dtype=rows.dtype.newbyteorder("="))
    kind = fixed_tensor_type(rows.dtype, rows.shape[1:])
    size = int(np.prod(rows.shape[1:]))
    return pa.ExtensionArray.from_storage(kind, pa.FixedSizeListArray.from_arrays(number_array(rows.reshape(-1)), size))


def tensors(rows: Sequence[NDArray[Any] | None] | NDArray[Any], dtype: np.dtype[Any] | None = None) -> TensorArray:
    """Build a column of tensors of any shape, from ``[N, *shape]`` or one array a row.

    >>> tensors([np.zeros((2, 2)), None, np.zeros(3)]).shapes()
    [(2, 2), (), (3,)]
    """
    if isinstance(rows, np.ndarray) and rows.dtype != object:
        return _equal_tensors(np.asarray(rows, dtype=rows.dtype.newbyteorder("=")))
    arrays = [None if row is None else np.asarray(row) for row in rows]
    found = dtype or np.result_type(*(row.dtype for row in arrays if row is not None))
    payloads = [None if row is None else np.ascontiguousarray(row, dtype=found).tobytes() for row in arrays]
    shapes = [None if row is None else row.shape for row in arrays]
    storage = pa.StructArray.from_arrays(
        [plain_array(payloads, pa.large_binary()), plain_array(shapes, pa.large_list(pa.int32()))],
        fields=list(STORAGE),
        mask=plain_array([row is None for row in arrays], pa.bool_()),
    )
    return pa.ExtensionArray.from_storage(TensorType(found), storage)


def _equal_tensors(rows: NDArray[Any]) -> TensorArray:
    ndim = rows.ndim - 1
    offsets = number_array(np.arange(len(rows) + 1, dtype=np.int64) * ndim)
    shapes = pa.LargeListArray.from_arrays(
        offsets, number_array(np.tile(np.array(rows.shape[1:], np.int32), len(rows)))
    )
    storage = pa.StructArray.from_arrays([binary_from_ndarray(rows), shapes], fields=list(STORAGE))
    return pa.ExtensionArray.from_storage(TensorType(rows.dtype), storage)


def tensor_rows(array: pa.Array) -> list[NDArray[Any] | None]:
    """List the rows of a tensor array of either form as views."""
    if isinstance(array.type, TensorType):
        payload = binary_values(array.storage.flatten()[0])
        dtype = array.type.dtype
        valid = array.is_valid().to_pylist()
        rows = zip(valid, payload, array.shapes(), strict=True)
        return [np.frombuffer(piece or b"", dtype).reshape(shape) if ok else None for ok, piece, shape in rows]
    if not array.null_count:
        return list(array.to_numpy_ndarray())
    views = _with_any_value_for_null(array.storage).reshape(len(array), *array.type.shape)
    return [view if ok else None for ok, view in zip(array.is_valid().to_pylist(), views, strict=True)]


def _with_any_value_for_null(storage: pa.Array) -> NDArray[Any]:
    size = storage.type.list_size
    values = storage.values.slice(storage.offset * size, len(storage) * size)
    return plain_values(values.fill_null(0) if values.null_count else values)


def is_tensor(dtype: pa.DataType) -> bool:
    """Whether a column of this type holds tensors, of one shape or of many."""
    return isinstance(dtype, TensorType | pa.FixedShapeTensorType)


def tensor_dtype(dtype: pa.DataType) -> np.dtype[Any]:
    """Give the NumPy dtype of a tensor column's values."""
    return dtype.dtype if isinstance(dtype, TensorType) else np.dtype(dtype.value_type.to_pandas_dtype())
