"""Tensor operations against NumPy."""

import numpy as np
import pytest

from lightdata.errors import SchemaError
from lightdata.kernels.tensor import apply, cosine_similarity, to_tensor
from lightdata.types.operation import ToTensor
from lightdata.types.tensor_operation import Cast, CosineSimilarity, Normalize, Reduce, Reshape, Transpose

ROWS = np.random.default_rng(1).normal(size=(4, 2, 3, 5)).astype(np.float32)


def test_cast_is_astype():
    """Casting follows ``ndarray.astype``."""
    assert np.array_equal(apply(Cast(dtype="int8"), ROWS), ROWS.astype(np.int8))
    assert apply(Cast(dtype="float16"), ROWS).dtype == np.float16


@pytest.mark.parametrize("shape", [(30,), (-1,), (5, 6), (2, -1), (1, 2, 3, 5, 1)])
def test_reshape_keeps_rows_apart(shape):
    """Reshaping applies to each row, -1 included."""
    wanted = np.stack([row.reshape(shape) for row in ROWS])
    assert np.array_equal(apply(Reshape(shape=shape), ROWS), wanted)
    assert Reshape(shape=shape).shape_of((2, 3, 5)) == wanted.shape[1:]


def test_reshape_that_does_not_fit():
    """A shape with another number of elements is a SchemaError."""
    with pytest.raises(SchemaError, match="reshape"):
        apply(Reshape(shape=(7,)), ROWS)


@pytest.mark.parametrize("axes", [None, (0, 1, 2), (2, 0, 1), (-1, 0, 1)])
def test_transpose_permutes_the_axes_of_a_row(axes):
    """Axes count within one row, negative ones from its end."""
    wanted = np.stack([row.transpose(axes) for row in ROWS])
    found = apply(Transpose(axes=axes), ROWS)
    assert np.array_equal(found, wanted)
    assert found.flags.c_contiguous
    assert Transpose(axes=axes).shape_of((2, 3, 5)) == wanted.shape[1:]


@pytest.mark.parametrize("axes", [(0, 0, 1), (0, 1), (0, 1, 3)])
def test_transpose_needs_every_axis_once(axes):
    """Axes that are missing or repeated are a SchemaError of the plan."""
    with pytest.raises(SchemaError, match="transpose"):
        Transpose(axes=axes).shape_of((2, 3, 5))


@pytest.mark.parametrize("axis", [0, 1, -1, -3])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_normalize(axis, dtype):
    """One mean and std for each entry of the axis; floats keep their dtype, integers become float32."""
    rows = (np.abs(ROWS) * 20).astype(dtype)
    entries = rows.shape[1:][axis]
    mean, std = tuple(np.arange(entries) + 0.5), tuple(np.arange(entries) + 2.0)
    found = apply(Normalize(mean=mean, std=std, axis=axis), rows)
    shape = [1, 1, 1]
    shape[axis] = -1
    wanted = np.stack([(row - np.reshape(mean, shape)) / np.reshape(std, shape) for row in rows.astype(np.float64)])
    assert found.dtype == (dtype if np.dtype(dtype).kind == "f" else np.float32)
    assert np.allclose(found, wanted, rtol=1e-2 if dtype == np.float16 else 1e-5, atol=1e-2)


def test_normalize_refuses_another_number_of_means():
    """Means that do not fit the axis are a SchemaError."""
    with pytest.raises(SchemaError, match="normalize"):
        apply(Normalize(mean=(1.0,), std=(1.0,), axis=0), ROWS)


@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
@pytest.mark.parametrize("function", ["argmax", "mean", "norm"])
def test_reduce_is_that_of_numpy(function, axis):
    """Reductions are NumPy's on every row, over all values or along an axis."""
    reduce = {"argmax": np.argmax, "mean": np.mean, "norm": np.linalg.norm}[function]
    wanted = np.stack([reduce(row.ravel() if axis is None else row, axis=axis) for row in ROWS.astype(np.float64)])
    found = apply(Reduce(function=function, axis=axis), ROWS)
    assert np.allclose(found, wanted, rtol=1e-6)
    assert found.dtype == (np.int64 if function == "argmax" else np.float32)


def test_mean_of_integers_does_not_overflow():
    """The mean of uint8 is float64 and exact."""
    rows = np.full((2, 300, 300), 255, np.uint8)
    found = apply(Reduce(function="mean"), rows)
    assert (found.dtype, found.tolist()) == (np.float64, [255.0, 255.0])


def test_norm_of_integers_does_not_overflow():
    """The norm of small integers is computed in floats."""
    assert apply(Reduce(function="norm"), np.array([[200, 200]], np.uint8)) == pytest.approx([np.hypot(200, 200)])


def test_no_rows():
    """No rows stay no rows, with the shape of the result."""
    none = ROWS[:0]
    assert apply(Reshape(shape=(30,)), none).shape == (0, 30)
    assert apply(Transpose(), none).shape == (0, 5, 3, 2)
    assert apply(Reduce(function="mean"), none).shape == (0,)


def test_cosine_similarity():
    """Rows are compared flattened, with one vector or pairwise; zero vectors give 0."""
    left = ROWS.reshape(4, -1)
    wanted = [row @ left[0] / np.linalg.norm(row) / np.linalg.norm(left[0]) for row in left]
    assert np.allclose(cosine_similarity(ROWS, left[0]), wanted)
    assert np.allclose(cosine_similarity(ROWS, ROWS), 1)
    assert cosine_similarity(ROWS * 0, ROWS).tolist() == [0.0] * 4
    assert np.allclose(apply(CosineSimilarity(other=()), ROWS, ROWS[::-1]), cosine_similarity(ROWS[::-1], ROWS))


@pytest.mark.parametrize("other", [np.ones(4), np.ones(1), np.ones((3, 2)), np.ones((2, 3))])
def test_cosine_similarity_of_other_lengths_is_an_error(other):
    """A vector of another length is an error, never cut into pieces."""
    with pytest.raises(SchemaError, match="cosine_similarity"):
        cosine_similarity(np.ones((2, 2)), other)


@pytest.mark.parametrize("layout", ["HWC", "CHW"])
@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8"])
def test_to_tensor(layout, channels, dtype):
    """Pixels become ``(value * scale - mean) / std`` in the layout and dtype that were asked for."""
    pixels = np.random.default_rng(2).integers(0, 256, (2, 4, 5, *([channels] if channels else []))).astype(np.uint8)
    count = channels or 1
    mean, std = tuple(0.1 * n for n in range(count)), tuple(0.5 + n for n in range(count))
    scaled = {} if dtype == "uint8" else {"scale": 1 / 255, "mean": mean, "std": std}
    operation = ToTensor(layout=layout, dtype=dtype, **scaled)
    wanted = pixels.reshape(2, 4, 5, count).astype(np.float64)
    if scaled:
        wanted = (wanted / 255 - mean) / std
    wanted = wanted.transpose(0, 3, 1, 2) if layout == "CHW" else wanted
    found = to_tensor(pixels, operation)
    assert found.dtype == dtype
    assert np.allclose(found, wanted, atol=2e-3 if dtype == "float16" else 1e-6)
    assert found.shape[1:] == operation.shape(4, 5, count)


def test_to_tensor_does_not_change_its_input():
    """The pixels stay as they were, also where the result has their dtype."""
    pixels = np.full((1, 2, 2, 3), 9, np.float32)
    to_tensor(pixels, ToTensor(scale=2.0, mean=(1.0,)))
    assert (pixels == 9).all()
