"""Several inputs and outputs, postprocessing, ranking, embeddings."""

import numpy as np
import onnxruntime as ort
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper
from tiny_models import FLOAT, classifier, images, save

import lightdata as ld
from lightdata.errors import ArgumentError, ModelError
from lightdata.inference.columns import _descending
from lightdata.inference.postprocess import apply


@pytest.fixture(autouse=True)
def inline():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


def dataset(pixels):
    return ld.from_numpy({"image": pixels})


def logits(path, pixels):
    ready = (pixels / np.float32(255)).transpose(0, 3, 1, 2)
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"input": ready})[0]


def softmax(values):
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def centred(rows):
    return rows - rows.mean(axis=1, keepdims=True)


def total(rows):
    return rows.sum(axis=1).astype(np.float64)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("softmax", softmax),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x))),
        ("l2", lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)),
        (centred, centred),
        (total, total),
    ],
)
def test_outputs_are_postprocessed(tmp_path, how, expected):
    """Names and functions change the output, its type known before anything runs."""
    path = classifier(tmp_path / "m.onnx")
    query = dataset(images(5)).infer(path, preprocess={}, postprocess=how)
    wanted = expected(logits(path, images(5)))
    found = query.take_batch(5)["scores"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    kind = query.schema()["scores"]
    assert kind == (pa.float64() if how is total else pa.fixed_shape_tensor(pa.float32(), (7,)))


def test_a_function_that_gives_something_else_is_refused(tmp_path):
    """What is no number for each row is a ModelError when the query is built, that names the function."""
    path = classifier(tmp_path / "m.onnx")
    for function in (lambda rows: rows.sum(), lambda rows: rows[:1], lambda rows: np.array(["a"] * len(rows))):
        with pytest.raises(ModelError, match="<lambda> must give numbers for each of 2 rows"):
            dataset(images(1)).infer(path, preprocess={}, postprocess=function)


def test_a_function_may_not_change_its_mind(tmp_path):
    """Another shape while running than was given for zeros is a ModelError."""
    path = classifier(tmp_path / "m.onnx")
    query = dataset(images(3)).infer(path, preprocess={}, postprocess=lambda x: x[:, : 2 + int(x.any())])
    with pytest.raises(ModelError, match="says"):
        query.take_all()


def test_extremes_stay_numbers():
    """Softmax and sigmoid of huge values, and the direction of a zero vector, are finite."""
    huge = np.array([[-1e4, 0, 1e4]], np.float32)
    np.testing.assert_array_equal(apply("softmax", huge), [[0, 0, 1]])
    np.testing.assert_array_equal(apply("sigmoid", huge), [[0, 0.5, 1]])
    np.testing.assert_array_equal(apply("l2", np.zeros((1, 3), np.float32)), [[0, 0, 0]])
    assert apply("softmax", huge.astype(np.float16)).dtype == np.float16


def test_softmax_of_maps_runs_over_their_channels():
    """Of [N, C, H, W] each pixel's channels add up to one."""
    np.testing.assert_allclose(apply("softmax", np.random.default_rng(0).normal(size=(2, 5, 3, 3))).sum(axis=1), 1)


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=st.integers(-3, 3)),
    st.integers(1, 10),
)
def test_ranking_is_a_stable_sort(values, count):
    """The highest come first and of equals the first, as sorting everything gives."""
    count = min(count, values.shape[1])
    expected = np.argsort(-values, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(_descending(values, count), expected)


def pair(path):
    """Save a model of an image and a weight: the mean of the image times the weight, and the weight."""
    nodes = [
        helper.make_node("ReduceMean", ["pixels"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["m", "weight"], ["scaled"]),
        helper.make_node("Identity", ["weight"], ["same"]),
    ]
    inputs = [("pixels", FLOAT, ["N", 3, "h", "w"]), ("weight", FLOAT, ["N", 3])]
    return save(path, nodes, inputs, [("scaled", FLOAT, ["N", 3]), ("same", FLOAT, ["N", 3])])


def test_a_model_of_several_inputs_gets_a_column_for_each(tmp_path):
    """Images and tensors go in side by side; rows of other sizes, and nulls of either, keep their places."""
    path = pair(tmp_path / "m.onnx")
    sizes = [(4, 4), (6, 5), (4, 4), (4, 4), (6, 5)]
    rows = [
        {"picture": images(1, *size, seed=n)[0], "w": np.array([n, 1, 2], np.float64)} for n, size in enumerate(sizes)
    ]
    rows[3] = {**rows[3], "w": None}
    ds = ld.from_items(rows).infer(path, {"pixels": "picture", "weight": "w"}, preprocess={})
    found = ds.select("scaled", "same").take_all()
    assert found[3] == {"scaled": None, "same": None}
    for row, one in zip(rows, found, strict=True):
        if row["w"] is not None:
            expected = row["picture"].mean(axis=(0, 1)) / 255 * row["w"]
            np.testing.assert_allclose(one["scaled"], expected, rtol=1e-5)
            np.testing.assert_allclose(one["same"], row["w"])


def test_inputs_without_columns_are_asked_for(tmp_path):
    """A single name for several inputs is an error that shows the mapping to pass; a wrong column is one too."""
    path = pair(tmp_path / "m.onnx")
    ds = ld.from_items([{"image": images(1)[0], "w": np.ones(3), "name": "x"}])
    with pytest.raises(ArgumentError, match=r"\{'pixels': column, 'weight': column\}; the model takes pixels: float32"):
        ds.infer(path, preprocess={})
    with pytest.raises(ArgumentError, match="say which column"):
        ds.infer(path, {"pixels": "image"}, preprocess={})
    with pytest.raises(ld.ColumnNotFoundError, match="nope"):
        ds.infer(path, {"pixels": "image", "weight": "nope"}, preprocess={})
    with pytest.raises(ld.SchemaError, match="takes numbers"):
        ds.infer(path, {"pixels": "image", "weight": "name"}, preprocess={})


def test_columns_that_a_model_reads_are_kept_for_it(tmp_path):
    """Leaving out what nobody selects leaves every input of a model that somebody does."""
    path = pair(tmp_path / "m.onnx")
    ds = ld.from_items([{"image": images(1)[0], "w": np.ones(3), "other": 1}])
    columns = {"pixels": "image", "weight": "w"}
    assert ds.infer(path, columns, preprocess={}).select("same").take_all()[0]["same"].tolist() == [1, 1, 1]
    assert ds.infer(path, columns, preprocess={}).drop("image", "w").columns == ["other", "scaled", "same"]
    assert ds.infer(path, columns, preprocess={}).select("other").take_all() == [{"other": 1}]


def test_postprocessing_of_several_outputs_says_which(tmp_path):
    """One name for two outputs is ambiguous; a mapping is not."""
    path = pair(tmp_path / "m.onnx")
    ds = ld.from_items([{"image": images(1)[0], "w": np.ones(3)}])
    columns = {"pixels": "image", "weight": "w"}
    with pytest.raises(ArgumentError, match="say for which outputs"):
        ds.infer(path, columns, preprocess={}, postprocess="softmax")
    found = ds.infer(path, columns, preprocess={}, postprocess={"same": "softmax"}).take_all()[0]
    np.testing.assert_allclose(found["same"], [1 / 3] * 3, rtol=1e-6)


def test_classify_gives_a_probability(tmp_path):
    """The best class and the softmax of its score, or what is asked for instead."""
    path = classifier(tmp_path / "m.onnx")
    expected = softmax(logits(path, images(6)))
    found = dataset(images(6)).classify(path, preprocess={}).take_batch(6)
    assert found["label"].tolist() == expected.argmax(axis=1).tolist()
    np.testing.assert_allclose(found["score"], expected.max(axis=1), rtol=1e-5)
    assert len(dataset(images(1)).classify(path, preprocess={}, top_k=3).take_all()[0]["label"]) == 3


def test_embeddings_are_vectors_of_length_one(tmp_path):
    """Their products are cosine similarities, which the tensor namespace gives too, and sort by."""
    path = classifier(tmp_path / "m.onnx")
    pixels = images(8)
    ds = dataset(pixels).embed(path, preprocess={})
    assert ds.schema()["embedding"] == pa.fixed_shape_tensor(pa.float32(), (7,))
    vectors = ds.take_batch(8)["embedding"]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    query = vectors[3]
    near = ds.with_columns(near=pl.col("embedding").tensor.cosine_similarity(query)).top_k(2, by="near")
    np.testing.assert_allclose(near.take_batch(2)["near"], np.sort(vectors @ query)[::-1][:2], rtol=1e-5)


def test_the_embedding_of_several_outputs_is_asked_for(tmp_path):
    """Two vectors are ambiguous, and the error names both; output= settles it."""
    path = pair(tmp_path / "m.onnx")
    ds = ld.from_items([{"image": images(1)[0], "w": np.ones(3)}])
    columns = {"pixels": "image", "weight": "w"}
    with pytest.raises(ModelError, match=r"pass output= with one of scaled.*same"):
        ds.embed(path, columns, preprocess={})
    found = ds.embed(path, columns, output="same", name="v", preprocess={}).take_all()[0]["v"]
    np.testing.assert_allclose(found, np.full(3, 3**-0.5), rtol=1e-6)


@pytest.mark.parametrize("dtype", [TensorProto.BOOL, TensorProto.INT32, TensorProto.FLOAT16])
def test_numbers_of_every_type_become_columns(tmp_path, dtype):
    """A number for each image has its own type, nulls included."""
    nodes = [
        helper.make_node("ReduceMax", ["input"], ["m"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Cast", ["m"], ["y"], to=dtype),
    ]
    path = save(tmp_path / "m.onnx", nodes, [("input", FLOAT, ["N", 3, 8, 8])], [("y", dtype, ["N"])])
    rows = [{"image": row} for row in images(3)] + [{"image": None}]
    query = ld.from_items(rows).infer(path, preprocess={"scale": 1.0})
    found = [row["y"] for row in query.take_all()]
    expected = [row.max() for row in images(3)]
    assert found[3] is None
    assert [float(one) for one in found[:3]] == [
        float(bool(one)) if dtype == TensorProto.BOOL else one for one in expected
    ]


def test_rows_before_a_bad_one_come_first(tmp_path):
    """An image that cannot be decoded fails after the rows before it, so a limit never meets it."""
    path = classifier(tmp_path / "m.onnx", shape=("N", 3, "h", "w"))
    rows = [{"image": row} for row in images(6)]
    ds = ld.from_items([*rows, {"image": np.zeros((3, 3, 5), np.uint8)}])
    query = ds.infer(path, preprocess={})
    assert len(query.take(6)) == 6
    with pytest.raises(ld.DecodeError):
        query.take(7)
