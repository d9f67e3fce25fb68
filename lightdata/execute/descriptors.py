"""Whether this process may open as many files as it is about to."""

from __future__ import annotations

import os
import sys

from lightdata.errors import ExecutionError


def check_descriptors(needed: int, doing: str) -> None:
    """Refuse to begin what would run out of file descriptors half-way.

    >>> check_descriptors(3, "opening three files")

    Raises
    ------
    ExecutionError
        Naming the limit.
    """
    if sys.platform == "win32":
        return
    if (obstacle := _obstacle(needed)) is not None:
        raise ExecutionError(
            f"{doing} takes {needed} file descriptors more, and {_limit()} in all: {obstacle.strerror}. Raise the "
            "limit (ulimit -n), close files, or ask for fewer workers: config(workers=1), or 0 for none"
        ) from obstacle


def _obstacle(needed: int) -> OSError | None:
    opened: list[int] = []
    try:
        while len(opened) < needed:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return None


def _limit() -> str:
    import resource  # noqa: PLC0415 - where all goes well, nobody asks

    return f"this process may have {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"
