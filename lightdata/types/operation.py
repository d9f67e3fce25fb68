"""What can be done to an image or a tensor: values that queries are written in and kernels carry out.

An operation is its arguments and what it does to the type of a column; how pixels are computed is in
:mod:`lightdata.kernels`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from lightdata.errors import SchemaError
from lightdata.types.image import ImageType
from lightdata.types.image_spec import MODES, ImageSpec, mode_of, pixel_shape
from lightdata.types.tensor import TensorType, fixed_tensor_type, is_tensor, tensor_dtype


class Known(NamedTuple):
    """What a plan knows of an image column: ``None`` where images may differ."""

    mode: str | None = None
    height: int | None = None
    width: int | None = None

    def as_type(self) -> ImageType:
        """Give the column's type: fixed only where everything is known."""
        return ImageType(ImageSpec(*self) if None not in self else ImageSpec())


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One step of a chain of image and tensor operations."""

    def arguments(self) -> Iterator[tuple[str, Any]]:
        """List the arguments that differ from their defaults."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                yield field.name, value


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOperation(Operation):
    """Turns an image into an image."""

    def known(self, image: Known) -> Known:
        """Say what is known of the result."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Decode(ImageOperation):
    """Turn encoded bytes into pixels."""

    mode: str | None = None
    exif_transpose: bool = True

    def known(self, image: Known) -> Known:
        """Only a mode that was asked for is known."""
        return Known(self.mode or image.mode, image.height, image.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize(ImageOperation):
    """Scale to a height and a width, in pixels."""

    height: int
    width: int
    interpolation: str = "bilinear"

    def known(self, image: Known) -> Known:
        """The size is known."""
        return Known(image.mode, self.height, self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeShortest(ImageOperation):
    """Scale until the shorter side has ``size`` pixels."""

    size: int
    interpolation: str = "bilinear"

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Give the height and width an image of this size is scaled to; the longer side is truncated."""
        if height <= width:
            return self.size, max(1, int(self.size * width / height))
        return max(1, int(self.size * height / width)), self.size

    def known(self, image: Known) -> Known:
        """The size follows where the input's is known."""
        if image.height is None or image.width is None:
            return Known(image.mode)
        return Known(image.mode, *self.target(image.height, image.width))


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop(ImageOperation):
    """Cut out a rectangle; what lies outside the image is black."""

    top: int
    left: int
    height: int
    width: int

    def known(self, image: Known) -> Known:
        """The size is known."""
        return Known(image.mode, self.height, self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class CenterCrop(ImageOperation):
    """Cut out a centred rectangle; what lies outside the image is black."""

    height: int
    width: int

    def known(self, image: Known) -> Known:
        """The size is known."""
        return Known(image.mode, self.height, self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pad(ImageOperation):
    """Add a border, in pixels."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0
    fill: int = 0

    def known(self, image: Known) -> Known:
        """The border adds to a known size."""
        height = None if image.height is None else image.height + self.top + self.bottom
        width = None if image.width is None else image.width + self.left + self.right
        return Known(image.mode, height, width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letterbox(ImageOperation):
    """Scale to fit inside a rectangle, centred, and fill the rest."""

    height: int
    width: int
    fill: int = 0
    interpolation: str = "bilinear"

    def known(self, image: Known) -> Known:
        """The size is known."""
        return Known(image.mode, self.height, self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipLeftRight(ImageOperation):
    """Mirror horizontally."""

    def known(self, image: Known) -> Known:
        """Nothing changes."""
        return image


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipUpDown(ImageOperation):
    """Mirror vertically."""

    def known(self, image: Known) -> Known:
        """Nothing changes."""
        return image


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotate(ImageOperation):
    """Turn counter-clockwise by degrees; the size stays and corners are filled."""

    angle: float
    interpolation: str = "nearest"
    fill: int = 0

    def known(self, image: Known) -> Known:
        """Nothing changes."""
        return image


@dataclass(frozen=True, slots=True, kw_only=True)
class ToMode(ImageOperation):
    """Convert to one of the stored modes."""

    mode: str

    def known(self, image: Known) -> Known:
        """The mode is known."""
        return Known(self.mode, image.height, image.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExifTranspose(ImageOperation):
    """Turn upright by the EXIF orientation that decoding left in place."""

    def known(self, image: Known) -> Known:
        """A quarter turn may swap height and width."""
        return Known(image.mode)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsImage(ImageOperation):
    """Forget what is known, so that images of different kinds can share a column."""

    def known(self, image: Known) -> Known:  # noqa: ARG002 - that is the point
        """Nothing is known."""
        return Known()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute(Operation):
    """Ends a chain with a fact that the header of an image tells."""

    name: str
    tag: int | None = None

    @property
    def dtype(self) -> pa.DataType:
        """The type of the answer."""
        return pa.large_string() if self.name in ("mode", "format", "exif") else pa.uint32()


@dataclass(frozen=True, slots=True, kw_only=True)
class Encode(Operation):
    """Ends a chain with the bytes of an image file."""

    format: str
    options: dict[str, Any] | None = None

    def __hash__(self) -> int:
        return hash((self.format, repr(self.options)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ToTensor(Operation):
    """Turn an image into numbers: ``(value * scale - mean) / std``."""

    layout: str = "HWC"
    dtype: str = "float32"
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def output_type(self, image: Known) -> pa.DataType:
        """Give a tensor of one shape where mode and size are known."""
        if image.mode is None or image.height is None or image.width is None:
            return TensorType(self.dtype)
        return fixed_tensor_type(self.dtype, self.shape(*pixel_shape(image.mode, image.height, image.width)))

    def shape(self, height: int, width: int, channels: int = 1) -> tuple[int, int, int]:
        """Give the shape of one tensor."""
        return (channels, height, width) if self.layout == "CHW" else (height, width, channels)


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


def image_known(dtype: pa.DataType) -> Known | None:
    """Say what is known of a column as images, or ``None`` if it cannot hold any.

    Images, encoded bytes and uint8 tensors can; a plan learns a tensor's shape only from its type.
    """
    match dtype:
        case ImageType(spec=spec):
            return Known(spec.mode, spec.height, spec.width)
        case pa.FixedShapeTensorType():
            shape = tuple(dtype.shape)
            mode = mode_of(shape, np.dtype(dtype.value_type.to_pandas_dtype()))
            return None if mode is None else Known(mode, shape[0], shape[1])
        case TensorType():
            return Known() if any(dtype.dtype == stored for stored, _ in MODES.values()) else None
    return Known() if pa.types.is_large_binary(dtype) or pa.types.is_null(dtype) else None


def output_type(operations: tuple[Operation, ...], dtype: pa.DataType) -> pa.DataType:
    """Give the type of a chain of operations on a column of ``dtype``.

    Raises
    ------
    SchemaError
        If an operation does not apply to what comes before it.
    """
    known = image_known(dtype)
    for number, operation in enumerate(operations):
        match operation:
            case Attribute() if known is not None and number == len(operations) - 1:
                return operation.dtype
            case Encode() if known is not None and number == len(operations) - 1:
                return pa.large_binary()
            case ImageOperation() if known is not None:
                known = operation.known(known)
                dtype = known.as_type()
            case ToTensor() if known is not None:
                dtype, known = operation.output_type(known), None
            case TensorOperation() if is_tensor(dtype):
                dtype, known = operation.output_type(dtype), None
            case _:
                needs = (
                    "a tensor" if isinstance(operation, TensorOperation) else "an image, encoded bytes or uint8 pixels"
                )
                raise SchemaError(f"this needs {needs}, not a column of type {dtype}")
    return dtype
