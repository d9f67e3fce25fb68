"""Scaling with Pillow's antialiased filters: by cykooz.resizer's SIMD kernels for the commonest modes, else by Pillow.

cykooz.resizer binds the Rust crate fast_image_resize, which convolves as Pillow does, with 16-bit coefficients
where Pillow has 32: no pixel of 8 bits differs by more than one grey level.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightdata.config import config
from lightdata.kernels.raster import Raster

try:
    import cykooz_resizer
except ImportError:  # there is no wheel for every platform
    cykooz_resizer = None

INTERPOLATIONS = {name.lower(): filter_ for name, filter_ in Image.Resampling.__members__.items()}
"""Pillow's filters: nearest, box, bilinear, hamming, bicubic, lanczos."""

_FILTERS = {"box": "box", "bilinear": "bilinear", "bicubic": "catmull_rom", "lanczos": "lanczos3"}
"""Those that cykooz.resizer has, and its words: Pillow's bicubic has a = -0.5."""

_PIXEL_TYPES = {"L": "U8", "RGB": "U8x3"}
"""Modes without alpha and of 8 bits, and cykooz.resizer's words for them."""


class _Kernels(threading.local):
    """What cykooz.resizer keeps between images, one for each thread."""

    def __init__(self) -> None:
        self.resizer = cykooz_resizer.Resizer()
        self.options: dict[str, Any] = {}

    def scaled(self, pixels: NDArray[np.uint8], mode: str, height: int, width: int, name: str) -> NDArray[np.uint8]:
        if name not in self.options:
            filter_type = getattr(cykooz_resizer.FilterType, _FILTERS[name])
            algorithm = cykooz_resizer.ResizeAlg.convolution(filter_type)
            self.options[name] = cykooz_resizer.ResizeOptions(resize_alg=algorithm, use_alpha=False)
        kind = getattr(cykooz_resizer.PixelType, _PIXEL_TYPES[mode])
        source = cykooz_resizer.ImageData(pixels.shape[1], pixels.shape[0], kind, pixels.tobytes())
        target = cykooz_resizer.ImageData(width, height, kind)
        self.resizer.resize(source, target, self.options[name])
        return np.frombuffer(target.get_buffer(), np.uint8).reshape(height, width, *pixels.shape[2:])


_kernels = None if cykooz_resizer is None else _Kernels()


def resize(image: Raster, height: int, width: int, interpolation: str) -> Raster:
    """Scale an image.

    Images of mode L and RGB come out within one grey level of Pillow's; with ``config(exact_pixels=True)``, as those
    of all other modes, they are Pillow's.

    >>> resize(Raster(Image.new("RGB", (8, 6))), 3, 4, "bilinear").array().shape
    (3, 4, 3)
    """
    if (image.height, image.width) == (height, width):
        return image
    is_known = image.mode in _PIXEL_TYPES and interpolation in _FILTERS
    if _kernels is not None and is_known and not config().exact_pixels:
        return Raster(_kernels.scaled(image.array(), image.mode, height, width, interpolation), image.mode)
    return Raster(_resized_by_pillow(image.pillow(), height, width, interpolation))


def _resized_by_pillow(image: Image.Image, height: int, width: int, interpolation: str) -> Image.Image:
    if image.mode == "I;16":  # Pillow would only scale it with nearest: go through float, which holds 16 bits exactly
        wide = Image.fromarray(np.asarray(image).astype(np.float32))
        scaled = np.asarray(wide.resize((width, height), INTERPOLATIONS[interpolation]))
        return Image.fromarray(np.rint(scaled).clip(0, 65535).astype(np.uint16))
    return image.resize((width, height), INTERPOLATIONS[interpolation])
