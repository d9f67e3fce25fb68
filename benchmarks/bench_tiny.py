"""What does an engine cost where the work is next to nothing: 10,000 files of 32x32, beside two bare processes?"""

import multiprocessing as mp
import os

import pytest
import simplejpeg

import lightdata as ld

WORKERS = 2


def decode_all(paths):
    """Decode files one after the other, and count them."""
    rows = 0
    for path in paths:
        with open(path, "rb") as file:
            rows += len(simplejpeg.decode_jpeg(file.read(), "RGB")) > 0
    return rows


@pytest.fixture
def by_hand(tiny_files):
    """Half of the files for each of two warm processes, which keep the pixels."""
    with mp.get_context("spawn").Pool(WORKERS) as pool:

        def run():
            with os.scandir(tiny_files) as files:
                paths = sorted(file.path for file in files)
            return sum(pool.map(decode_all, [paths[0::2], paths[1::2]], chunksize=1))

        yield run


@pytest.fixture
def lightdata(tiny_files):
    """The same as a query in warm workers, which hand the pixels over."""
    ld.config(workers=WORKERS, progress=False)
    ds = ld.read_images(tiny_files, mode="RGB")
    return lambda: sum(len(batch["image"]) for batch in ds.iter_batches())


@pytest.mark.parametrize("system", ["by_hand", "lightdata"])
def test_tiny_files(benchmark, request, tiny_files, system):
    """List, read and decode them all."""
    run = request.getfixturevalue(system)
    benchmark.group = "10,000 files of 32x32"
    rows = benchmark.pedantic(run, rounds=7, warmup_rounds=2)
    assert rows == len(os.listdir(tiny_files))
    benchmark.extra_info["files a second"] = round(rows / benchmark.stats.stats.median)
