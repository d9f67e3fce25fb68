"""Whole datasets as NumPy arrays."""

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import SchemaError

TIMES = np.array(["2020-01-01", "2021-06-05"], "M8[ms]")


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (pa.array([1, 2], pa.int8()), np.array([1, 2], np.int8)),
        (pa.array([1.5, None], pa.float32()), np.array([1.5, np.nan], np.float32)),
        (pa.array([True, False]), np.array([True, False])),
        (pa.array(["ab", "é"]), np.array(["ab", "é"])),
        (pa.array(["a", "b"]).dictionary_encode(), np.array(["a", "b"])),
        (pa.array(TIMES), TIMES),
        (pa.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]])),
        (pa.array([[1.0, None]], pa.list_(pa.float64(), 2)), np.array([[1.0, np.nan]])),
        (pa.array([[[1], [2]], [[3], [4]]]), np.array([[[1], [2]], [[3], [4]]])),
        (pa.array([], pa.int64()), np.array([], np.int64)),
        (pa.array([], pa.list_(pa.float32(), 3)), np.zeros((0, 3), np.float32)),
    ],
)
def test_columns_become_arrays(column, wanted):
    """Each kind of column has an array of its dtype and shape, also where there are no rows."""
    found = ld.from_arrow(pa.table({"a": column})).to_numpy()["a"]
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pa.array([1, None]), "has nulls.*fill_null"),
        (pa.array(["a", None]), "has nulls"),
        (pa.array([[1], [2, 3]]), r"differ in shape \(\(1,\), \(2,\)"),
        (pa.array([[1], [None]]), "has nulls"),
        (pa.array([{"x": 1}]), "no array form.*drop"),
        (pa.array([b"a\0"]), "no array form"),
        (pa.array(["a\0"]), "ends in NUL"),
        (pa.array([None]), "has nulls"),
    ],
)
def test_what_has_no_array_is_refused(column, says):
    """Ragged values, nulls that are no floats, and values of no fixed size say how to mend them."""
    with pytest.raises(SchemaError, match=says) as caught:
        ld.from_arrow(pa.table({"a": column})).to_numpy()
    assert "column 'a'" in str(caught.value)


def test_images_and_tensors_are_stacked(tmp_path):
    """Images of one size, and tensors, become one array of all rows in order."""
    for number in range(5):
        Image.new("L" if number % 2 else "RGB", (4, 3), number).save(tmp_path / f"{number}.png")
    images = ld.read_images(tmp_path).with_columns(ld.col("image").image.to_mode("L"))
    found = images.to_numpy()["image"]
    assert (found.shape, found.dtype) == ((5, 3, 4), np.uint8)
    assert found[3].max() == 3
    tensors = np.arange(24.0).reshape(4, 3, 2)
    np.testing.assert_array_equal(ld.from_numpy(tensors).map_batches(lambda b: b).to_numpy()["data"], tensors)


def test_images_of_several_sizes_are_refused(tmp_path):
    """There is no one array of images that differ, within a batch or between batches."""
    for number in range(3):
        Image.new("RGB", (4 + number, 3)).save(tmp_path / f"{number}.png")
    with pytest.raises(SchemaError, match=r"'image' differ in shape.*resize"):
        ld.read_images(tmp_path).to_numpy()


def test_rows_beyond_one_batch_are_joined_in_order():
    """The array holds every row of every batch."""
    np.testing.assert_array_equal(ld.range(100_000).map_batches(lambda b: b).to_numpy()["id"], np.arange(100_000))
