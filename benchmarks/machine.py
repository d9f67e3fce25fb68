"""What is said of the machine, the code and the packages that figures were made with."""

import datetime as dt
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

_INSTALLED = """
import importlib.metadata as metadata, json
print(json.dumps({one.metadata["Name"].lower(): one.version for one in metadata.distributions()}))
"""


def describe_machine() -> dict[str, Any]:
    """Tell the date, the machine and the commit."""
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "machine": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        "commit": _commit(),
    }


def processor() -> str:
    """Tell the name of the processor."""
    if sys.platform == "darwin":
        return _said_by("sysctl", "-n", "machdep.cpu.brand_string")
    told = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*:\s*(.+)$", told.read_text(), re.MULTILINE) if told.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def _memory_gb() -> int | None:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9) if hasattr(os, "sysconf") else None


def packages(python: str) -> dict[str, str]:
    """List what is installed for an interpreter, with versions."""
    found: dict[str, str] = json.loads(_said_by(python, "-c", _INSTALLED))
    return dict(sorted(found.items()))


def slug(words: str) -> str:
    """Make a name for a file of words.

    >>> slug("AMD EPYC (2 cores)")
    'amd-epyc-2-cores'
    """
    return "-".join(re.findall("[a-z0-9]+", words.lower()))


def _commit() -> str:
    changed = _said_by("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no", "--", "lightdata")
    return _said_by("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD") + (" and changes" if changed else "")


def _said_by(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    return done.stdout.strip()
