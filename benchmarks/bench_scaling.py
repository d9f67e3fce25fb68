"""How much faster are more workers, on decoding and resizing?"""

import os

import pytest

import lightdata as ld
from lightdata.execute.cores import cpu_count

SIDE = 224
MOST = 16
COUNTS = sorted({1, 2, *(count for count in (4, 8, MOST) if count < cpu_count()), min(cpu_count(), MOST)})

_seconds = {}
"""The median of each number of workers, once it is known."""


@pytest.mark.parametrize("workers", COUNTS)
def test_scaling(benchmark, photos, workers):
    """Decode, resize to 224, hand over all pixels, in warm workers; how many times as fast as one is in extra_info."""
    ld.config(workers=workers, progress=False)
    ds = ld.read_images(photos, mode="RGB").with_columns(ld.col("image").image.resize(SIDE, SIDE))
    benchmark.group = "scaling"
    rows = benchmark.pedantic(
        lambda: sum(len(batch["image"]) for batch in ds.iter_batches(batch_size=32)), rounds=7, warmup_rounds=2
    )
    assert rows == len(os.listdir(photos))
    _seconds[workers] = benchmark.stats.stats.median
    benchmark.extra_info |= {"workers": workers, "photos a second": round(rows / _seconds[workers])}
    if 1 in _seconds:
        benchmark.extra_info["times as fast as one"] = round(_seconds[1] / _seconds[workers], 2)
