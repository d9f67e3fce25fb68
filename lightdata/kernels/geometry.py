"""Image operations on one image at a time: by Pillow, or on the array where that gives the same pixels."""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageOps

from lightdata.errors import SchemaError
from lightdata.kernels.decode import convert
from lightdata.kernels.jpeg import ORIENTATION
from lightdata.kernels.raster import Raster
from lightdata.kernels.resize import INTERPOLATIONS, resize
from lightdata.types.operation import (
    CenterCrop,
    Crop,
    ExifTranspose,
    FlipLeftRight,
    FlipUpDown,
    ImageOperation,
    Letterbox,
    Pad,
    Placed,
    Resize,
    ResizeShortest,
    Rotate,
    ToMode,
)


def apply(operation: ImageOperation, image: Raster) -> Raster:
    """Carry out one operation on one image.

    >>> apply(Resize(height=2, width=3), Raster(Image.new("RGB", (8, 8)))).width
    3
    """
    match operation:
        case Resize(height=height, width=width, interpolation=name):
            return resize(image, height, width, name)
        case ResizeShortest(interpolation=name):
            return resize(image, *operation.target(image.height, image.width), name)
        case Crop(top=top, left=left, height=height, width=width):
            return crop(image, top, left, height, width)
        case CenterCrop(height=height, width=width):
            return crop(image, centred(image.height, height), centred(image.width, width), height, width)
        case ToMode(mode=mode):
            return image if image.mode == mode else Raster(convert(image.pillow(), mode))
        case FlipLeftRight() if image.held is not None:
            return Raster(image.held[:, ::-1], image.mode)
        case FlipUpDown() if image.held is not None:
            return Raster(image.held[::-1], image.mode)
        case Letterbox():
            return letterboxed(image, operation, operation.placed(image.height, image.width))
        case _:
            return Raster(_rearranged(operation, image.pillow()))


def _rearranged(operation: ImageOperation, image: Image.Image) -> Image.Image:
    match operation:
        case FlipLeftRight():
            return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        case FlipUpDown():
            return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        case Rotate(angle=angle, interpolation=name, fill=fill):
            return image.rotate(angle, INTERPOLATIONS[name], fillcolor=_colour(image.mode, fill))
        case Pad(left=left, top=top, right=right, bottom=bottom, fill=fill):
            return _canvas(image, image.height + top + bottom, image.width + left + right, (left, top), fill)
        case ExifTranspose():
            return ImageOps.exif_transpose(image) if image.getexif().get(ORIENTATION, 1) != 1 else image
        case _:
            raise TypeError(f"no kernel for {type(operation).__name__}; add a case to {__name__}")


def letterboxed(image: Raster, step: Letterbox, place: Placed) -> Raster:
    """Scale an image to its place in a rectangle, and fill the rest."""
    inner = resize(image, place.height, place.width, step.interpolation)
    if (inner.height, inner.width) == (step.height, step.width):
        return inner
    return Raster(_canvas(inner.pillow(), step.height, step.width, (place.left, place.top), step.fill))


def crop(image: Raster, top: int, left: int, height: int, width: int) -> Raster:
    """Cut out a rectangle; what lies outside the image is black."""
    pixels = image.held
    if pixels is not None and min(top, left) >= 0 and top + height <= image.height and left + width <= image.width:
        return Raster(pixels[top : top + height, left : left + width], image.mode)
    return Raster(image.pillow().crop((left, top, left + width, top + height)))


def centred(length: int, wanted: int) -> int:
    """Give the start of a centred cut as torchvision does, which pads the shorter part first."""
    return round((length - wanted) / 2) if wanted <= length else -((wanted - length) // 2)


def _canvas(image: Image.Image, height: int, width: int, corner: tuple[int, int], fill: int) -> Image.Image:
    canvas = Image.new(image.mode, (width, height), _colour(image.mode, fill))
    canvas.paste(image, corner)
    return canvas


def _colour(mode: str, fill: int) -> Any:
    """Give a grey level in the bands of a mode; alpha is opaque."""
    match mode:
        case "LA":
            return (fill, 255)
        case "RGB":
            return (fill,) * 3
        case "RGBA":
            return (fill, fill, fill, 255)
        case "F":
            return float(fill)
        case "L" | "I" | "I;16":
            return fill
    raise SchemaError(f"no fill colour for mode {mode}")
