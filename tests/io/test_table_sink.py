"""Parquet and NumPy parts: what plain pyarrow and NumPy read back."""

import io
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import EncodeError


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


def files(root):
    return sorted(path.name for path in root.iterdir())


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(40):
        pixels = np.random.default_rng(n).integers(0, 256, (8 + n % 3, 9, 3), np.uint8)
        suffix = ("jpg", "png", "webp")[n % 3]
        Image.fromarray(pixels).save(folder / f"{n:02d}.{suffix}")
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_untouched_images_keep_the_bytes_of_their_files(tmp_path, photos, workers):
    """write_parquet then read_parquet gives every file's bytes, unchanged, and the same pixels."""
    ld.config(workers=workers)
    ld.read_images(photos, include_paths=True).write_parquet(tmp_path / "out")
    table = pq.read_table(tmp_path / "out")
    storage = table.column("image").combine_chunks()
    storage = storage.storage if hasattr(storage, "storage") else storage
    paths = table.column("path").to_pylist()
    payloads = [value for row in storage.to_pylist() for value in row.values() if isinstance(value, bytes)]
    assert payloads == [Path(path).read_bytes() for path in paths]
    assert len(paths) == 40
    for one, two in zip(ld.read_images(photos).iter_rows(), ld.read_parquet(tmp_path / "out").iter_rows(), strict=True):
        assert (one["image"] == two["image"]).all()


def test_parquet_parts_do_not_depend_on_the_workers(tmp_path):
    """The same rows are in the same parts, byte for byte, with workers and without."""
    query = ld.from_numpy({"id": np.arange(300), "x": np.arange(1200).reshape(300, 2, 2)}).map_batches(
        lambda batch: {"id": batch["id"], "x": batch["x"] * 2}
    )
    for workers in (0, 2):
        ld.config(workers=workers)
        result = query.write_parquet(tmp_path / str(workers))
        assert (result.rows, len(result.files)) == (300, 3)
    assert files(tmp_path / "0") == files(tmp_path / "2") == [f"part-{n:05d}.parquet" for n in range(3)]
    for name in files(tmp_path / "0"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()
    assert ld.read_parquet(tmp_path / "2").take_batch(300)["x"].tolist() == (
        (np.arange(1200) * 2).reshape(300, 2, 2).tolist()
    )


def test_parquet_takes_a_compression(tmp_path):
    """The compression that was asked for is in the file."""
    ld.range(10).write_parquet(tmp_path, compression="zstd")
    meta = pq.ParquetFile(tmp_path / "part-00000.parquet").metadata
    assert meta.row_group(0).column(0).compression == "ZSTD"


def test_plain_columns_are_read_by_polars(tmp_path):
    """Numbers, text and nulls are ordinary Parquet."""
    rows = [{"n": n, "t": None if n == 2 else f"t{n}", "f": n / 2} for n in range(5)]
    ld.from_items(rows).write_parquet(tmp_path)
    assert pl.read_parquet(tmp_path).to_dicts() == rows


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64, np.uint16, np.float16])
def test_numpy_parts_are_read_by_plain_numpy(tmp_path, dtype):
    """A tensor column comes back as it was, in parts, without pickles."""
    array = np.random.default_rng(0).integers(0, 100, (150, 3, 4)).astype(dtype)
    result = ld.from_numpy(array).write_numpy(tmp_path, "data")
    assert files(tmp_path) == ["part-00000.npy", "part-00001.npy"] == list(result.files)
    found = np.concatenate([np.load(tmp_path / name, allow_pickle=False) for name in files(tmp_path)])
    assert found.dtype == dtype
    assert (found == array).all()


def test_images_of_one_size_and_numbers_are_written_as_numpy(tmp_path, photos):
    """Resized images become one [N, H, W, C] array; a plain column a flat one."""
    data = ld.read_images(photos, size=(6, 7), mode="RGB")
    data.write_numpy(tmp_path / "out", "image")
    found = np.load(tmp_path / "out" / "part-00000.npy", allow_pickle=False)
    assert (found.shape, found.dtype) == ((40, 6, 7, 3), np.uint8)
    ld.range(5).write_numpy(tmp_path / "n", "id")
    assert np.load(tmp_path / "n" / "part-00000.npy").tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("first", [3, 128])
def test_ragged_columns_are_refused(tmp_path, first):
    """Rows of different shapes are an error, within a part and between parts, and leave nothing."""
    rows = [{"x": np.zeros((2, 2) if n < first else (3, 2))} for n in range(200)]
    for workers in (0, 2):
        ld.config(workers=workers)
        with pytest.raises(EncodeError, match="different shapes"):
            ld.from_items(rows).write_numpy(tmp_path / "out", "x")
    assert not (tmp_path / "out").exists()


def test_nulls_and_missing_columns_are_refused(tmp_path):
    """What .npy cannot hold is told by column."""
    rows = [{"x": None if n == 3 else 1.5, "y": 1} for n in range(5)]
    with pytest.raises(EncodeError, match="'x' has nulls"):
        ld.from_items(rows).write_numpy(tmp_path / "out", "x")
    with pytest.raises(ld.ColumnNotFoundError, match="z"):
        ld.from_items(rows).write_numpy(tmp_path / "out", "z")
    assert not (tmp_path / "out").exists()


def test_edited_images_are_still_images_after_parquet(tmp_path, photos):
    """Images made by a function or an expression come back with their pixels."""
    small = ld.col("image").image.resize(4, 4)
    data = ld.read_images(photos, mode="RGB").with_columns(small)
    data.write_parquet(tmp_path / "out")
    found = ld.read_parquet(tmp_path / "out").take_all()
    assert [row["image"].tolist() for row in found] == [row["image"].tolist() for row in data.take_all()]
    turned = ld.read_images(photos).map(lambda row: {"image": Image.fromarray(row["image"]).rotate(90, expand=True)})
    turned.write_images(tmp_path / "png", "image")
    content = (tmp_path / "png" / "000000.png").read_bytes()
    assert Image.open(io.BytesIO(content)).size == (8, 9)


def test_parts_agree_though_the_first_rows_are_null(tmp_path):
    """A column that is only null in the first parts has one type in all of them, and the values it was given."""
    late = ld.range(20_000).map(lambda row: {"v": None if row["id"] < 9000 else row["id"] / 2})
    assert len(late.write_parquet(tmp_path).files) > 1
    values = ld.read_parquet(tmp_path).collect()["v"]
    assert values.null_count() == 9000
    assert values[-1] == 9999.5
