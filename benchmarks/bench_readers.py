"""What does each reader cost, in one process, beside the library that owns the format making the same Arrow column?"""

import io
import tarfile
import zipfile

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import lightdata as ld

ROWS = 200_000
ARRAYS = 500
PHOTOS = 300


@pytest.fixture(autouse=True)
def inline():
    before = ld.config()
    ld.config(workers=0, progress=False)
    yield
    ld.config(workers=before.workers, progress=before.progress)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """200,000 rows of an int, a float and a short text, in a file of each format."""
    folder = tmp_path_factory.mktemp("tables")
    draw = np.random.default_rng(0)
    words = [f"label-{n}" for n in draw.integers(0, 100, ROWS)]
    frame = pl.DataFrame({"id": np.arange(ROWS), "x": draw.random(ROWS), "label": words})
    table = frame.to_arrow()
    pq.write_table(table, folder / "parquet", row_group_size=50_000)
    with pa.ipc.new_file(folder / "arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=50_000)
    frame.write_csv(folder / "csv")
    frame.write_ndjson(folder / "json")
    (folder / "text").write_text("\n".join(words) + "\n")
    return folder


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """500 arrays of 128x128x3, stacked in one file of each kind."""
    folder = tmp_path_factory.mktemp("arrays")
    pixels = np.random.default_rng(0).integers(0, 256, (ARRAYS, 128, 128, 3), np.uint8)
    np.save(folder / "x.npy", pixels)
    np.savez(folder / "x.npz", x=pixels)
    return folder


@pytest.fixture(scope="module")
def packed(tmp_path_factory, photos):
    """The same 300 photos in a folder, a zip, a tar and a WebDataset shard."""
    root = tmp_path_factory.mktemp("packed")
    (root / "folder").mkdir()
    with (
        zipfile.ZipFile(root / "x.zip", "w") as zipped,
        tarfile.open(root / "x.tar", "w") as tar,
        tarfile.open(root / "shard.tar", "w") as shard,
    ):
        for number, photo in enumerate(sorted(photos.iterdir())[:PHOTOS]):
            path = root / "folder" / f"{number:04d}.jpg"
            path.write_bytes(photo.read_bytes())
            zipped.write(path, path.name)
            tar.add(path, path.name)
            shard.add(path, path.name)
            label = tarfile.TarInfo(f"{number:04d}.cls")
            label.size = 1
            shard.addfile(label, io.BytesIO(b"7"))
    return root


def plain_arrow(path):
    with pa.OSFile(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def plain_text(path):
    return pa.table({"text": pa.array(path.read_text().splitlines(), pa.large_string())})


def plain_array(path):
    """Load pixels and lay a tensor column over them, without a copy."""
    loaded = np.load(path)
    pixels = loaded["x"] if path.suffix == ".npz" else loaded
    return pa.table({"x": pa.FixedShapeTensorArray.from_numpy_ndarray(pixels)})


def contents(found):
    return pa.table({"image": pa.array(found, pa.large_binary())})


def plain_folder(path):
    return contents([one.read_bytes() for one in sorted(path.iterdir())])


def plain_zip(path):
    with zipfile.ZipFile(path) as file:
        return contents([file.read(name) for name in sorted(file.namelist())])


def plain_tar(path):
    with tarfile.open(path) as file:
        return contents([file.extractfile(member).read() for member in file])


def plain_shard(path):
    """Pair the members of one key, as WebDataset does."""
    rows = {}
    with tarfile.open(path) as file:
        for member in file:
            key, _, extension = member.name.partition(".")
            rows.setdefault(key, {})[extension] = file.extractfile(member).read()
    labels = pa.array([int(row["cls"]) for row in rows.values()])
    return contents([row["jpg"] for row in rows.values()]).append_column("cls", labels)


TABLES = {
    "parquet": (ld.read_parquet, pq.read_table),
    "arrow": (ld.read_arrow, plain_arrow),
    "csv": (ld.read_csv, pyarrow.csv.read_csv),
    "json": (ld.read_json, lambda path: pl.read_ndjson(path).to_arrow()),
    "text": (ld.read_text, plain_text),
}
ARCHIVES = {
    "folder": (ld.read_images, plain_folder),
    "x.zip": (ld.read_images, plain_zip),
    "x.tar": (ld.read_images, plain_tar),
    "shard.tar": (ld.read_webdataset, plain_shard),
}
WHO = pytest.mark.parametrize("who", ["lightdata", "plain"])


def measure(benchmark, path, readers, who, rows):
    """Time one of two readers until its whole table is in memory."""
    ours, theirs = readers
    run = (lambda: ours(path, file_extensions=None).to_arrow()) if who == "lightdata" else lambda: theirs(path)
    assert benchmark.pedantic(run, rounds=9, warmup_rounds=1).num_rows == rows


@WHO
@pytest.mark.parametrize("kind", TABLES)
def test_table(benchmark, tables, kind, who):
    """200,000 rows of three plain columns, or of one line."""
    benchmark.group = f"read {ROWS} plain rows of {kind}"
    measure(benchmark, tables / kind, TABLES[kind], who, ROWS)


@WHO
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_arrays(benchmark, arrays, kind, who):
    """25 MB of pixels in one file."""
    benchmark.group = f"read {ARRAYS} arrays of 128x128x3 of {kind}"
    measure(benchmark, arrays / f"x.{kind}", (ld.read_numpy, plain_array), who, ARRAYS)


@WHO
@pytest.mark.parametrize("kind", ARCHIVES)
def test_photos(benchmark, packed, kind, who):
    """300 photos as they are, not decoded."""
    benchmark.group = f"read {PHOTOS} photos of {kind}"
    measure(benchmark, packed / kind, ARCHIVES[kind], who, PHOTOS)
