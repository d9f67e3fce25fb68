"""Sizes as people write them: numbers of bytes, or text with a unit."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

_UNITS = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
}

_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.ASCII | re.IGNORECASE)


def bytes_of(size: Any, *, name: str) -> int:
    """Read a size.

    Parameters
    ----------
    size : int or str
        A number of bytes, or a number and one of the units B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB and TiB
        (powers of 1024), in any case.
    name : str
        What an error calls it.

    Raises
    ------
    ValueError
        For anything else, and for less than one byte.

    Examples
    --------
    >>> bytes_of("2GB", name="memory_limit"), bytes_of("1.5 MiB", name="memory_limit")
    (2000000000, 1572864)
    """
    count = 0
    if isinstance(size, int) and not isinstance(size, bool):
        count = size
    elif isinstance(size, str) and (found := _TEXT.fullmatch(size)) and found[2].lower() in _UNITS:
        count = int(Fraction(found[1]) * _UNITS[found[2].lower()])
    if count < 1:
        raise ValueError(
            f"{name} must be a positive number of bytes, or text such as '2GB' or '512MiB' "
            f"(B, kB, MB, GB, TB, KiB, MiB, GiB, TiB); got {size!r}"
        )
    return count
