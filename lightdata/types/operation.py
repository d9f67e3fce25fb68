"""What can be done to an image or a tensor: values that queries are written in and kernels carry out.

An operation is its arguments and what it does to the type of a column; how pixels are computed is in
:mod:`lightdata.kernels`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from lightdata.types.image import ImageType
from lightdata.types.image_spec import ImageSpec, pixel_shape
from lightdata.types.tensor import TensorType, fixed_tensor_type


class Known(NamedTuple):
    """What a plan knows of an image column: ``None`` where images may differ."""

    mode: str | None = None
    height: int | None = None
    width: int | None = None

    def as_type(self) -> ImageType:
        """Give the column's type: fixed only where everything is known."""
        return ImageType(ImageSpec(*self) if None not in self else ImageSpec())


class Placed(NamedTuple):
    """Where an image lies in another, in whole pixels, and the size it is scaled to for that."""

    top: int
    left: int
    height: int
    width: int


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
    on_error: Literal["raise", "null"] = "raise"

    def known(self, image: Known) -> Known:
        """Only a mode that was asked for is known."""
        return Known(self.mode or image.mode, image.height, image.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize(ImageOperation):
    """Scale to a height and a width, in pixels."""

    height: int
    width: int
    interpolation: str = "bilinear"

    def target(self, height: int, width: int) -> tuple[int, int]:  # noqa: ARG002 - as that of ResizeShortest
        """Give the height and width an image is scaled to, whatever its own."""
        return self.height, self.width

    def placed(self, height: int, width: int) -> Placed:  # noqa: ARG002 - as that of Letterbox
        """Say that an image of any size fills the result."""
        return Placed(0, 0, self.height, self.width)

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

    def placed(self, height: int, width: int) -> Placed:
        """Say where an image of this size comes to lie; all rounding is done here.

        >>> Letterbox(height=640, width=640).placed(375, 500)
        Placed(top=80, left=0, height=480, width=640)
        """
        scale = min(self.height / height, self.width / width)
        inner_height, inner_width = max(1, round(height * scale)), max(1, round(width * scale))
        return Placed((self.height - inner_height) // 2, (self.width - inner_width) // 2, inner_height, inner_width)

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Give the height and width an image of this size is scaled to."""
        return self.placed(height, width)[2:]

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
