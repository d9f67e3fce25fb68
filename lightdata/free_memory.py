"""How much memory this process may still take: of the machine, of its container, and of its own limits.

Every limit that holds is asked, and the least counts. Page cache that the system would drop is free.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_UNKNOWN = 4 << 30
"""Bytes, where no system tells."""

_UNLIMITED = 1 << 60
"""Control groups of version 1 write "no limit" as a number about as large as there is."""


def free_bytes() -> int:
    """Tell how many bytes this process may still take."""
    if sys.platform == "linux":
        found = [*linux_free_bytes(Path("/")), *_within_own_limits()]
    elif sys.platform == "darwin":
        found = [*_mac_free_bytes(), *_within_own_limits()]
    elif sys.platform == "win32":
        found = [*_windows_free_bytes()]
    else:
        found = []
    return max(min(found, default=_UNKNOWN), 0)


def linux_free_bytes(root: Path) -> Iterator[int]:
    """Tell what the machine has free, and every control group that this process is in.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys/fs/cgroup`` are.
    """
    available = _fields(root / "proc/meminfo").get("MemAvailable:")
    if available is not None:
        yield available * 1024
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for mount in ("sys/fs/cgroup", "sys/fs/cgroup/unified"):
                yield from _groups_free_bytes(root / mount, path, ("memory.max", "memory.high"), "memory.current")
        elif "memory" in controllers.split(","):
            mount = "sys/fs/cgroup/memory"
            yield from _groups_free_bytes(root / mount, path, ("memory.limit_in_bytes",), "memory.usage_in_bytes")


def _groups_free_bytes(mount: Path, path: str, limits: tuple[str, ...], usage: str) -> Iterator[int]:
    """Tell what a control group and those above it leave; in a container its own group is at the mount itself."""
    inside = PurePosixPath(path).relative_to("/") if path.startswith("/") else PurePosixPath(path)
    for group in (mount / part for part in (inside, *inside.parents)):
        used = _number(group / usage)
        if used is None:
            continue
        stat = _fields(group / "memory.stat")
        droppable = stat.get("total_inactive_file", stat.get("inactive_file", 0))
        for limit in (_number(group / name) for name in limits):
            if limit is not None and limit < _UNLIMITED:
                yield max(limit - max(used - droppable, 0), 0)


def _within_own_limits() -> Iterator[int]:
    """Tell what the limits of this process on its address space and its data leave."""
    import resource  # noqa: PLC0415 - where there is one

    pages = _text(Path("/proc/self/statm")).split()
    for kind, column in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            yield limit - (int(pages[column]) * resource.getpagesize() if pages else 0)


def _mac_free_bytes() -> Iterator[int]:
    """Ask the kernel for pages that are free or would be given back; it has no file that tells."""
    import ctypes  # noqa: PLC0415 - only where nothing else tells

    system = ctypes.CDLL(None)
    system.mach_host_self.restype = ctypes.c_uint
    counts, words = (ctypes.c_uint32 * 64)(), ctypes.c_uint(38)
    asked_for = 4  # HOST_VM_INFO64: pages that are free, active, inactive, ...
    if system.host_statistics64(system.mach_host_self(), asked_for, counts, ctypes.byref(words)) == 0:
        yield (counts[0] + counts[2]) * os.sysconf("SC_PAGE_SIZE")


def _windows_free_bytes() -> Iterator[int]:
    import ctypes  # noqa: PLC0415 - only where nothing else tells

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *(
                (name, ctypes.c_ulonglong)
                for name in ("total", "free", "swap", "free_swap", "space", "free_space", "_")
            ),
        )

    status = Status(length=ctypes.sizeof(Status))
    if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):  # type: ignore[attr-defined,unused-ignore]
        yield int(status.free)


def _fields(path: Path) -> dict[str, int]:
    """Read lines of a name and a number."""
    rows = (line.split() for line in _text(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdecimal() else None  # "max" is none


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
