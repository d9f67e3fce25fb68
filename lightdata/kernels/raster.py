"""One decoded image, in whichever form it was made: a Pillow image, or an array."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class Box(NamedTuple):
    """A part of an image, in pixels and parts of pixels."""

    left: float
    top: float
    right: float
    bottom: float


class Raster:
    """An image whose other form is made when somebody asks for it.

    >>> Raster(np.zeros((2, 3, 3), np.uint8), "RGB").pillow().size
    (3, 2)
    """

    __slots__ = ("_array", "_pillow", "box", "mode")

    def __init__(self, image: NDArray[Any] | Image.Image, mode: str | None = None, box: Box | None = None) -> None:
        self.box = box
        """What of it is to be resized next; ``None`` is all."""

        self._array: NDArray[Any] | None = None
        self._pillow: Image.Image | None = None
        if isinstance(image, Image.Image):
            self._pillow, self.mode = image, image.mode
        else:
            self._array, self.mode = image, mode or Image.fromarray(image[:1, :1]).mode

    @property
    def held(self) -> NDArray[Any] | None:
        """The array, if that is what there is."""
        return self._array

    @property
    def height(self) -> int:
        """Pixels."""
        return self._pillow.height if self._pillow is not None else int(self.array().shape[0])

    @property
    def width(self) -> int:
        """Pixels."""
        return self._pillow.width if self._pillow is not None else int(self.array().shape[1])

    def array(self) -> NDArray[Any]:
        """Give the pixels ``[H, W]`` or ``[H, W, C]``."""
        if self._array is None:
            self._array = np.asarray(self._pillow)
        return self._array

    def pillow(self) -> Image.Image:
        """Give the image as Pillow has it."""
        if self._pillow is None:
            self._pillow = Image.fromarray(self.array())
        return self._pillow
