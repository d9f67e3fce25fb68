"""How close is a query to what one writes by hand for two processes?"""

import multiprocessing as mp
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import polars as pl
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


MILLION = 1_000_000

DOUBLED, KEPT = (pl.col("a") * 2).alias("b"), pl.col("a") % 3 == 0


@pytest.fixture(scope="module")
def plain():
    """A million rows of numbers and text."""
    draw = np.random.default_rng(0)
    text = pa.array([f"s{number % 977}" for number in range(MILLION)])
    return pa.table(
        {"a": np.arange(MILLION), "k": draw.integers(0, 1000, MILLION), "x": draw.random(MILLION), "s": text}
    )


NAMES = pl.DataFrame({"k": np.arange(1000), "y": np.arange(1000) / 7})

# Each is the same query of a dataset and of a lazy frame; Polars is asked for the order that lightdata keeps by itself.
PLAIN = {
    "with_columns, filter": (
        lambda ds: ds.with_columns(DOUBLED).filter(KEPT),
        lambda frame: frame.with_columns(DOUBLED).filter(KEPT),
    ),
    "group_by": (
        lambda ds: ds.group_by("k").agg(pl.col("x").sum()),
        lambda frame: frame.group_by("k", maintain_order=True).agg(pl.col("x").sum()),
    ),
    "sort": (lambda ds: ds.sort("x"), lambda frame: frame.sort("x", maintain_order=True)),
    "join": (
        lambda ds: ds.join(NAMES, on="k"),
        lambda frame: frame.join(NAMES.lazy(), on="k", maintain_order="left_right"),
    ),
}


@pytest.mark.parametrize("system", ["polars", "lightdata"])
@pytest.mark.parametrize("columns", [["a"], ["a", "k", "x", "s"]], ids=["one column", "four columns"])
def test_plain_rows(benchmark, plain, columns, system):
    """A million rows through with_columns and filter, collected."""
    table = plain.select(columns)
    by_dataset, by_frame = PLAIN["with_columns, filter"]
    run = {
        "polars": lambda: by_frame(pl.from_arrow(table).lazy()).collect(),
        "lightdata": lambda: by_dataset(ld.from_arrow(table)).collect(),
    }[system]
    benchmark.group = f"a million plain rows, {len(columns)} columns"
    assert benchmark(run).height == 333_334


@pytest.mark.parametrize("system", ["polars", "lightdata"])
@pytest.mark.parametrize("query", PLAIN)
def test_plain_queries(benchmark, plain, query, system):
    """A million rows of a Polars frame through a query, collected."""
    frame = pl.DataFrame(pl.from_arrow(plain)).lazy()
    by_dataset, by_frame = PLAIN[query]
    run = {
        "polars": lambda: by_frame(frame).collect(),
        "lightdata": lambda: by_dataset(ld.from_polars(frame)).collect(),
    }[system]
    benchmark.group = f"a million rows of Polars, {query}"
    assert benchmark(run).height


@pytest.mark.parametrize("system", ["polars", "lightdata"])
def test_plain_rows_to_arrow(benchmark, plain, system):
    """The same handed over as an Arrow table."""
    by_dataset, by_frame = PLAIN["with_columns, filter"]
    run = {
        "polars": lambda: by_frame(pl.from_arrow(plain).lazy()).collect().to_arrow(),
        "lightdata": lambda: by_dataset(ld.from_arrow(plain)).to_arrow(),
    }[system]
    benchmark.group = "a million plain rows, to_arrow"
    assert benchmark(run).num_rows == 333_334


@pytest.mark.parametrize("system", ["polars", "lightdata"])
def test_three_rows(benchmark, system):
    """What a query costs that has next to nothing to do."""
    frame = pl.LazyFrame({"id": [0, 1, 2]})
    run = {
        "polars": lambda: frame.filter(pl.col("id") > 0).collect(),
        "lightdata": lambda: ld.range(3).filter(pl.col("id") > 0).collect(),
    }[system]
    benchmark.group = "three rows"
    assert benchmark(run).height == 2
