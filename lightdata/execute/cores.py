"""How many cores this process may use.

As joblib counts them, which imports asyncio, HTTP and more before it does: a tenth of what a first query takes.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")

_QUOTA_AND_PERIOD = 2

_MOST_ON_WINDOWS = 61
"""Processes that Windows lets one wait for."""


def cpu_count() -> int:
    """Count the cores of this machine that this process may use.

    The least of those there are, those it is bound to, what its container has the time of (Linux), and what
    ``LOKY_MAX_CPU_COUNT`` says.
    """
    there = os.cpu_count() or 1
    bound = len(os.sched_getaffinity(0)) if sys.platform == "linux" else there
    if sys.platform == "win32":
        there = min(there, _MOST_ON_WINDOWS)
    asked = int(os.environ.get("LOKY_MAX_CPU_COUNT") or there)
    return max(min(there, bound, container_count(_CGROUP) or there, asked), 1)


def container_count(cgroup: Path) -> int | None:
    """Count the cores that a container may keep busy, rounded up; ``None`` where it has no limit."""
    first = _words(cgroup / "cpu.max")
    second = [*_words(cgroup / "cpu/cpu.cfs_quota_us"), *_words(cgroup / "cpu/cpu.cfs_period_us")]
    match next((found for found in (first, second) if len(found) == _QUOTA_AND_PERIOD), []):
        case [quota, period] if quota != "max" and int(quota) > 0 and int(period) > 0:
            return math.ceil(int(quota) / int(period))
    return None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
