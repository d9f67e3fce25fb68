"""How close is a query to what one writes by hand for two processes?"""

import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld

SIDE = 224
WORKERS = 2


def by_hand_batch(paths):
    batch = []
    for path in paths:
        with Image.open(path) as image:
            batch.append(np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.BILINEAR)))
    return np.stack(batch)


def by_hand(photos):
    """Decode and resize in a warm process pool, pixels handed over by pickle."""
    pool = ProcessPoolExecutor(WORKERS, mp.get_context("spawn"))
    paths = sorted(map(str, photos.iterdir()))
    chunks = [paths[start : start + 32] for start in range(0, len(paths), 32)]
    list(pool.map(by_hand_batch, chunks[:2]))
    return lambda: sum(len(batch) for batch in pool.map(by_hand_batch, chunks))


def lightdata(photos):
    """The same as a query, in the engine's warm pool."""
    ld.config(workers=WORKERS, progress=False)
    ds = ld.read_images(photos, mode="RGB").with_columns(ld.col("image").image.resize(SIDE, SIDE))
    run = lambda: sum(len(batch["image"]) for batch in ds.iter_batches(batch_size=32))  # noqa: E731
    run()
    return run


@pytest.mark.parametrize("system", [by_hand, lightdata], ids=["by hand", "lightdata"])
def test_resize_a_folder(benchmark, photos, system):
    """Decode, resize to 224, hand over all pixels."""
    benchmark.group = "resize a folder"
    assert benchmark.pedantic(system(photos), rounds=5, iterations=1) == len(list(photos.iterdir()))


def test_first_row(benchmark, photos):
    """One decoded row of a folder, in a process that has started."""
    benchmark.group = "first row"
    assert len(benchmark(lambda: ld.read_images(photos).take(1))) == 1


@pytest.mark.parametrize("system", ["polars", "lightdata"])
def test_plain_rows(benchmark, system):
    """A million rows of numbers through with_columns and filter."""
    import polars as pl

    table = pa.table({"a": np.arange(1_000_000)})
    expr, keep = (pl.col("a") * 2).alias("b"), pl.col("a") % 3 == 0
    if system == "polars":
        run = lambda: pl.from_arrow(table).lazy().with_columns(expr).filter(keep).collect()  # noqa: E731
    else:
        run = lambda: ld.from_arrow(table).with_columns(expr).filter(keep).collect()  # noqa: E731
    benchmark.group = "a million plain rows"
    assert benchmark(run).height == 333_334
