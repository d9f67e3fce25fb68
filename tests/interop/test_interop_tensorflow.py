"""Datasets of TensorFlow, where it is installed: environments.py runs this with it."""

import numpy as np
import pytest
import rows

import lightdata as ld
from lightdata.errors import ArgumentError, ColumnNotFoundError, SchemaError

tf = pytest.importorskip("tensorflow")


def table(n=10):
    x = np.arange(n * 3, dtype=np.float32).reshape(n, 3)
    return ld.from_numpy({"id": np.arange(n), "x": x, "y": np.arange(n) % 2 == 0, "z": np.zeros(n, np.float16)})


def test_single_columns_are_tensors():
    """One name gives one tensor; the signature tells types and shapes, and the query runs for each epoch."""
    dataset = table().to_tf("x", "y", batch_size=4)
    assert dataset.element_spec == (tf.TensorSpec((None, 3), tf.float32, "x"), tf.TensorSpec((None,), tf.bool, "y"))
    for _ in range(2):
        batches = list(dataset)
        assert [x.shape[0] for x, _ in batches] == [4, 4, 2]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), table().to_numpy()["x"])


def test_lists_of_columns_are_dicts():
    """A list of names gives a dict of tensors, and additional columns come third."""
    dataset = table().to_tf(["x", "id"], ["y"], additional_columns="z", batch_size=4, drop_last=True)
    found = list(dataset)
    assert len(found) == 2
    features, labels, more = found[0]
    assert (list(features), list(labels), more.dtype) == (["x", "id"], ["y"], tf.float16)


def test_images_and_texts_are_tensors(tmp_path):
    """Images of one size are uint8, and texts are TensorFlow's strings."""
    for number in range(5):
        rows.picture(number).save(tmp_path / f"{number}.png")
    images = ld.read_images(tmp_path, size=(8, 6), mode="RGB", include_paths=True)
    dataset = images.to_tf("image", "path", batch_size=2)
    assert dataset.element_spec[0] == tf.TensorSpec((None, 8, 6, 3), tf.uint8, "image")
    assert [path.decode() for _, paths in dataset for path in paths.numpy()] == images.to_numpy()["path"].tolist()


def test_what_is_no_tensor_is_refused(tmp_path):
    """Columns that are not there, and images of any size, are refused before anything runs."""
    rows.picture(0).save(tmp_path / "a.png")
    with pytest.raises(ColumnNotFoundError, match="'w' not found in to_tf"):
        table().to_tf("w", "y")
    with pytest.raises(SchemaError, match=r"'image'.*resize"):
        ld.read_images(tmp_path, include_paths=True).to_tf("image", "path")


def test_a_spec_of_the_users_is_taken(tmp_path):
    """Where columns do not tell their shape the user may."""
    rows.picture(0).save(tmp_path / "a.png")
    spec = tf.TensorSpec((None, None, None, 3), tf.uint8)
    dataset = ld.read_images(tmp_path, include_paths=True).to_tf("image", "path", feature_type_spec=spec)
    (found,) = [image for image, _ in dataset]
    np.testing.assert_array_equal(found[0], rows.pixels(0))


def test_their_elements_become_rows():
    """Dicts give columns, bytes stay bytes, tensors stay tensors, ragged ones become lists."""
    elements = {"a": np.arange(3), "t": rows.MATRICES[:3], "s": [b"x", b"", b"z\0"]}
    dataset = ld.from_tf(tf.data.Dataset.from_tensor_slices(elements))
    found = dataset.take_all()
    assert [(row["a"], row["s"]) for row in found] == [(0, b"x"), (1, b""), (2, b"z\0")]
    np.testing.assert_array_equal([row["t"] for row in found], rows.MATRICES[:3])
    ragged = tf.data.Dataset.from_tensor_slices({"r": tf.ragged.constant([[1], [2, 3], []])})
    assert [row["r"].tolist() for row in ld.from_tf(ragged).iter_rows()] == [[1], [2, 3], []]
    texts = tf.data.Dataset.from_tensors([["a", "b"]])
    assert ld.from_tf(texts).take_all() == [{"item": [[b"a", b"b"]]}]


def test_plain_elements_and_tuples_become_columns():
    """An element that is no dict is a column item, and a tuple several."""
    numbers = tf.data.Dataset.range(2)
    assert ld.from_tf(numbers).take_all() == [{"item": 0}, {"item": 1}]
    assert ld.from_tf(tf.data.Dataset.zip(numbers, numbers)).take(1) == [{"item_0": 0, "item_1": 0}]


def test_what_is_no_dataset_is_refused():
    """Lists and sparse tensors are refused, with the way out."""
    with pytest.raises(ArgumentError, match="Dataset; got list"):
        ld.from_tf([1])
    sparse = tf.data.Dataset.from_tensors(tf.sparse.from_dense([[1, 0]]))
    with pytest.raises(ArgumentError, match="to_dense"):
        ld.from_tf(sparse)
