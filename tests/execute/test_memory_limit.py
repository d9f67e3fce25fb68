"""Queries over ten times as many pixels as the memory limit stay inside it, while the system enforces a limit too."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from process_memory import run_and_watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and their keeping are read from /proc")

LIMIT_MB = 64

FLOOR_MB = 200
"""What processes take that do next to nothing: Polars and Arrow in the calling process 90, the fork server 30, two
workers 25 each; and 30 for what allocators keep."""

DATA_MB = 192
"""Private memory that each process may reserve, by RLIMIT_DATA, beyond what it reserves at first: Polars takes room for
each of its threads."""

PIXELS = 512
FILES = 860
"""Their pixels are 676 MB."""

SCRIPT = """
import re, resource, sys, time
import lightdata as ld
import polars as pl

job, folder, out, limit_mb, data_mb = *sys.argv[1:4], *map(int, sys.argv[4:6])
ld.config(workers=2, progress=False, memory_limit=f"{limit_mb} MiB")
ds = ld.read_images(folder, mode="RGB", include_paths=True)
turned = ds.with_columns(ld.col("image").image.rotate(90))
ld.range(9).sort("id").count()  # Polars has its threads
reserved = int(re.search(r"VmData:\\s*(\\d+)", open("/proc/self/status").read())[1]) << 10
resource.setrlimit(resource.RLIMIT_DATA, (reserved + (data_mb << 20),) * 2)

def rows(ds, pause_s=0, batch_size=8):
    count = 0
    for batch in ds.iter_batches(batch_size=batch_size):
        count += len(batch["image"])
        time.sleep(pause_s)
    return count

match job:
    case "resize":
        print(rows(ds.with_columns(ld.col("image").image.resize(224, 224))))
    case "iterate":
        print(rows(turned))
    case "slow consumer":
        print(rows(turned, pause_s=0.02))
    case "sort":
        print(rows(ds.sort("path", descending=True).with_columns(ld.col("image").image.rotate(90))))
    case "write_parquet":
        print(turned.write_parquet(out, mode="overwrite").rows)
    case "large photos":
        print(rows(ds, batch_size=1))
    case "large files":
        print(sum(len(row["bytes"]) > 0 for row in ld.read_binary_files(folder).iter_rows()))
"""


def fill(folder, image, count, suffix="jpg", **how):
    """Make as many files of one image, which take the room of one."""
    first = folder / f"00000.{suffix}"
    image.save(first, **how)
    for number in range(1, count):
        os.link(first, folder / f"{number:05}.{suffix}")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    coarse = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    return fill(tmp_path_factory.mktemp("photos"), Image.fromarray(coarse).resize((PIXELS, PIXELS)), FILES)


def peak_mb(job, folder, out, *, limit_mb=LIMIT_MB, data_mb=DATA_MB, pause_s=0.05):
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, job, str(folder), str(out), str(limit_mb), str(data_mb)]
    printed, peak = run_and_watch(command, pause_s=pause_s, env={**os.environ, "POLARS_MAX_THREADS": "2"})
    assert int(printed) == len(list(folder.iterdir()))
    return peak >> 20


@pytest.mark.parametrize("job", ["resize", "iterate", "slow consumer", "sort", "write_parquet"])
def test_ten_times_the_limit_fits(job, folder, tmp_path):
    """Whatever the query does with 676 MB of pixels, all processes together take no more than the limit and a floor."""
    assert FILES * PIXELS * PIXELS * 3 > 10 * (LIMIT_MB << 20)
    assert peak_mb(job, folder, tmp_path / "out") <= LIMIT_MB + FLOOR_MB


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_large_photos_are_decoded_one_by_one(tmp_path):
    """100 photos of 12 megapixels, 3.6 GB, go through 256 MB."""
    coarse = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    photos = fill(tmp_path, Image.fromarray(coarse).resize((4000, 3000)), 100)
    assert peak_mb("large photos", photos, "", limit_mb=256) <= 256 + FLOOR_MB


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_large_files_are_read_one_by_one(tmp_path):
    """64 files of 48 MB, 3 GB, go through 256 MB, one apart: a file is read whole whatever the limit."""
    scans = fill(tmp_path, Image.fromarray(np.zeros((4000, 4000, 3), np.uint8)), 64, "tif")
    assert peak_mb("large files", scans, "", limit_mb=256) <= 256 + FLOOR_MB + 48


@pytest.fixture
def group():
    """A control group of version 2 whose memory is bounded, and that ends with the test."""
    mount = Path("/sys/fs/cgroup")
    if not (mount / "cgroup.controllers").exists():
        pytest.skip("no control groups of version 2 here")
    own = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    folder = mount / own.strip("/") / f"lightdata-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    try:
        if not (folder / "memory.max").exists():
            pytest.skip("control groups here do not bound memory")
        (folder / "memory.max").write_text(str((LIMIT_MB + FLOOR_MB) << 20))
        yield folder
    finally:
        folder.rmdir()


def test_a_control_group_of_the_limit_is_enough(group, folder, tmp_path):
    """In a group that may take the limit and the floor, page cache included, nothing is killed."""
    enter = f"import os, sys; open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()));"
    command = [sys.executable, "-W", "ignore", "-c", enter + SCRIPT, "iterate", str(folder), "", str(LIMIT_MB)]
    printed, _ = run_and_watch([*command, str(DATA_MB)], pause_s=0.2)
    assert int(printed) == FILES
