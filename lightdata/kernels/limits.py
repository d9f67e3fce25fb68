"""How much a file may ask for: each limit is a setting, and who goes beyond one is told its name and what was found.

How limits are kept. Code that disagrees with this is wrong.
  Before     A limit is looked at before the memory is taken; where only expanding tells, before the next piece is.
  One place  What is refused, and the words, are here; where the figure comes from is the business of who reads.
  Lenient    What comes to little is never refused for its ratio: a page of one colour packs very well.
"""

from __future__ import annotations

from lightdata.config import MOST_IMAGE_PIXELS, config
from lightdata.errors import LimitError

FREE_PIXEL_BYTES = 64 << 20
"""Bytes of pixels that an image may have, whatever its file's size."""

FREE_BYTES = 16 << 20
"""Bytes that something packed may expand to, whatever its size."""


def check_file_bytes(size: int, what: str = "the file", uri: str | None = None) -> None:
    """Refuse to hold what is read whole, if it is too large.

    >>> check_file_bytes(1000)

    Raises
    ------
    LimitError
        If it has more bytes than ``max_file_bytes``.
    """
    if size > config().max_file_bytes:
        raise beyond(f"{size:,} bytes of {what}", "max_file_bytes", uri)


def check_frames(count: int, *, is_whole: bool = True) -> None:
    """Refuse a file of too many frames.

    Raises
    ------
    LimitError
        If it has more than ``max_frames``; ``is_whole`` says whether they were counted to the end.
    """
    if count > config().max_frames:
        raise beyond(f"{count:,} frames{'' if is_whole else ', or more,'}", "max_frames")


def check_pixels(height: int, width: int, pixel_bytes: int, file_bytes: int) -> None:
    """Refuse an image that has too many pixels, or too many for so small a file.

    Parameters
    ----------
    height, width : int
        Pixels.
    pixel_bytes : int
        Bytes of one of them.
    file_bytes : int
        Bytes that they are made of.

    Raises
    ------
    LimitError
        If it goes beyond ``max_image_pixels`` or ``max_image_expansion``.
    """
    if height * width > config().max_image_pixels:
        raise too_many_pixels(height * width, f"{width}x{height} pixels")
    size = height * width * pixel_bytes
    if is_inflated(size, file_bytes):
        raise beyond(f"{width}x{height} pixels out of {_ratio(size, file_bytes)}", "max_image_expansion")


def is_inflated(size: int, file_bytes: int) -> bool:
    """Say whether so many bytes of pixels are too many for a file."""
    return size > FREE_PIXEL_BYTES and size > config().max_image_expansion * file_bytes


def too_many_pixels(pixels: int, words: str | None = None) -> LimitError:
    """Give the error for an image of so many pixels; of some that is all a decoder tells."""
    return beyond(words or f"{pixels:,} pixels", "max_image_pixels", is_final=pixels > MOST_IMAGE_PIXELS)


def check_expansion(packed: int, size: int, *, free: int = FREE_BYTES, uri: str | None = None) -> None:
    """Refuse something packed that expands too far.

    Parameters
    ----------
    packed, size : int
        Bytes before and after, as far as they are known.
    free : int
        Bytes that it may expand to in any case.
    uri : str, optional
        Where it is.

    Raises
    ------
    LimitError
        If it goes beyond ``max_expansion``.
    """
    if size > max(free, config().max_expansion * packed):
        raise beyond(f"{size:,} bytes out of {_ratio(size, packed)}", "max_expansion", uri)


def beyond(found: str, setting: str, uri: str | None = None, *, is_final: bool = False) -> LimitError:
    """Say what was found, which limit that is beyond, and what to do; of some there is no more.

    >>> print(beyond("7 frames", "max_frames"))
    7 frames are more than max_frames=10000; raise it with config(max_frames=...)
    """
    mend = "no image so large can be decoded" if is_final else f"raise it with config({setting}=...)"
    return LimitError(f"{found} are more than {setting}={getattr(config(), setting)}; {mend}", uri=uri)


def _ratio(size: int, packed: int) -> str:
    return f"{packed:,} bytes ({size / max(packed, 1):,.0f} to 1)"
