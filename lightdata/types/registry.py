"""Make the extension types known to Arrow; explicit, and reversible."""

from __future__ import annotations

from contextlib import suppress

import pyarrow as pa

from lightdata.types import image, tensor


def register() -> None:
    """Register the image and tensor types with pyarrow; does nothing where they are registered."""
    for example in (image.ImageType(), tensor.TensorType("uint8")):
        with suppress(pa.ArrowKeyError):  # registered before
            pa.register_extension_type(example)


def unregister() -> None:
    """Undo :func:`register`: what pyarrow reads of these types is then their storage."""
    for name in (image.NAME, tensor.NAME):
        pa.unregister_extension_type(name)
