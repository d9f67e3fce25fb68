"""Arguments of the verbs that take a user's function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightdata.config import config
from lightdata.errors import ArgumentError
from lightdata.io.source import OnError


def constructor_arguments(step: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the arguments of a class, and refuse any others.

    Raises
    ------
    ArgumentError
        For an argument that the step does not take.
    """
    if unknown := given.keys() - {"fn_constructor_args", "fn_constructor_kwargs", "num_gpus"}:
        raise ArgumentError(f"{step} has no argument {', '.join(sorted(unknown))}")
    return {name.removeprefix("fn_"): value for name, value in given.items()}


def checked_concurrency(concurrency: int | tuple[int, int] | None) -> int | None:
    """Give the most workers that may run a function; the pool never runs fewer than it has."""
    match concurrency:
        case None:
            return None
        case int() if concurrency > 0:
            return concurrency
        case (int(low), int(high)) if 0 < low <= high:
            return high
    raise ArgumentError(f"concurrency must be a positive number or (min, max); got {concurrency!r}")


def checked_on_error(step: str, on_error: OnError | None, columns: object | None) -> OnError:
    """Say what becomes of a row for which the function raises, as configured where the step does not say.

    Raises
    ------
    ArgumentError
        If it has no meaning, or wants nulls of columns that nobody knows.
    """
    chosen = config().on_error if on_error is None else on_error
    if chosen not in ("raise", "null", "skip"):
        raise ArgumentError(f"on_error must be 'raise', 'null' or 'skip'; got {chosen!r}")
    if chosen == "null" and columns is None:
        raise ArgumentError(
            f"{step}: on_error='null' gives a row of nulls, so its columns must be known; pass schema=, "
            "or leave such rows out with on_error='skip'"
        )
    return chosen
