"""Hears what decoders warn of while they decode for us, where it would be printed, or raised by a filter of the user's.

How warnings are heard. Code that disagrees with this is wrong.
  Ours       While a thread decodes for us, what Pillow warns of in that thread is heard, whatever filters are set.
  Not ours   Whatever else uses Pillow, in this thread at other times or in others, is warned and told as ever.
  Filters    None is set or changed: they belong to the whole process, and so to the user. Instead Pillow's modules have
             a stand-in for ``warnings``, which looks whether their work is ours.
  Logs       What these modules log as a warning or worse goes the same way, by a filter of theirs.
  libtiff    Writes errors to standard error, from C. Its handler is replaced by one that looks the same way and hands
             on to the former; where libtiff is part of Pillow (Windows), it cannot be reached and goes on writing.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from PIL import Image

_MODULES = (
    *("Image", "JpegImagePlugin", "PngImagePlugin", "GifImagePlugin"),
    *("BmpImagePlugin", "TiffImagePlugin", "WebPImagePlugin", "AvifImagePlugin"),
)
"""Pillow's modules that decode for us. With these loaded it never loads those of all other formats."""

LIBTIFF = "libtiff"

_MOST = 1000
"""Warnings of one image that are heard; a damaged fax has one for each line."""


class _Ear(threading.local):
    heard: list[tuple[str, str]] | None = None


_ear = _Ear()


def begin() -> list[tuple[str, str]] | None:
    """Begin to listen in this thread; gives where to, or ``None`` if that has begun before.

    What is heard are pairs: the class of the warning or :data:`LIBTIFF`, and its words.
    """
    _put_in_place()
    if _ear.heard is not None:
        return None
    _ear.heard = []
    return _ear.heard


def end() -> None:
    """Listen no more."""
    _ear.heard = None


def last_of_libtiff() -> str | None:
    """Give what libtiff said last: Pillow's own errors do not tell why it failed."""
    return next((words for source, words in reversed(_ear.heard or ()) if source == LIBTIFF), None)


def last_logged() -> str | None:
    """Give what Pillow logged last, before it raised something that says less."""
    return next((words for source, words in reversed(_ear.heard or ()) if source.startswith("PIL.")), None)


def _hear(source: str, words: str) -> None:
    if _ear.heard is not None and len(_ear.heard) < _MOST:
        _ear.heard.append((source, words))


class _Warnings:
    """Stands for :mod:`warnings` in a module of Pillow's."""

    def warn(
        self, message: Any, category: type[Warning] | None = None, stacklevel: int = 1, *args: Any, **more: Any
    ) -> None:
        kind = type(message) if isinstance(message, Warning) else category or UserWarning
        if _ear.heard is None:
            warnings.warn(message, category, stacklevel + 1, *args, **more)
        elif not issubclass(kind, Image.DecompressionBombWarning):  # for which there is a limit of ours
            _hear(kind.__name__, str(message))

    def __getattr__(self, name: str) -> Any:
        return getattr(warnings, name)


_Handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
"""Of libtiff: the name of what failed, a format as of printf, and a ``va_list``, which is passed as one pointer
wherever libraries are shared."""

_kept: list[Any] = []
"""Functions that C calls."""


def _is_logged(record: logging.LogRecord) -> bool:
    if _ear.heard is None or record.levelno < logging.WARNING:
        return True
    _hear(record.name, record.getMessage())
    return False


@cache
def _put_in_place() -> None:
    for name in _MODULES:
        module: Any = import_module(f"PIL.{name}")
        logging.getLogger(module.__name__).addFilter(_is_logged)
        if getattr(module, "warnings", None) is warnings:
            module.warnings = _Warnings()
    _listen_to_libtiff()


def _listen_to_libtiff() -> None:
    try:
        pillow, libc = ctypes.CDLL(import_module("PIL._imaging").__file__), ctypes.CDLL(None)
        replace, write = pillow.TIFFSetErrorHandler, libc.vsnprintf
    except (OSError, TypeError, AttributeError):  # no libtiff, or none that can be reached
        return
    replace.restype, replace.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    write.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_void_p]
    former: Callable[..., None] | None = None

    def handle(module: bytes | None, form: bytes, values: int) -> None:
        if _ear.heard is None:
            if former is not None:
                former(module, form, values)
        elif len(_ear.heard) < _MOST:
            words = ctypes.create_string_buffer(512)
            write(words, len(words), form, values)
            place = f"{module.decode(errors='replace')}: " if module else ""
            _hear(LIBTIFF, place.removeprefix("tempfile.tif: ") + words.value.decode(errors="replace"))

    kept = _Handler(handle)
    _kept.append(kept)
    address = replace(ctypes.cast(kept, ctypes.c_void_p))
    former = _Handler(address) if address else None
