"""The values that the files under ``data`` hold; nothing here needs more than NumPy and Pillow."""

import io

import numpy as np
from PIL import Image

LABELS = ("cat", "dog", "owl")
MODES = ("RGB", "L", "RGBA")

MATRICES = np.arange(5 * 3 * 4, dtype=np.float32).reshape(5, 3, 4) / 8
"""Tensors of one shape."""

RAGGED = [np.arange(2 * width, dtype=np.int64).reshape(2, width) for width in (1, 3, 2, 5, 4)]
"""Tensors whose shapes differ."""

SCORES = [0.5, -1.25, 3.0, 0.0, 1e30]
NUMBERS = [0, -1, 2**62, 7, -(2**62)]
TEXTS = ["tench", "", "snø 雪", "a\nb", "z" * 40]
BOXES = [[[0.0, 1.0]], [], [[2.0, 3.0], [4.0, 5.0]], [[6.0, 7.0]], []]


def pixels(number):
    """Give the pixels of picture ``number``; each has another size, and a mode of its own out of three."""
    mode = MODES[number % 3]
    height, width = 8 + number, 6 + 2 * number
    rows, columns, channels = np.indices((height, width, 4))
    values = (rows * 9 + columns * 5 + channels * 60 + number * 17).astype(np.uint8)
    return values[..., 0] if mode == "L" else values[..., : len(mode)]


def picture(number):
    """Give picture ``number`` as Pillow has it."""
    return Image.fromarray(pixels(number))


def png(number):
    """Give picture ``number`` as the bytes of a file."""
    out = io.BytesIO()
    picture(number).save(out, "PNG")
    return out.getvalue()


def jpeg(number):
    """Give picture ``number``, without what is clear of it, as the bytes of a file that loses a little."""
    out = io.BytesIO()
    picture(number).convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()
