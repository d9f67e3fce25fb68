"""Pixels to what a model takes, written into memory that is used again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightdata.inference.model import ImageInput


class Preparation:
    """Writes pixels into the input of a session call: ``(value * scale - mean) / std``, channels where they belong.

    Channels are moved while a value is still one byte, and all arithmetic is one product and one sum: half the time
    of what one writes first, and no memory is allocated from call to call.
    """

    def __init__(self, image: ImageInput) -> None:
        how = image.preprocess
        self._is_first = image.layout == "NCHW"
        self._dtype = np.dtype(image.port.dtype)
        self._is_idle = self._dtype == np.uint8 or (how.scale, how.mean, how.std) == (None, None, None)
        std = np.asarray(how.std or (1,) * image.channels, np.float64)
        mean = np.asarray(how.mean or (0,) * image.channels, np.float64)
        along = (-1, 1, 1) if self._is_first else (1, 1, -1)
        self._factor = ((1.0 if how.scale is None else how.scale) / std).astype(np.float32).reshape(along)
        self._offset = (-mean / std).astype(np.float32).reshape(along)
        self._bytes = np.empty(0, np.uint8)
        self._floats = np.empty(0, np.float32)

    def shape(self, pixels: NDArray[Any]) -> tuple[int, ...]:
        """Give the shape of what becomes of pixels ``[N, H, W]`` or ``[N, H, W, C]``."""
        count, height, width, channels = pixels.shape if pixels.ndim == 4 else (*pixels.shape, 1)  # noqa: PLR2004
        return (count, channels, height, width) if self._is_first else (count, height, width, channels)

    def is_ready(self, pixels: NDArray[Any]) -> bool:
        """Whether pixels can be given as they are, once they have four axes."""
        return self._dtype == pixels.dtype and not self._is_first and pixels.flags.c_contiguous and self._is_idle

    def write(self, pixels: NDArray[Any], out: NDArray[Any]) -> None:
        """Prepare pixels.

        Parameters
        ----------
        pixels : uint8 (or the mode's dtype) [N, H, W] or [N, H, W, C]
        out : the input's dtype [N, C, H, W] or [N, H, W, C]
            Is overwritten.
        """
        if pixels.ndim == 3:  # noqa: PLR2004 - one channel has no axis
            pixels = pixels[..., np.newaxis]
        if self._is_first:
            pixels = pixels.transpose(0, 3, 1, 2)
        if self._is_idle:
            np.copyto(out, pixels, casting="unsafe")
            return
        values = self._moved(pixels) if self._is_first else pixels
        work = out if self._dtype == np.float32 else self._work(out)
        np.multiply(values, self._factor, out=work, dtype=np.float32, casting="unsafe")
        np.add(work, self._offset, out=work)
        if work is not out:
            np.copyto(out, work, casting="unsafe")

    def _moved(self, pixels: NDArray[Any]) -> NDArray[Any]:
        if self._bytes.size < pixels.size or self._bytes.dtype != pixels.dtype:
            self._bytes = np.empty(pixels.size, pixels.dtype)
        moved = self._bytes[: pixels.size].reshape(pixels.shape)
        np.copyto(moved, pixels)
        return moved

    def _work(self, out: NDArray[Any]) -> NDArray[np.float32]:
        if self._floats.size < out.size:
            self._floats = np.empty(out.size, np.float32)
        return self._floats[: out.size].reshape(out.shape)
