"""What is known of an image column before any image is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from lightdata.errors import SchemaError

MODES: dict[str, tuple[np.dtype[np.generic], int]] = {
    "L": (np.dtype(np.uint8), 1),
    "LA": (np.dtype(np.uint8), 2),
    "RGB": (np.dtype(np.uint8), 3),
    "RGBA": (np.dtype(np.uint8), 4),
    "I;16": (np.dtype(np.uint16), 1),
    "I": (np.dtype(np.int32), 1),
    "F": (np.dtype(np.float32), 1),
}
"""Pillow's modes that pixels are stored in: dtype and number of channels."""


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """Mode and size shared by every image of a column; all ``None`` where they differ.

    >>> str(ImageSpec("RGB", 224, 224)), str(ImageSpec())
    ('Image[RGB, 224x224]', 'Image')
    """

    mode: str | None = None
    """One of :data:`MODES`."""

    height: int | None = None
    """Pixels."""

    width: int | None = None
    """Pixels."""

    def __post_init__(self) -> None:
        known = [part is not None for part in (self.mode, self.height, self.width)]
        if any(known) and not all(known):
            raise SchemaError(f"an image column fixes mode, height and width together or not at all; got {self!r}")
        if self.mode is not None and self.mode not in MODES:
            raise SchemaError(f"pixels are not stored in mode {self.mode!r}; use one of {', '.join(MODES)}")

    @property
    def is_fixed(self) -> bool:
        """Whether every image has the same mode and size."""
        return self.mode is not None

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The dtype of one channel value."""
        return MODES[self._fixed()[0]][0]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image: ``(H, W)`` for one channel, else ``(H, W, C)``."""
        mode, height, width = self._fixed()
        return pixel_shape(mode, height, width)

    @property
    def nbytes(self) -> int:
        """The bytes of one image."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def to_text(self) -> str:
        """Write the canonical text that travels in Arrow metadata.

        >>> ImageSpec.from_text(ImageSpec("RGB", 8, 9).to_text())
        ImageSpec(mode='RGB', height=8, width=9)
        """
        return f"{self.mode},{self.height}x{self.width}" if self.is_fixed else ""

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what :meth:`to_text` wrote.

        Raises
        ------
        SchemaError
            If the text is not of that form.
        """
        if not text:
            return cls()
        mode, _, size = text.partition(",")
        height, _, width = size.partition("x")
        if not (height.isdigit() and width.isdigit()):
            raise SchemaError(f"not the metadata of an image column: {text!r}")
        return cls(mode, int(height), int(width))

    def __str__(self) -> str:
        return f"Image[{self.mode}, {self.height}x{self.width}]" if self.is_fixed else "Image"

    def _fixed(self) -> tuple[str, int, int]:
        if self.mode is None or self.height is None or self.width is None:
            raise SchemaError("the images of this column differ in mode or size; resize them first")
        return self.mode, self.height, self.width


def pixel_shape(mode: str, height: int, width: int) -> tuple[int, ...]:
    """Give the array shape of one image: ``(H, W)`` for one channel, else ``(H, W, C)``."""
    channels = MODES[mode][1]
    return (height, width) if channels == 1 else (height, width, channels)


def mode_of(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> str | None:
    """Find the mode that stores arrays of this shape and dtype, if there is one.

    >>> mode_of((8, 8, 3), np.dtype("uint8")), mode_of((8, 8), np.dtype("uint16")), mode_of((3,), np.dtype("uint8"))
    ('RGB', 'I;16', None)
    """
    channels = {2: 1, 3: shape[-1] if shape else 0}.get(len(shape))
    return next((mode for mode, stored in MODES.items() if stored == (dtype, channels)), None)
