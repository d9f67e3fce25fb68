"""Make the extension types known to Arrow; explicit, and reversible."""

# What happens where threads import at once. Code that disagrees with this is wrong.
#   Registering   is the last act of pyarrow's import. The thread that does it holds pyarrow's import lock, and waits
#                 for our modules of the types, should another thread be importing those.
#   Our doors     import pyarrow before they import a module of ours: no thread that came through them waits for pyarrow
#                 with the lock of such a module in its hand.
#   Others        that import our modules by their private names may do so. Python sees that the two wait for each
#                 other, and gives the first one a module that is not whole; then a thread that holds no lock registers
#                 the types, as soon as the other is done.

from __future__ import annotations

import threading
from contextlib import suppress


def register() -> None:
    """Register the image and tensor types with pyarrow; does nothing where they are registered."""
    try:
        _register()
    except (ImportError, AttributeError, RuntimeError):
        threading.Thread(target=_register, name="lightdata-register", daemon=True).start()


def _register() -> None:
    import pyarrow as pa  # noqa: PLC0415 - this module is there before pyarrow is

    from lightdata.types.image import ImageType  # noqa: PLC0415 - the same
    from lightdata.types.tensor import TensorType  # noqa: PLC0415 - the same

    for example in (ImageType(), TensorType("uint8")):
        with suppress(pa.ArrowKeyError):  # registered before
            pa.register_extension_type(example)


def unregister() -> None:
    """Undo :func:`register`: what pyarrow reads of these types is then their storage."""
    import pyarrow as pa  # noqa: PLC0415 - this module is there before pyarrow is

    for name in ("lightdata.image", "lightdata.tensor"):
        pa.unregister_extension_type(name)
