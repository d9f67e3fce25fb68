"""What can be done to a tensor: values, as in :mod:`lightdata.types.operation`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lightdata.errors import SchemaError
from lightdata.types.operation import Operation
from lightdata.types.tensor import TensorType, fixed_tensor_type, tensor_dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorOperation(Operation):
    """Turns a tensor into a tensor or a number."""

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Give the dtype of the result."""
        return dtype

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Give the shape of the result; raise :class:`SchemaError` where it cannot be."""
        return shape

    @property
    def is_scalar(self) -> bool:
        """Whether the result is one number whatever the shape."""
        return False

    def output_type(self, dtype: pa.DataType) -> pa.DataType:
        """Give the column type of the result."""
        found = self.dtype_of(tensor_dtype(dtype))
        if self.is_scalar:
            return pa.from_numpy_dtype(found)
        if isinstance(dtype, TensorType):
            return TensorType(found)
        shape = self.shape_of(tuple(dtype.shape))
        return fixed_tensor_type(found, shape) if shape else pa.from_numpy_dtype(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast(TensorOperation):
    """Change the dtype as NumPy's ``astype`` does."""

    dtype: str

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:  # noqa: ARG002 - it does not matter
        """The dtype that was asked for."""
        return np.dtype(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape(TensorOperation):
    """Change the shape, in C order; one length may be -1."""

    shape: tuple[int, ...]

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that was asked for, -1 filled in."""
        try:
            return np.broadcast_to(np.int8(0), shape).reshape(self.shape).shape
        except ValueError as error:
            raise SchemaError(f"reshape: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transpose(TensorOperation):
    """Permute the axes; without an order, reverse them."""

    axes: tuple[int, ...] | None = None

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The lengths in their new order."""
        if self.axes is not None and sorted(axis % max(len(shape), 1) for axis in self.axes) != list(range(len(shape))):
            raise SchemaError(f"transpose: axes {self.axes} do not name each of the {len(shape)} axes once")
        return np.broadcast_to(np.int8(0), shape).transpose(self.axes).shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalize(TensorOperation):
    """Subtract a mean and divide by a standard deviation along one axis, in float32 or wider."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    axis: int = 0

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Floats keep their dtype; integers become float32."""
        return dtype if dtype.kind == "f" else np.dtype(np.float32)

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The same shape, if the axis has as many entries as there are means."""
        if not -len(shape) <= self.axis < len(shape) or shape[self.axis] != len(self.mean):
            raise SchemaError(f"normalize: {len(self.mean)} means do not fit axis {self.axis} of shape {shape}")
        return shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduce(TensorOperation):
    """Reduce to one number, or along one axis."""

    function: str
    axis: int | None = None

    @property
    def is_scalar(self) -> bool:
        """One number unless an axis is named."""
        return self.axis is None

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """A position is int64; a mean or norm keeps floats and gives float64 of integers."""
        if self.function == "argmax":
            return np.dtype(np.int64)
        return dtype if dtype.kind == "f" else np.dtype(np.float64)

    def shape_of(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape without the axis."""
        axis = self.axis or 0
        if not -len(shape) <= axis < len(shape):
            raise SchemaError(f"{self.function}: there is no axis {axis} in shape {shape}")
        return shape[: axis % len(shape)] + shape[axis % len(shape) + 1 :]


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineSimilarity(TensorOperation):
    """Compare with a vector, or with the tensors of another column, flattened."""

    other: Any
    """A tuple of floats, or the chain that computes the other column."""

    @property
    def is_scalar(self) -> bool:
        """One number."""
        return True

    def dtype_of(self, dtype: np.dtype[Any]) -> np.dtype[Any]:  # noqa: ARG002 - it does not matter
        """Always float64."""
        return np.dtype(np.float64)
