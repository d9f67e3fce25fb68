"""NumPy files, in parts and as one array: what plain NumPy reads back."""

import numpy as np
import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import ArgumentError, EncodeError, OutputExistsError


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


def files(root):
    return sorted(path.name for path in root.iterdir() if path.name != "_SUCCESS")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(40):
        pixels = np.random.default_rng(n).integers(0, 256, (8 + n % 3, 9, 3), np.uint8)
        suffix = ("jpg", "png", "webp")[n % 3]
        Image.fromarray(pixels).save(folder / f"{n:02d}.{suffix}")
    return folder


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


@pytest.mark.parametrize("workers", [0, 2])
def test_a_single_file_holds_all_parts_in_order(tmp_path, workers):
    """All rows of many parts are one array in one file, and nothing else is left."""
    ld.config(workers=workers)
    pixels = np.random.default_rng(0).integers(0, 256, (700, 3, 4), np.uint8)
    data = ld.from_numpy({"x": pixels}).map_batches(lambda batch: {"x": batch["x"]})
    result = data.write_numpy(tmp_path / "all", "x", single_file=True)
    assert (result.files, result.rows) == (("all.npy",), 700)
    assert [path.name for path in tmp_path.iterdir()] == ["all.npy"]
    assert (np.load(tmp_path / "all.npy", allow_pickle=False) == pixels).all()
    assert result.size_bytes == (tmp_path / "all.npy").stat().st_size


def test_a_single_file_of_text_is_as_wide_as_its_longest_row(tmp_path):
    """Parts whose texts differ in length lose nothing."""
    words = ["ab", "c"] * 5000 + ["the longest of all"]
    data = ld.from_items([{"x": word} for word in words]).map(lambda row: row)
    data.write_numpy(tmp_path / "x.npy", "x", single_file=True)
    assert np.load(tmp_path / "x.npy").tolist() == words


def test_a_single_file_without_rows_keeps_type_and_shape(tmp_path):
    """No rows give an array of no rows, as typed and shaped as the plan knows it to be."""
    pixels = np.zeros((5, 3, 4, 3), np.uint8)
    data = ld.from_numpy({"image": pixels, "f": np.zeros(5, np.float32)})
    none = data.with_columns(ld.col("image").image.resize(2, 2)).filter(ld.col("f") > 1)
    found = {}
    for column in ("image", "f"):
        assert none.write_numpy(tmp_path / f"{column}.npy", column, single_file=True).rows == 0
        found[column] = np.load(tmp_path / f"{column}.npy", allow_pickle=False)
    assert (found["image"].shape, found["image"].dtype) == ((0, 2, 2, 3), np.uint8)
    assert (found["f"].shape, found["f"].dtype) == ((0,), np.float32)


def test_modes_of_a_single_file(tmp_path):
    """Only the file itself counts: others in its folder are neither in the way nor touched."""
    (tmp_path / "part-00000.npy").write_bytes(b"theirs")
    path = tmp_path / "{x}.npy"
    ld.range(3).write_numpy(path, "id", single_file=True)
    with pytest.raises(OutputExistsError, match="x"):
        ld.range(4).write_numpy(path, "id", single_file=True)
    with pytest.raises(ArgumentError, match="single_file"):
        ld.range(4).write_numpy(path, "id", single_file=True, mode="append")
    assert ld.range(4).write_numpy(path, "id", single_file=True, mode="ignore").rows == 0
    assert len(np.load(path)) == 3
    ld.range(4).write_numpy(path, "id", single_file=True, mode="overwrite")
    assert len(np.load(path)) == 4
    assert (tmp_path / "part-00000.npy").read_bytes() == b"theirs"
    assert ld.range(2).write_numpy(tmp_path / "other.npy", "id", single_file=True, mode="ignore").rows == 2


def test_parts_have_the_sizes_asked_for(tmp_path):
    """Rows and bytes bound the parts."""
    data = ld.from_numpy({"x": np.zeros((100, 10), np.float64)})
    rows = [
        len(np.load(tmp_path / "r" / name))
        for name in data.write_numpy(tmp_path / "r", "x", max_rows_per_file=30).files
    ]
    assert rows == [30, 30, 30, 10]
    data.write_numpy(tmp_path / "b", "x", max_file_bytes=1600)
    assert {len(np.load(path)) for path in (tmp_path / "b").glob("*.npy")} == {20}
