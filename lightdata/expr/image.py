"""The ``.image`` namespace of Polars expressions."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl
from PIL import Image

from lightdata.errors import ArgumentError
from lightdata.expr.deferred import checked_on_error, extend
from lightdata.types import operation as ops
from lightdata.types.image_spec import MODES

_INTERPOLATIONS = tuple(name.lower() for name in Image.Resampling.__members__)


class ImageNamespace:
    """Image operations and the facts that an image's header tells.

    Works on image columns, on columns of encoded bytes, and on uint8 tensors ``[H, W]`` or ``[H, W, 1|3|4]``. A
    null image gives null. Nothing is computed until the query runs.

    >>> import polars as pl
    >>> small = pl.col("image").image.resize(8, 8)
    >>> small.meta.output_name()
    'image'
    """

    def __init__(self, expr: pl.Expr) -> None:
        self._expr = expr

    def decode(
        self, mode: str | None = None, *, exif_transpose: bool = True, on_error: Literal["raise", "null"] | None = None
    ) -> pl.Expr:
        """Decode encoded bytes, upright, in the mode that keeps everything or in ``mode``.

        With ``on_error="null"`` a broken image gives null, and is told in the run's log.
        """
        _check_mode(mode)
        return self._then(ops.Decode(mode=mode, exif_transpose=exif_transpose, on_error=checked_on_error(on_error)))

    def resize(self, height: int, width: int, *, interpolation: str = "bilinear") -> pl.Expr:
        """Scale to a size in pixels, antialiased as Pillow does."""
        _check_positive(height=height, width=width)
        return self._then(ops.Resize(height=height, width=width, interpolation=_checked_filter(interpolation)))

    def resize_shortest(self, size: int, *, interpolation: str = "bilinear") -> pl.Expr:
        """Scale until the shorter side has ``size`` pixels; the aspect ratio stays."""
        _check_positive(size=size)
        return self._then(ops.ResizeShortest(size=size, interpolation=_checked_filter(interpolation)))

    def crop(self, top: int, left: int, height: int, width: int) -> pl.Expr:
        """Cut out a rectangle, in pixels; what lies outside the image is black."""
        _check_positive(height=height, width=width)
        return self._then(ops.Crop(top=top, left=left, height=height, width=width))

    def center_crop(self, height: int, width: int | None = None) -> pl.Expr:
        """Cut out a centred rectangle, or a square of side ``height``; what lies outside is black."""
        width = height if width is None else width
        _check_positive(height=height, width=width)
        return self._then(ops.CenterCrop(height=height, width=width))

    def pad(self, left: int = 0, top: int = 0, right: int = 0, bottom: int = 0, *, fill: int = 0) -> pl.Expr:
        """Add a border, in pixels, of one grey level."""
        if min(left, top, right, bottom) < 0:
            raise ArgumentError("pad takes widths of 0 or more; use crop to cut")
        return self._then(ops.Pad(left=left, top=top, right=right, bottom=bottom, fill=_checked_fill(fill)))

    def letterbox(self, height: int, width: int, *, fill: int = 0, interpolation: str = "bilinear") -> pl.Expr:
        """Scale to fit inside a rectangle, keeping the aspect ratio, and fill the rest with one grey level.

        ``Dataset.detect`` does it by itself, and gives boxes in pixels of the image as it was.
        """
        _check_positive(height=height, width=width)
        name = _checked_filter(interpolation)
        return self._then(ops.Letterbox(height=height, width=width, fill=_checked_fill(fill), interpolation=name))

    def flip_left_right(self) -> pl.Expr:
        """Mirror horizontally."""
        return self._then(ops.FlipLeftRight())

    def flip_up_down(self) -> pl.Expr:
        """Mirror vertically."""
        return self._then(ops.FlipUpDown())

    def rotate(self, angle: float, *, interpolation: str = "nearest", fill: int = 0) -> pl.Expr:
        """Turn counter-clockwise by degrees about the centre; the size stays, corners are filled."""
        name = _checked_filter(interpolation, allowed=("nearest", "bilinear", "bicubic"))
        return self._then(ops.Rotate(angle=float(angle), interpolation=name, fill=_checked_fill(fill)))

    def to_mode(self, mode: str) -> pl.Expr:
        """Convert to a mode, such as "RGB" or "L"; 16-bit grey is scaled to 8 bits, never clipped."""
        _check_mode(mode)
        return self._then(ops.ToMode(mode=mode))

    def exif_transpose(self) -> pl.Expr:
        """Turn upright what ``decode(exif_transpose=False)`` left as it was; other images are upright already."""
        return self._then(ops.ExifTranspose())

    def encode(self, format: str, **options: Any) -> pl.Expr:  # noqa: A002 - Pillow's word
        """Encode as an image file: "png", "jpeg", "webp", "tiff" or "bmp", with Pillow's options for it."""
        return self._then(ops.Encode(format=format.lower(), options=options or None))

    def to_tensor(
        self,
        layout: Literal["HWC", "CHW"] = "HWC",
        dtype: str = "float32",
        scale: float | None = None,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
    ) -> pl.Expr:
        """Turn into numbers ``[H, W, C]`` or ``[C, H, W]``: ``(value * scale - mean) / std``, each per channel."""
        if layout not in ("HWC", "CHW"):
            raise ArgumentError(f"layout must be 'HWC' or 'CHW', not {layout!r}")
        return self._then(
            ops.ToTensor(layout=layout, dtype=np.dtype(dtype).name, scale=scale, mean=_floats(mean), std=_floats(std))
        )

    def width(self) -> pl.Expr:
        """Tell the width in pixels, upright; uint32, from the header alone."""
        return self._then(ops.Attribute(name="width"))

    def height(self) -> pl.Expr:
        """Tell the height in pixels, upright; uint32, from the header alone."""
        return self._then(ops.Attribute(name="height"))

    def channels(self) -> pl.Expr:
        """Tell the number of channels its pixels have; uint32, from the header alone."""
        return self._then(ops.Attribute(name="channels"))

    def mode(self) -> pl.Expr:
        """Tell the mode its pixels have, such as "RGB"; from the header alone."""
        return self._then(ops.Attribute(name="mode"))

    def format(self) -> pl.Expr:
        """Tell the file format, such as "jpeg", or "raw" for pixels; from the header alone."""
        return self._then(ops.Attribute(name="format"))

    def n_frames(self) -> pl.Expr:
        """Count the frames; uint32."""
        return self._then(ops.Attribute(name="n_frames"))

    def exif(self, tag: int) -> pl.Expr:
        """Read one EXIF tag as text; null where the file does not have it."""
        return self._then(ops.Attribute(name="exif", tag=int(tag)))

    def _then(self, operation: ops.Operation) -> pl.Expr:
        return extend(self._expr, operation, "image")


def _check_positive(**sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int | np.integer) or size < 1:
            raise ArgumentError(f"{name} must be a positive number of pixels; got {size!r}")


def _check_mode(mode: str | None) -> None:
    if mode is not None and mode not in MODES:
        raise ArgumentError(f"mode must be one of {', '.join(MODES)}; got {mode!r}")


def _checked_filter(name: str, allowed: tuple[str, ...] = _INTERPOLATIONS) -> str:
    if name.lower() not in allowed:
        raise ArgumentError(f"interpolation must be one of {', '.join(allowed)}; got {name!r}")
    return name.lower()


def _checked_fill(fill: int) -> int:
    if not 0 <= fill <= 255:  # noqa: PLR2004 - a grey level
        raise ArgumentError(f"fill must be a grey level from 0 to 255; got {fill!r}")
    return int(fill)


def _floats(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(float(value) for value in np.atleast_1d(values))
