"""What does it cost to know what is in a folder, without decoding anything?"""

import os

import pytest
from PIL import Image

import lightdata as ld


def list_by_hand(folder):
    with os.scandir(folder) as files:
        return len(sorted(file.path for file in files))


def widths_by_hand(folder):
    with os.scandir(folder) as files:
        paths = sorted(file.path for file in files)
    wide = 0
    for path in paths:
        with Image.open(path) as image:
            wide += image.width >= 32
    return wide


SYSTEMS = {
    "count": {"by hand": list_by_hand, "lightdata": lambda folder: ld.read_images(folder).count()},
    "filter by width": {
        "by hand": widths_by_hand,
        "lightdata": lambda folder: (
            ld.read_images(folder).filter(ld.col("image").image.width() >= 32).select("image").count()
        ),
    },
}


@pytest.mark.parametrize("system", ["by hand", "lightdata"])
@pytest.mark.parametrize("query", SYSTEMS)
def test_scan(benchmark, tiny_files, query, system):
    """Ask 10,000 files of 32x32, in one process."""
    ld.config(workers=0, progress=False)
    benchmark.group = f"{query}, 10,000 files"
    run = SYSTEMS[query][system]
    assert benchmark.pedantic(run, (tiny_files,), rounds=5, warmup_rounds=1) == len(os.listdir(tiny_files))
