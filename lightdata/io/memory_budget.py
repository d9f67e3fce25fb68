"""How much Polars may hold before it spills to disk, while queries of ours run in it.

Polars reads this from the environment alone, and asks what the whole process holds in it: frames of the user's count
too, so the budget stands on top of what is there when the first of our queries starts. It bounds what a sort holds. The
table of a join and of a group are never spilled.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

_BUDGET = "POLARS_OOC_MEMORY_BUDGET_MB"
_OF_USERS = (_BUDGET, "POLARS_OOC_MEMORY_BUDGET_FRACTION")
_BYTES_PER_MB = 1 << 20

_turn = threading.Lock()
_running = 0


@contextmanager
def memory_budget(limit_bytes: int) -> Iterator[None]:
    """Let Polars hold ``limit_bytes`` more than now; a budget in the user's environment stays as it is.

    Of queries that run at the same time the first one's budget holds for all.
    """
    _enter(limit_bytes)
    try:
        yield
    finally:
        _leave()


def _enter(limit_bytes: int) -> None:
    global _running  # noqa: PLW0603 - Polars has one budget for the process
    with _turn:
        _running += 1
        if _running == 1 and not any(name in os.environ for name in _OF_USERS):
            _set((limit_bytes + held_bytes()) // _BYTES_PER_MB + 1)


def _leave() -> None:
    global _running  # noqa: PLW0603 - as above
    with _turn:
        _running -= 1
        if not _running:
            pl.Config.reload_env_vars()


def _set(megabytes: int) -> None:
    """Set the budget; the environment is left as it was, for processes that start meanwhile."""
    os.environ[_BUDGET] = str(megabytes)
    try:
        pl.Config.reload_env_vars()
    finally:
        del os.environ[_BUDGET]


def held_bytes() -> int:
    """Tell what Polars holds in this process, as it estimates itself; 0 where it does not say."""
    estimate = getattr(importlib.import_module("polars._plr"), "_estimate_memory_usage", lambda: 0)
    return int(estimate())
