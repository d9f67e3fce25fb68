"""The least of all limits counts: of the machine, of control groups of both versions and of those above them."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightdata.free_memory import free_bytes, linux_free_bytes

MB = 1 << 20


def machine(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text))
    return list(linux_free_bytes(root))


MEMINFO = {"proc/meminfo": f"MemTotal: 9999999 kB\nMemAvailable: {800 << 10} kB\nHugePages_Total: 0\n"}
V2 = "sys/fs/cgroup"
V1 = "sys/fs/cgroup/memory"


@pytest.mark.parametrize(
    ("files", "free"),
    [
        (MEMINFO, [800]),
        ({}, []),
        # Version 2: its own group is unlimited, the one above is not; file cache that can be dropped is free.
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                f"{V2}/a/b/memory.max": "max\n",
                f"{V2}/a/b/memory.current": 100 * MB,
                f"{V2}/a/memory.max": 500 * MB,
                f"{V2}/a/memory.current": 300 * MB,
                f"{V2}/a/memory.stat": f"anon 7\ninactive_file {50 * MB}\n",
            },
            [250],
        ),
        # A container that sees its own group at the mount, under a path that only its host knows.
        (
            {
                "proc/self/cgroup": "0::/\n",
                f"{V2}/memory.max": 400 * MB,
                f"{V2}/memory.high": 300 * MB,
                f"{V2}/memory.current": 100 * MB,
            },
            [300, 200],
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/docker/x\n0::/docker/x\n",
                f"{V1}/memory.limit_in_bytes": 400 * MB,
                f"{V1}/memory.usage_in_bytes": 100 * MB,
                f"{V1}/memory.stat": f"inactive_file 1\ntotal_inactive_file {20 * MB}\n",
            },
            [320],
        ),
        # Version 1 without a limit says so with a number.
        (
            {
                "proc/self/cgroup": "4:cpu,memory:/x\n",
                f"{V1}/x/memory.limit_in_bytes": 9223372036854771712,
                f"{V1}/x/memory.usage_in_bytes": 5,
            },
            [],
        ),
        # More is used than allowed.
        ({"proc/self/cgroup": "0::/x\n", f"{V2}/x/memory.max": 5, f"{V2}/x/memory.current": 9 * MB}, [0]),
    ],
    ids=["machine", "nothing", "above", "container", "version 1", "unlimited", "over"],
)
def test_each_limit_leaves_what_it_leaves(tmp_path, files, free):
    """What every limit leaves is told; where none is told there is none."""
    assert [found // MB for found in machine(tmp_path, files)] == free


@given(st.lists(st.tuples(st.integers(0, 2**50), st.integers(0, 2**50)), min_size=1, max_size=4))
def test_no_group_above_is_forgotten(tmp_path_factory, groups):
    """However deep a process is, the least that is left is found."""
    root = tmp_path_factory.mktemp("machine")
    path, files = "", {}
    for number, (limit, used) in enumerate(groups):
        path += f"/g{number}"
        files |= {f"{V2}{path}/memory.max": limit, f"{V2}{path}/memory.current": used}
    found = machine(root, {**files, "proc/self/cgroup": f"0::{path}\n"})
    assert min(found) == min(max(limit - used, 0) for limit, used in groups)


def test_this_machine_tells():
    """There is some memory, and no more than an address space."""
    assert 0 <= free_bytes() < 1 << 57


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_limits_of_the_process_count(kind):
    """What ulimit leaves is the most that is free."""
    script = (
        "import resource; from lightdata.free_memory import free_bytes; before = free_bytes();"
        f"resource.setrlimit(resource.{kind}, (3 << 30, 3 << 30)); print(free_bytes(), before)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    free, before = map(int, done.stdout.split())
    assert 0 < free < 3 << 30 or free == before < 3 << 30
