"""Files that other libraries wrote, read without them; written_by.py made them, versions.txt says with what."""

from pathlib import Path

import numpy as np
import pytest
import rows

import lightdata as ld
from lightdata.errors import ArgumentError, DecodeError

DATA = Path(__file__).parent / "data"
COUNT = 5


def same(found, wanted):
    """Compare arrays of one shape and dtype."""
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(found, wanted)


def pictures(column):
    """Decode a column of files' bytes as a user would."""
    return ld.col(column).image.decode().alias("image")


def test_parquet_of_ray_holds_tensors_texts_and_bytes():
    """Tensors of one shape are tensors, and bytes are pictures once decoded."""
    dataset = ld.read_parquet(DATA / "ray/tensors.parquet")
    assert dataset.schema()["matrix"] == ld.tensor_type("float32", (3, 4))
    found = dataset.with_columns(pictures("bytes")).take_all()
    for number, row in enumerate(found):
        assert (row["id"], row["text"], row["bytes"]) == (number, rows.TEXTS[number], rows.png(number))
        same(row["matrix"], rows.MATRICES[number])
        same(row["ragged"], rows.RAGGED[number])
        same(row["image"], rows.pixels(number))


def test_pictures_of_ray_are_tensors_and_files():
    """What Ray calls images are tensors in Parquet; the files it wrote are images."""
    found = ld.read_parquet(DATA / "ray/pictures.parquet").to_numpy()["image"]
    same(found, np.stack([rows.pixels(0)] * 3))
    same(ld.read_images(DATA / "ray/pictures").to_numpy()["image"], found)


def test_other_files_of_ray_are_read():
    """TFRecords and NumPy files of Ray give the same columns and values."""
    found = ld.read_tfrecords(DATA / "ray/plain.tfrecords").take_all()
    assert [(row["id"], row["text"].decode(), row["bytes"]) for row in found] == [
        (number, rows.TEXTS[number], rows.png(number)) for number in range(COUNT)
    ]
    same(ld.read_numpy(DATA / "ray/matrix.npy").to_numpy()["data"], rows.MATRICES)


def test_records_of_tensorflow_are_read():
    """Features of every kind come as columns: bytes, numbers, lists of any length, some not in every record."""
    dataset = ld.read_tfrecords(DATA / "tensorflow/examples.tfrecord").with_columns(pixels=pictures("image"))
    found = dataset.take_all()
    assert len(found) == COUNT
    for number, row in enumerate(found):
        same(row["pixels"], rows.pixels(number))
        assert (row["label"], row["text"].decode()) == (number % 3, rows.TEXTS[number])
        assert row["score"] == np.float32(rows.SCORES[number])
        assert row["ragged"] == rows.RAGGED[number].reshape(-1).tolist()
        assert row["sometimes"] == (number if number % 2 else None)
        assert row["tensor"].endswith(rows.MATRICES[number].tobytes())
        assert row["empty"] is None
    assert ld.read_tfrecords(DATA / "tensorflow/none.tfrecord").take_all() == []


@pytest.mark.parametrize("name", ["version_1", "version_2", "version_3", "fortran", "big_endian", "half"])
def test_arrays_of_every_version_and_order_are_read(name):
    """Whatever the version, byte order and axis order, the values are those that were written."""
    wanted = rows.MATRICES.astype(np.float16) if name == "half" else rows.MATRICES
    same(ld.read_numpy(DATA / f"numpy/{name}.npy").to_numpy()["data"], wanted)


@pytest.mark.filterwarnings("error")
def test_arrays_of_python_2_are_read():
    """A header whose lengths are longs is read, without a warning."""
    same(ld.read_numpy(DATA / "numpy/python_2.npy").to_numpy()["data"], rows.MATRICES)


def test_numbers_and_flags_are_read():
    """Arrays of one axis are plain columns."""
    same(ld.read_numpy(DATA / "numpy/numbers.npy").to_numpy()["data"], np.array(rows.NUMBERS))
    same(ld.read_numpy(DATA / "numpy/flags.npy").to_numpy()["data"], np.arange(COUNT) % 2 == 0)


def test_pickled_objects_are_never_loaded():
    """An array of Python objects is refused before a byte of it is read."""
    with pytest.raises(ArgumentError, match="object"):
        ld.read_numpy(DATA / "numpy/pickled.npy")


def test_what_is_no_array_file_is_refused():
    """A compressed array file is no array file."""
    with pytest.raises(DecodeError, match=r"not a .npy file"):
        ld.read_numpy(DATA / "numpy/compressed.npy.gz")
