"""What a whole process takes, with all that it starts: seconds, processor time, memory.

Memory is the proportional set size (PSS) of the tree, in which shared pages count once; on macOS, which has none, the
resident set size, in which they count for each process. Processor time is that of the processes that have ended and
whose parents waited for them; on Linux, what a dead parent leaves can be adopted here and waited for.
"""

import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple, Self

SAMPLE_S = 0.05
LINGER_S = 10
"""How long what a process leaves behind may take to end."""

_SET_CHILD_SUBREAPER = 36
"""The number of the request (linux/prctl.h)."""


class Taken(NamedTuple):
    """What a process and its descendants took."""

    wall_s: float
    cpu_s: float
    """User and system time."""

    peak_bytes: int
    status: int
    """The exit status."""

    output: str
    """What it printed."""

    complaint: str
    """The last line that it wrote as an error."""


class Used(NamedTuple):
    """What one process uses now."""

    memory_bytes: int
    cpu_s: float


def look(pid: int) -> dict[int, Used]:
    """Tell what a process and its descendants use, by their numbers."""
    if sys.platform != "linux":
        return _listed(pid)
    return {one: Used(_pss_bytes(one), _cpu_s(one)) for one in _tree(pid)}


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):  # it may end at any time
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _pss_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _cpu_s(pid: int) -> float:
    with suppress(OSError):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime of proc(5)
    return 0


def _listed(pid: int) -> dict[int, Used]:
    listed = subprocess.run(["ps", "-axo", "pid=,ppid=,rss="], capture_output=True, text=True, check=True)  # noqa: S607
    children: defaultdict[int, list[int]] = defaultdict(list)
    sizes = {}
    for line in listed.stdout.splitlines():
        child, parent, kilobytes = map(int, line.split())
        children[parent].append(child)
        sizes[child] = kilobytes * 1024
    found, rest = {}, [pid]
    while rest:
        one = rest.pop()
        found[one] = Used(sizes.get(one, 0), 0)
        rest += children[one]
    return found


def children_cpu_s() -> float:
    """Tell the processor time of all children that have ended, and of theirs; a timer for pytest-benchmark.

    It stands still between two children, so what is timed must start one.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(command: list[str], environment: dict[str, str] | None = None, *, adopts: bool = False) -> Taken:
    """Run a command and tell what it took.

    With ``adopts``, which is for processes without other children, what the command leaves behind is waited for.
    """
    if adopts and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
        before, started = children_cpu_s(), time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=log, env=os.environ | (environment or {}))  # noqa: S603
        with _Watch(process.pid) as watch:
            status = process.wait()
            wall_s = time.perf_counter() - started
        if adopts:
            _wait_for_orphans()
        # Each tells less than all: one knows nothing of children that nobody waited for, the other of last moments.
        cpu_s = max(children_cpu_s() - before, watch.cpu_s())
        out.seek(0)
        return Taken(wall_s, cpu_s, watch.peak_bytes, status, out.read(), _last_line(log))


class _Watch:
    """A thread that looks at a tree of processes again and again."""

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._cpu_s: dict[int, float] = {}
        self._pid = pid
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._is_over.wait(SAMPLE_S):
            found = look(self._pid)
            self.peak_bytes = max(self.peak_bytes, sum(used.memory_bytes for used in found.values()))
            self._cpu_s |= {pid: max(used.cpu_s, self._cpu_s.get(pid, 0)) for pid, used in found.items()}

    def cpu_s(self) -> float:
        """Sum up what each process had used when it was last seen."""
        return sum(self._cpu_s.values())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()


def _wait_for_orphans() -> None:
    patience = time.monotonic() + LINGER_S
    with suppress(ChildProcessError):  # there are none any more
        while time.monotonic() < patience:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(SAMPLE_S)


def _last_line(log: IO[str]) -> str:
    log.seek(0)
    return next((line.strip() for line in reversed(log.readlines()) if line.strip()), "")
