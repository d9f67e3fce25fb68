"""Rows as a person wants to see them: images in words, not as walls of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lightdata.types.image_spec import mode_of

_SHOWN_BYTES = 32
_SHOWN_VALUES = 8


def preview_row(row: Mapping[str, Any]) -> str:
    """Write one row in a line.

    >>> preview_row({"image": np.zeros((4, 5, 3), np.uint8), "label": "cat"})
    "{'image': <Image RGB 4x5>, 'label': 'cat'}"
    """
    return f"{{{', '.join(f'{name!r}: {preview_value(value)}' for name, value in row.items())}}}"


def preview_value(value: Any) -> str:
    """Write one value briefly."""
    match value:
        case np.ndarray():
            return _preview_array(value)
        case bytes() if len(value) > _SHOWN_BYTES:
            return f"<{len(value)} bytes>"
        case list() if len(value) > _SHOWN_VALUES:
            return f"[{', '.join(map(preview_value, value[:_SHOWN_VALUES]))}, … {len(value)} values]"
        case np.generic():
            return repr(value.item())
    return repr(value)


def _preview_array(array: np.ndarray[Any, Any]) -> str:
    mode = mode_of(array.shape, array.dtype) if array.dtype == np.uint8 else None
    if mode is not None and array.size > _SHOWN_VALUES:
        return f"<Image {mode} {array.shape[0]}x{array.shape[1]}>"
    if array.size <= _SHOWN_VALUES:
        return repr(array.tolist())
    return f"<Tensor {array.dtype} {array.shape}>"
