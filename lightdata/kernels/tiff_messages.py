"""What Pillow and libtiff say of odd TIFF files beside raising: one logs, the other prints, file after file.

Whoever decodes here is told by an error, so that nothing is said beside it; others in this process hear it as before.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from PIL import _imaging

_SETTERS = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")
_decoding = threading.local()


@contextmanager
def nothing_logged() -> Iterator[list[str]]:
    """Take what Pillow logs of a TIFF in this thread, before it raises something that says less."""
    before, said = getattr(_decoding, "said", None), list[str]()
    _decoding.said = said
    try:
        yield said
    finally:
        _decoding.said = before


def _is_heard(record: logging.LogRecord) -> bool:
    said: list[str] | None = getattr(_decoding, "said", None)
    if said is not None:
        said.append(record.getMessage())
    return said is None


logging.getLogger("PIL.TiffImagePlugin").addFilter(_is_heard)


@contextmanager
def nothing_printed() -> Iterator[None]:
    """Keep libtiff from printing while a file is decoded.

    Where Pillow has libtiff inside of itself, as on Windows, it goes on printing.
    """
    handlers = _handlers()
    try:
        for set_handler, _ in handlers:
            set_handler(None)
        yield
    finally:
        for set_handler, handler in handlers:  # those of the first time: another thread may be decoding, too
            set_handler(handler)


@cache
def _handlers() -> tuple[tuple[Any, Any], ...]:
    """Find what sets the handlers of messages, and what they were before anybody here set them."""
    library = ctypes.CDLL(_imaging.__file__)  # symbols of the libraries that it is linked to are found through it
    found = []
    for name in _SETTERS:
        if (set_handler := getattr(library, name, None)) is not None:
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            handler = set_handler(None)
            set_handler(handler)
            found.append((set_handler, handler))
    return tuple(found)
