"""Make the extension types known to Arrow and Polars; explicit, and reversible."""

from __future__ import annotations

import warnings
from contextlib import suppress

import polars as pl
import pyarrow as pa

from lightdata.types import image, tensor


def register() -> None:
    """Register the image and tensor types with pyarrow and Polars; does nothing where they are registered."""
    for example, dtype in (
        (image.ImageType(), image.ImageDtype),
        (tensor.TensorType("uint8"), tensor.TensorDtype),
    ):
        name = example.extension_name
        with suppress(pa.ArrowKeyError):  # registered before
            pa.register_extension_type(example)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Polars calls extension types unstable
            if pl.get_extension_type(name) is None:
                pl.register_extension_type(name, dtype)


def unregister() -> None:
    """Undo :func:`register`: files that hold these types then read as their storage."""
    for name in (image.NAME, tensor.NAME):
        pa.unregister_extension_type(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pl.unregister_extension_type(name)
