"""Names of files that come from data: they never lead out of a folder, and never mean one file twice."""

from __future__ import annotations

import os
import unicodedata

from lightdata.errors import EncodeError

_MAX_NAME_BYTES = 200
"""Of one part of a file name; file systems stop at 255."""


def checked_name(name: str, suffix: str) -> str:
    """Give a relative file name its suffix, and refuse one that would leave the target folder.

    >>> checked_name("cat/1", "png")
    'cat/1.png'

    Raises
    ------
    EncodeError
        If the name is absolute, climbs, is hidden, or is too long.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") or part.startswith(".") or "\0" in part or "\\" in part for part in parts):
        raise EncodeError(f"{name!r} is not a file name inside the target folder")
    if any(len(os.fsencode(part)) > _MAX_NAME_BYTES for part in parts):
        raise EncodeError(f"a file name of {len(name)} characters is too long")
    return name if name.lower().endswith(f".{suffix}") else f"{name}.{suffix}"


def alike(name: str) -> str:
    """Give names one form that some file systems take for the same: by case, or by how accents are composed."""
    return unicodedata.normalize("NFC", name).casefold()
