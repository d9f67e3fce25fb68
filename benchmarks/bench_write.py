"""What does it cost to write, beside the library that owns the format, in one process and forced to disk as well?"""

import io
import itertools
import os
import tarfile

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from PIL import Image

import lightdata as ld

ROWS = 200_000


@pytest.fixture(autouse=True)
def inline():
    before = ld.config()
    ld.config(workers=0, progress=False)
    yield
    ld.config(workers=before.workers, progress=before.progress)


@pytest.fixture(scope="module")
def table():
    draw = np.random.default_rng(0)
    words = [f"label-{n}" for n in range(100)]
    return pa.table(
        {
            "id": pa.array(np.arange(ROWS)),
            "x": pa.array(draw.random(ROWS)),
            "label": pa.array([words[n] for n in draw.integers(0, 100, ROWS)], pa.large_string()),
        }
    )


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (500, 128, 128, 3), np.uint8)


@pytest.fixture
def fresh(tmp_path):
    """Name a folder that is not there, at each call another."""
    numbers = itertools.count()
    return lambda: tmp_path / str(next(numbers))


def on_disk(path):
    """Force a file to disk, as lightdata does."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def made(folder, name):
    folder.mkdir()
    return folder / name


def plain_parquet(table, path):
    pq.write_table(table, path, compression="snappy", use_dictionary=["label"])


def plain_arrow(table, path):
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)


TABLES = {
    "parquet": (lambda data, path: data.write_parquet(path), plain_parquet),
    "arrow": (lambda data, path: data.write_arrow(path), plain_arrow),
    "csv": (lambda data, path: data.write_csv(path), pyarrow.csv.write_csv),
    "json": (lambda data, path: data.write_json(path), lambda table, path: pl.DataFrame(table).write_ndjson(path)),
}


@pytest.mark.parametrize("who", ["lightdata", "plain"])
@pytest.mark.parametrize("kind", TABLES)
def test_table(benchmark, table, fresh, kind, who):
    """200,000 rows of three plain columns."""
    ours, theirs = TABLES[kind]
    data = ld.from_arrow(table)

    def plain():
        path = made(fresh(), "x")
        theirs(table, path)
        on_disk(path)

    benchmark.group = f"write {ROWS} plain rows as {kind}"
    benchmark.pedantic((lambda: ours(data, fresh())) if who == "lightdata" else plain, rounds=7, warmup_rounds=1)


@pytest.mark.parametrize("who", ["lightdata", "plain"])
def test_files_to_parquet(benchmark, photos, fresh, who):
    """300 photos as they came, read and written."""
    data = ld.read_images(photos).limit(300)

    def plain():
        path = made(fresh(), "x")
        found = [one.read_bytes() for one in sorted(photos.iterdir())[:300]]
        pq.write_table(pa.table({"image": pa.array(found, pa.large_binary())}), path, use_dictionary=False)
        on_disk(path)

    benchmark.group = "write 300 photos to Parquet"
    benchmark.pedantic(
        (lambda: data.write_parquet(fresh())) if who == "lightdata" else plain, rounds=7, warmup_rounds=1
    )


@pytest.mark.parametrize("who", ["lightdata", "plain"])
def test_files_to_webdataset(benchmark, photos, fresh, who):
    """300 photos as they came, read and written."""
    data = ld.read_images(photos).limit(300)

    def plain():
        path = made(fresh(), "x.tar")
        with tarfile.open(path, "w") as tar:
            for number, one in enumerate(sorted(photos.iterdir())[:300]):
                content = one.read_bytes()
                member = tarfile.TarInfo(f"{number:09d}.jpg")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        on_disk(path)

    benchmark.group = "write 300 photos to WebDataset shards"
    ours = lambda: data.write_webdataset(fresh(), extensions={"image": "jpg"})  # noqa: E731
    benchmark.pedantic(ours if who == "lightdata" else plain, rounds=7, warmup_rounds=1)


@pytest.mark.parametrize("who", ["lightdata", "lightdata, one file", "plain"])
def test_pixels_to_numpy(benchmark, pixels, fresh, who):
    """25 MB of pixels."""
    data = ld.from_numpy({"x": pixels})

    def plain():
        path = made(fresh(), "x.npy")
        np.save(path, pixels)
        on_disk(path)

    single = lambda: data.write_numpy(fresh() / "x.npy", "x", single_file=True)  # noqa: E731
    runs = {"lightdata": lambda: data.write_numpy(fresh(), "x"), "lightdata, one file": single, "plain": plain}
    benchmark.group = "write 500 arrays of 128x128x3 as NumPy files"
    benchmark.pedantic(runs[who], rounds=7, warmup_rounds=1)


@pytest.mark.parametrize("who", ["lightdata", "plain"])
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_pixels_to_images(benchmark, pixels, fresh, kind, who):
    """200 files."""
    data = ld.from_numpy({"x": pixels[:200]})

    def plain():
        folder = fresh()
        folder.mkdir()
        for number, one in enumerate(pixels[:200]):
            path = folder / f"{number}.{kind}"
            Image.fromarray(one).save(path)
            on_disk(path)

    benchmark.group = f"write 200 arrays of 128x128x3 as {kind}"
    ours = lambda: data.write_images(fresh(), "x", kind)  # noqa: E731
    benchmark.pedantic(ours if who == "lightdata" else plain, rounds=7, warmup_rounds=1)


@pytest.mark.parametrize("who", ["lightdata", "plain"])
def test_photos_to_png(benchmark, photos, fresh, who):
    """300 photos, read, resized and written."""
    data = ld.read_images(photos).limit(300).with_columns(ld.col("image").image.to_mode("RGB").image.resize(224, 224))

    def plain():
        folder = fresh()
        folder.mkdir()
        for number, one in enumerate(sorted(photos.iterdir())[:300]):
            path = folder / f"{number}.png"
            Image.open(one).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR).save(path)
            on_disk(path)

    benchmark.group = "resize 300 photos to 224 and write them as PNG"
    ours = lambda: data.write_images(fresh(), "image")  # noqa: E731
    benchmark.pedantic(ours if who == "lightdata" else plain, rounds=7, warmup_rounds=1)
