"""Image operations, carried out by Pillow on one image at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageOps

from lightdata.errors import SchemaError
from lightdata.kernels.decode import convert
from lightdata.kernels.header import ORIENTATION
from lightdata.types.operation import (
    CenterCrop,
    Crop,
    ExifTranspose,
    FlipLeftRight,
    FlipUpDown,
    ImageOperation,
    Letterbox,
    Pad,
    Resize,
    ResizeShortest,
    Rotate,
    ToMode,
)

INTERPOLATIONS = {name.lower(): filter_ for name, filter_ in Image.Resampling.__members__.items()}
"""Pillow's filters: nearest, box, bilinear, hamming, bicubic, lanczos."""


def apply(operation: ImageOperation, image: Image.Image) -> Image.Image:
    """Carry out one operation on one image.

    >>> apply(Resize(height=2, width=3), Image.new("RGB", (8, 8))).size
    (3, 2)
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
            return convert(image, mode)
        case _:
            return _rearrange(operation, image)


def _rearrange(operation: ImageOperation, image: Image.Image) -> Image.Image:
    match operation:
        case FlipLeftRight():
            return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        case FlipUpDown():
            return image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        case Rotate(angle=angle, interpolation=name, fill=fill):
            return image.rotate(angle, INTERPOLATIONS[name], fillcolor=_colour(image.mode, fill))
        case Pad(left=left, top=top, right=right, bottom=bottom, fill=fill):
            return _canvas(image, image.height + top + bottom, image.width + left + right, (left, top), fill)
        case Letterbox(height=height, width=width, fill=fill, interpolation=name):
            scale = min(height / image.height, width / image.width)
            inner = resize(image, max(1, round(image.height * scale)), max(1, round(image.width * scale)), name)
            corner = ((width - inner.width) // 2, (height - inner.height) // 2)
            return _canvas(inner, height, width, corner, fill)
        case ExifTranspose():
            return ImageOps.exif_transpose(image) if image.getexif().get(ORIENTATION, 1) != 1 else image
        case _:
            raise TypeError(f"no kernel for {type(operation).__name__}; add a case to {__name__}")


def resize(image: Image.Image, height: int, width: int, interpolation: str) -> Image.Image:
    """Scale with one of Pillow's antialiased filters."""
    if (image.height, image.width) == (height, width):
        return image
    if image.mode == "I;16":  # Pillow would only scale it with nearest: go through float, which holds 16 bits exactly
        wide = Image.fromarray(np.asarray(image).astype(np.float32))
        scaled = np.asarray(wide.resize((width, height), INTERPOLATIONS[interpolation]))
        return Image.fromarray(np.rint(scaled).clip(0, 65535).astype(np.uint16))
    return image.resize((width, height), INTERPOLATIONS[interpolation])


def crop(image: Image.Image, top: int, left: int, height: int, width: int) -> Image.Image:
    """Cut out a rectangle; what lies outside the image is black."""
    return image.crop((left, top, left + width, top + height))


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
