"""Try again what may go well the next time, and nothing else."""

from __future__ import annotations

import errno
import math
import random
import time
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")

Pause = Callable[[float], None]
"""Waits for some seconds; raises if there is no point in going on."""

FIRST_PAUSE_S = 0.1
MOST_PAUSE_S = 10.0

MOST_ASKED_PAUSE_S = 60.0
"""Seconds that a server may ask to be left alone."""

_PASSING = {
    errno.EIO,
    errno.EAGAIN,
    errno.EBUSY,
    errno.EPIPE,
    errno.ECONNRESET,
    errno.ECONNABORTED,
    errno.ECONNREFUSED,
    errno.ETIMEDOUT,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.ENETRESET,
    errno.ESTALE,
}


class PassingError(Exception):
    """A fault that may pass.

    Parameters
    ----------
    message : str
    pause_s : float
        Seconds that the server asked to be left alone.
    """

    def __init__(self, message: str, *, pause_s: float = 0.0) -> None:
        super().__init__(message)
        self.pause_s = pause_s


def may_pass(error: BaseException | None) -> bool:
    """Whether a fault of the operating system or a network may be gone the next time.

    >>> may_pass(TimeoutError()), may_pass(FileNotFoundError())
    (True, False)
    """
    match error:
        case PassingError() | ConnectionError() | TimeoutError():
            return True
        case OSError():
            return error.errno in _PASSING
    return False


def retried(attempt: Callable[[int], _T], *, retries: int, pause: Pause, most_s: float = math.inf) -> _T:
    """Do something until it goes well, fails for good, or has been tried often enough, or for ``most_s`` seconds.

    ``attempt`` gets the number of tries before it. Pauses, which do not count for ``most_s``, double, and differ by
    chance so that many do not come back at once.
    """
    spent_s = 0.0
    for number in range(retries + 1):
        began = time.monotonic()
        try:
            return attempt(number)
        except Exception as error:
            spent_s += time.monotonic() - began
            if number == retries or spent_s >= most_s or not may_pass(error):
                raise
            pause(_pause_s(number, getattr(error, "pause_s", 0.0)))
    raise AssertionError("the last try returns or raises")


def _pause_s(number: int, asked_s: float) -> float:
    own = min(FIRST_PAUSE_S * 2**number, MOST_PAUSE_S) * random.uniform(0.5, 1.0)  # noqa: S311 - not for secrets
    return max(own, min(asked_s, MOST_ASKED_PAUSE_S))
