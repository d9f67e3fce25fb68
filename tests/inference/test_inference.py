"""Models: what is found out about them, what is refused, and that results are ONNX Runtime's own."""

import json
import warnings

import numpy as np
import onnxruntime as ort
import polars as pl
import pyarrow as pa
import pytest
from onnx import TensorProto, helper
from tiny_models import classifier, images, save

import lightdata as ld
from lightdata.errors import ArgumentError, DeviceError, ModelError
from lightdata.inference.describe import describe_model
from lightdata.inference.device import cuda_obstacle
from lightdata.inference.preprocess import IMAGENET_MEAN, IMAGENET_STD
from lightdata.physical.lower import lower

FLOAT, FLOAT16, UINT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


def by_hand(path, values):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    fixed = session.get_inputs()[0].shape[0]
    if not isinstance(fixed, int):
        return session.run(None, {"input": values})[0]
    return np.concatenate([session.run(None, {"input": values[i : i + 1]})[0] for i in range(len(values))])


def dataset(pixels):
    return ld.from_numpy({"id": np.arange(len(pixels)), "image": pixels})


def test_the_image_net_default_comes_with_a_warning(tmp_path):
    """A model that says nothing gets ImageNet's mean and std, and a warning at the caller's line."""
    path = classifier(tmp_path / "m.onnx")
    pixels = images(5)
    with pytest.warns(UserWarning, match="ImageNet") as caught:
        query = dataset(pixels).infer(path)
    assert caught[0].filename == __file__
    ready = (pixels / 255 - IMAGENET_MEAN) / IMAGENET_STD
    expected = by_hand(path, ready.transpose(0, 3, 1, 2).astype(np.float32))
    found = query.take_batch(5)
    assert found["scores"].shape == (5, 7)
    np.testing.assert_allclose(found["scores"], expected, rtol=1e-5, atol=1e-6)
    assert query.schema()["scores"] == pa.fixed_shape_tensor(pa.float32(), (7,))
    assert query.columns == ["id", "image", "scores"]


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        (("N", 3, 8, 8), "NCHW"),
        (("N", 8, 8, 3), "NHWC"),
        (("N", 3, "h", "w"), "NCHW"),
        (("N", "h", "w", 3), "NHWC"),
        ((1, 3, 8, 8), "NCHW"),
        ((4, 8, 8, 3), "NHWC"),
        (("N", 1, 8, 8), "NCHW"),
        (("N", 4, 8, 8), "NCHW"),
    ],
)
@pytest.mark.parametrize("dtype", [FLOAT, UINT8], ids=["float32", "uint8"])
def test_layout_channels_and_sizes_are_found(tmp_path, shape, layout, dtype):
    """Channels first or last, any size or a fixed one, floats or bytes: all give a plain session's results."""
    path = classifier(tmp_path / "m.onnx", shape=shape, dtype=dtype)
    channels = shape[1] if layout == "NCHW" else shape[3]
    pixels = images(10, channels=channels if channels > 1 else 0)
    model = describe_model(path, preprocess=None if dtype == UINT8 else {})
    assert (model.inputs[0].layout, model.inputs[0].channels) == (layout, channels)
    ready = pixels.reshape(10, 8, 8, channels)
    ready = ready if dtype == UINT8 else ready.astype(np.float32) / np.float32(255)
    ready = ready.transpose(0, 3, 1, 2) if layout == "NCHW" else ready
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    step = shape[0] if isinstance(shape[0], int) else 10
    padded = np.concatenate([ready, ready])[: -(-10 // step) * step]
    expected = np.concatenate(
        [session.run(None, {"input": padded[i : i + step]})[0] for i in range(0, len(padded), step)]
    )[:10]
    found = dataset(pixels).infer(path, preprocess=None if dtype == UINT8 else {}).take_batch(10)["scores"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_half_floats_are_fed_as_such(tmp_path):
    """A float16 input gets float16 values."""
    path = classifier(tmp_path / "m.onnx", dtype=FLOAT16)
    pixels = images(3)
    expected = by_hand(path, (pixels / np.float32(255)).transpose(0, 3, 1, 2).astype(np.float16))
    found = dataset(pixels).infer(path, preprocess={}).take_batch(3)["scores"]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_metadata_of_the_model_are_used(tmp_path):
    """Mean, std and labels of the model's own metadata count, without a warning."""
    labels = [f"class {n}" for n in range(7)]
    metadata = {"mean": "[0.1, 0.2, 0.3]", "std": "[0.5, 0.6, 0.7]", "labels": json.dumps(labels)}
    path = classifier(tmp_path / "m.onnx", metadata=metadata)
    pixels = images(6)
    ready = (pixels / 255 - [0.1, 0.2, 0.3]) / [0.5, 0.6, 0.7]
    expected = by_hand(path, ready.transpose(0, 3, 1, 2).astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = dataset(pixels).infer(path, top_k=1).take_all()
    assert [row["label"] for row in rows] == [labels[n] for n in expected.argmax(axis=1)]
    np.testing.assert_allclose([row["score"] for row in rows], expected.max(axis=1), rtol=1e-5)


def test_labels_come_from_config_json_beside_the_model(tmp_path):
    """``id2label`` of config.json names the classes, in the order of their numbers."""
    path = classifier(tmp_path / "m.onnx", classes=12)
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {str(n): f"c{n}" for n in reversed(range(12))}}))
    assert describe_model(path, top_k=1, preprocess={}).labels == tuple(f"c{n}" for n in range(12))


def test_preprocess_may_be_given(tmp_path):
    """Explicit mean, std, scale and mode win over everything else."""
    path = classifier(tmp_path / "m.onnx", metadata={"mean": "[9, 9, 9]", "std": "[9, 9, 9]"})
    grey = images(4, channels=0)
    how = {"mean": [10, 20, 30], "std": [2, 4, 8], "scale": 1.0, "mode": "RGB"}
    ready = (np.stack([grey] * 3, axis=-1) - np.array([10.0, 20, 30])) / [2, 4, 8]
    expected = by_hand(path, ready.transpose(0, 3, 1, 2).astype(np.float32))
    found = dataset(grey).infer(path, preprocess=how).take_batch(4)["scores"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_the_batch_size_does_not_change_results(tmp_path):
    """Every batch size, in workers or not, gives the same numbers."""
    path = classifier(tmp_path / "m.onnx")
    pixels = images(100)
    expected = dataset(pixels).infer(path, preprocess={}, batch_size=100).take_batch(100)["scores"]
    for batch_size in (1, 7, 32, 1000):
        query = dataset(pixels).infer(path, preprocess={}, batch_size=batch_size)
        for workers in (0, 2):
            ld.config(workers=workers)
            found = query.take_batch(100)
            assert found["id"].tolist() == list(range(100))
            np.testing.assert_allclose(found["scores"], expected, rtol=1e-6)
        ld.config(workers=0)


def test_images_of_several_sizes_go_through_a_model_of_any_size(tmp_path):
    """Rows of different sizes keep their order and their own results."""
    path = classifier(tmp_path / "m.onnx", shape=("N", 3, "h", "w"))
    sizes = [(8, 8), (5, 9), (8, 8), (3, 3), (5, 9)] * 3
    rows = [images(1, *size, seed=n)[0] for n, size in enumerate(sizes)]
    found = ld.from_items([{"image": row} for row in rows]).infer(path, preprocess={}, batch_size=2).take_all()
    for row, one in zip(rows, found, strict=True):
        expected = by_hand(path, (row[None] / np.float32(255)).transpose(0, 3, 1, 2).astype(np.float32))
        np.testing.assert_allclose(one["scores"], expected[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("top_k", [None, 1, 3])
def test_null_images_give_null_results(tmp_path, top_k):
    """A null row stays where it is, and is null in every column that the model adds."""
    path = classifier(tmp_path / "m.onnx")
    rows = [None if n % 3 == 0 else pixels for n, pixels in enumerate(images(10))]
    dataset = ld.from_items([{"n": n, "image": row} for n, row in enumerate(rows)])
    found = dataset.infer(path, preprocess={}, top_k=top_k, batch_size=4).take_all()
    assert [row["n"] for row in found] == list(range(10))
    for column in ("scores",) if top_k is None else ("label", "score"):
        assert [row[column] is None for row in found] == [row is None for row in rows]


def test_a_column_of_nulls_only_gives_nulls(tmp_path):
    """No image at all still gives the model's columns."""
    path = classifier(tmp_path / "m.onnx")
    table = dataset(images(3)).select(
        ld.when(ld.col("id") > 5).then(ld.col("image").image.resize(8, 8)).otherwise(None).alias("image")
    )
    assert table.infer(path, preprocess={}).collect()["scores"].null_count() == 3


@pytest.mark.parametrize("labels", [None, "list", "file"])
@pytest.mark.parametrize("top_k", [1, 5])
def test_top_k_ranks_the_classes(tmp_path, top_k, labels):
    """The highest scores come first, single for 1 and as lists for more, named where there are names."""
    path = classifier(tmp_path / "m.onnx")
    pixels = images(9)
    expected = by_hand(path, (pixels / np.float32(255)).transpose(0, 3, 1, 2).astype(np.float32))
    names = [f"name {n}" for n in range(7)]
    (tmp_path / "names.txt").write_text("\n".join(names) + "\n")
    given = {None: None, "list": names, "file": tmp_path / "names.txt"}[labels]
    query = dataset(pixels).infer(path, preprocess={}, top_k=top_k, labels=given)
    orders = np.argsort(-expected, axis=1)[:, :top_k]
    for row, order, scores in zip(query.take_all(), orders, expected, strict=True):
        wanted = [int(n) if labels is None else names[n] for n in order]
        assert row["label"] == (wanted[0] if top_k == 1 else wanted)
        np.testing.assert_allclose(row["score"], scores[order][0] if top_k == 1 else scores[order], rtol=1e-5)
    assert query.columns == ["id", "image", "label", "score"]


def test_labels_alone_mean_the_best_one(tmp_path):
    """Giving labels without top_k asks for the best class."""
    path = classifier(tmp_path / "m.onnx")
    assert dataset(images(2)).infer(path, preprocess={}, labels=list("abcdefg")).columns[-2:] == ["label", "score"]


def test_classes_with_trailing_axes_of_one_are_ranked(tmp_path):
    """A classifier whose output is [N, classes, 1, 1] has that many classes."""
    path = classifier(tmp_path / "m.onnx", tail=(1, 1))
    plain = classifier(tmp_path / "p.onnx")
    options = {"preprocess": {}, "labels": list("abcdefg"), "top_k": 5}
    assert [row["label"] for row in dataset(images(5)).infer(path, **options).take_all()] == [
        row["label"] for row in dataset(images(5)).infer(plain, **options).take_all()
    ]


@pytest.mark.parametrize("to", [UINT8, TensorProto.BOOL, TensorProto.INT64, FLOAT16])
def test_scores_of_any_number_type_are_ranked(tmp_path, to):
    """Unsigned, boolean, integer and half-float outputs rank highest first."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("Cast", ["m"], ["scores"], to=to),
    ]
    path = save(tmp_path / "m.onnx", nodes, [("input", FLOAT, ["N", 3, 2, 2])], [("scores", to, ["N", 3])])
    pixels = np.broadcast_to(np.array([0, 10, 200], np.uint8), (2, 2, 2, 3)).copy()
    (row, _) = dataset(pixels).infer(path, preprocess={"scale": 1.0}, top_k=3).take_all()
    assert row["label"] == ([1, 2, 0] if to == TensorProto.BOOL else [2, 1, 0])


def test_outputs_are_chosen_and_named(tmp_path):
    """One, some or renamed outputs become columns; the rest is not kept."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["a"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMax", ["input"], ["b"], axes=[1, 2, 3], keepdims=0),
    ]
    outputs = [("a", FLOAT, ["N", 3]), ("b", FLOAT, ["N"])]
    path = save(tmp_path / "m.onnx", nodes, [("input", FLOAT, ["N", 3, 8, 8])], outputs)
    data = dataset(images(4))
    added = {None: ["a", "b"], "b": ["b"], ("b", "a"): ["b", "a"]}
    for choice, columns in added.items():
        given = list(choice) if isinstance(choice, tuple) else choice
        assert data.infer(path, preprocess={}, outputs=given).columns[2:] == columns
    renamed = data.infer(path, preprocess={}, outputs={"b": "highest"})
    assert renamed.columns[2:] == ["highest"]
    assert renamed.schema()["highest"] == pa.float32()
    assert [row["highest"] for row in renamed.take_all()] == pytest.approx((images(4) / 255).max(axis=(1, 2, 3)))


BROKEN = {
    "bad mean": {"mean": "0.5, 0.5", "std": "[1, 1, 1]"},
    "short mean": {"mean": "[0.5]", "std": "[1, 1, 1]"},
    "mean is a number": {"mean": "0.5", "std": "0.5"},
}


@pytest.mark.parametrize("metadata", BROKEN.values(), ids=BROKEN)
def test_metadata_that_cannot_be_used_are_refused_when_the_query_is_built(tmp_path, metadata):
    """A mean that is no list of a number for each channel is a ModelError that names it."""
    path = classifier(tmp_path / "m.onnx", metadata=metadata)
    with pytest.raises(ModelError, match="mean"):
        dataset(images(1)).infer(path)
    assert dataset(images(1)).infer(path, preprocess={}).count() == 1


def test_labels_that_cannot_be_read_only_matter_where_they_are_used(tmp_path):
    """Unreadable labels in metadata, or a config.json of something else, are no obstacle to plain outputs."""
    path = classifier(tmp_path / "m.onnx", metadata={"labels": "cat, dog"})
    assert dataset(images(1)).infer(path, preprocess={}).count() == 1
    with pytest.raises(ModelError, match="labels"):
        dataset(images(1)).infer(path, preprocess={}, top_k=1)
    path = classifier(tmp_path / "n.onnx")
    for text in ("not json", "[]", '{"id2label": ["a"]}', '{"id2label": {"x": "a"}}'):
        (tmp_path / "config.json").write_text(text)
        assert dataset(images(1)).infer(path, preprocess={}).count() == 1
        if text == "[]":
            continue
        with pytest.raises(ModelError, match=r"config\.json"):
            dataset(images(1)).infer(path, preprocess={}, top_k=1)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"outputs": "nope"}, ModelError, "no output nope; it has scores"),
        ({"outputs": ["scores", "nope"]}, ModelError, "nope"),
        ({"outputs": 3}, ArgumentError, "outputs"),
        ({"batch_size": 0}, ArgumentError, "batch_size"),
        ({"batch_size": 2.5}, ArgumentError, "batch_size"),
        ({"device": "tpu"}, ArgumentError, "device"),
        ({"device": "cuda:x"}, ArgumentError, "device"),
        ({"device": "cpu:1"}, ArgumentError, "device"),
        ({"device": 0}, ArgumentError, "device"),
        ({"top_k": 0}, ArgumentError, "top_k"),
        ({"top_k": 8}, ArgumentError, "top_k"),
        ({"top_k": "1"}, ArgumentError, "top_k"),
        ({"labels": ["a", "b"]}, ModelError, "2 labels for an output of 7 classes"),
        ({"labels": "no_such_file.txt"}, ModelError, "labels"),
        ({"preprocess": {"means": [0]}}, ArgumentError, "means"),
        ({"preprocess": "imagenet"}, ArgumentError, "preprocess"),
        ({"preprocess": {"mean": [0.5, 0.5]}}, ArgumentError, "mean"),
        ({"preprocess": {"std": [1, 0, 1]}}, ArgumentError, "std"),
        ({"preprocess": {"mean": 0.5}}, ArgumentError, "mean"),
        ({"preprocess": {"scale": "x"}}, ArgumentError, "scale"),
        ({"preprocess": {"mode": "BGR"}}, ArgumentError, "mode"),
        ({"preprocess": {"mode": "L"}}, ArgumentError, "mode"),
        ({"column": "nope"}, ld.ColumnNotFoundError, "nope"),
        ({"column": "id"}, ld.SchemaError, "id"),
    ],
)
def test_wrong_options_are_refused_when_the_query_is_built(tmp_path, options, kind, words):
    """Each option that cannot work is named before any row is read."""
    path = classifier(tmp_path / "m.onnx")
    with pytest.raises(kind, match=words):
        dataset(images(1)).infer(path, **{"preprocess": {}, **options})


def test_images_of_another_size_are_refused_with_the_resize_that_helps(tmp_path):
    """A fixed column of the wrong size fails when built, files of the wrong size when they are seen."""
    path = classifier(tmp_path / "m.onnx")
    wrong = dataset(images(2, 9, 9)).with_columns(ld.col("image").image.resize(9, 9))
    with pytest.raises(ModelError, match="takes images of 8x8; resize it first"):
        wrong.infer(path, preprocess={})
    with pytest.raises((ModelError, ld.DecodeError), match=r"resize\(8, 8\)"):
        ld.from_items([{"image": row} for row in images(2, 9, 9)]).infer(path, preprocess={}).take_all()
    right = wrong.with_columns(ld.col("image").image.resize(8, 8)).infer(path, preprocess={})
    assert right.count() == 2


def test_models_that_cannot_be_used_are_refused(tmp_path):
    """A missing, broken or unfitting model is a ModelError that says why."""
    data = dataset(images(1))
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    (tmp_path / "empty.onnx").touch()
    relu = [helper.make_node("Relu", ["input"], ["y"])]
    flat = save(tmp_path / "flat.onnx", relu, [("input", FLOAT, ["N", 10])], [("y", FLOAT, ["N", 10])])
    odd = save(tmp_path / "odd.onnx", relu, [("input", FLOAT, ["N", 3, 8, 3])], [("y", FLOAT, ["N", 3, 8, 3])])
    double = save(
        tmp_path / "double.onnx",
        relu,
        [("input", TensorProto.DOUBLE, ["N", 3, 8, 8])],
        [("y", TensorProto.DOUBLE, ["N", 3, 8, 8])],
    )
    brain = save(
        tmp_path / "bfloat.onnx",
        [helper.make_node("Cast", ["input"], ["y"], to=TensorProto.BFLOAT16)],
        [("input", FLOAT, ["N", 3, 8, 8])],
        [("y", TensorProto.BFLOAT16, ["N", 3, 8, 8])],
    )
    for file, words in (
        (tmp_path / "missing.onnx", "no model at"),
        (tmp_path, "several models"),
        (tmp_path / "broken.onnx", "not an ONNX model"),
        (tmp_path / "empty.onnx", "onnx"),
        (flat, "an input of images"),
        (odd, "where the channels are"),
        (double, "float32, float16 or uint8"),
        (brain, "bfloat16"),
    ):
        with pytest.raises(ModelError, match=words):
            data.infer(file, preprocess={})


def test_two_outputs_cannot_share_a_column(tmp_path):
    """Outputs that would overwrite one another are refused."""
    nodes = [helper.make_node("Relu", ["input"], ["a"]), helper.make_node("Neg", ["input"], ["b"])]
    outputs = [("a", FLOAT, ["N", 3, 8, 8]), ("b", FLOAT, ["N", 3, 8, 8])]
    path = save(tmp_path / "m.onnx", nodes, [("input", FLOAT, ["N", 3, 8, 8])], outputs)
    with pytest.raises(ArgumentError, match="x"):
        dataset(images(1)).infer(path, preprocess={}, outputs={"a": "x", "b": "x"})
    with pytest.raises(ArgumentError, match="ranks one output"):
        dataset(images(1)).infer(path, preprocess={}, top_k=1)


def test_bytes_models_are_not_scaled(tmp_path):
    """A model that takes bytes gets them as they are, also where a mode is chosen; a mean for it is refused."""
    path = classifier(tmp_path / "m.onnx", dtype=UINT8)
    expected = by_hand(path, images(3).transpose(0, 3, 1, 2))
    for preprocess in (None, {}, {"mode": "RGB"}):
        found = dataset(images(3)).infer(path, preprocess=preprocess).take_batch(3)["scores"]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(ArgumentError, match="uint8"):
        dataset(images(1)).infer(path, preprocess={"mean": [0, 0, 0]})


def test_fewer_labels_than_classes_of_unknown_number_are_told(tmp_path):
    """Where only running tells the number of classes, labels that do not suffice are still an error that says so."""
    nodes = [helper.make_node("Flatten", ["input"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, [("input", FLOAT, ["N", 3, "h", "w"])], [("y", FLOAT, ["N", "c"])])
    pixels = np.full((1, 4, 4, 3), 9, np.uint8)
    pixels[0, 3, 3, 2] = 200
    with pytest.raises(ModelError, match="2 labels"):
        dataset(pixels).infer(path, preprocess={}, labels=["a", "b"]).take_all()


def test_outputs_of_unknown_shape_become_variable_tensors(tmp_path):
    """An output whose shape follows the image's is a tensor of any shape."""
    path = save(
        tmp_path / "m.onnx",
        [helper.make_node("Neg", ["input"], ["y"])],
        [("input", FLOAT, ["N", 3, "h", "w"])],
        [("y", FLOAT, ["N", 3, "h", "w"])],
    )
    rows = [images(1, 4, 4)[0], images(1, 6, 5)[0]]
    found = ld.from_items([{"image": row} for row in rows]).infer(path, preprocess={"scale": 1.0}).take_all()
    for row, one in zip(rows, found, strict=True):
        np.testing.assert_array_equal(one["y"], -row.transpose(2, 0, 1).astype(np.float32))


@pytest.mark.skipif(cuda_obstacle() is None, reason="this machine has CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_cuda_never_runs_on_the_cpu(tmp_path, device):
    """Without CUDA, device="cuda" is a DeviceError that names what is missing; no row is produced."""
    path = classifier(tmp_path / "m.onnx")
    query = dataset(images(100)).infer(path, preprocess={}, device=device)
    for workers in (0, 2):
        ld.config(workers=workers)
        with pytest.raises(DeviceError, match=device) as caught:
            query.take(1)
        assert str(cuda_obstacle()) in str(caught.value)
        assert "device='cpu' or 'auto'" in str(caught.value)
    assert any(word in str(cuda_obstacle()) for word in ("libcuda", "nvcuda", "GPU", "build", ".so"))


@pytest.mark.skipif(cuda_obstacle() is None, reason="this machine has CUDA")
@pytest.mark.skipif("CUDAExecutionProvider" not in ort.get_available_providers(), reason="this build has no CUDA")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_provider_that_onnx_runtime_refuses_is_an_error(tmp_path, workers):
    """ONNX Runtime would silently take the CPU instead; nothing runs there that was asked to run elsewhere."""
    ld.config(workers=workers)
    query = dataset(images(100)).infer(
        classifier(tmp_path / "m.onnx"), preprocess={}, providers=["CUDAExecutionProvider"]
    )
    with pytest.raises(DeviceError, match="refused CUDAExecutionProvider"):
        query.take_all()


@pytest.mark.skipif("CUDAExecutionProvider" not in ort.get_available_providers(), reason="this build has no CUDA")
@pytest.mark.parametrize("rows", [1, 32, 200, "auto"])
def test_a_gpu_gets_tasks_of_whole_calls(tmp_path, rows):
    """One process has the GPU, and each of its tasks holds several calls, so that copies overlap computations."""
    model = ld.Model.of(
        classifier(tmp_path / "m.onnx"), preprocess={}, providers=["CUDAExecutionProvider"], batch_size=rows
    )
    plan = dataset(images(4)).infer(model)._plan
    cut, stage, *_ = lower(plan, workers=4).steps
    calls = 256 if rows == "auto" else rows
    assert stage.max_workers == 1
    assert cut.rows >= 8 * calls
    assert cut.rows % calls == 0


@pytest.mark.skipif(cuda_obstacle() is None, reason="this machine has CUDA")
def test_auto_runs_on_the_cpu_where_there_is_no_cuda(tmp_path):
    """device="auto" gives the CPU's results, and prints nothing."""
    path = classifier(tmp_path / "m.onnx")
    pixels = images(5)
    auto, cpu = (
        dataset(pixels).infer(path, preprocess={}, device=device).take_batch(5)["scores"] for device in ("auto", "cpu")
    )
    np.testing.assert_array_equal(auto, cpu)


def test_inference_goes_on_with_polars(tmp_path):
    """Results are columns like any other: filtered, selected, collected."""
    path = classifier(tmp_path / "m.onnx")
    frame = (
        dataset(images(20))
        .infer(path, preprocess={}, top_k=1)
        .filter(ld.col("label") >= 0)
        .select("id", "label", "score")
        .collect()
    )
    assert frame.schema == {"id": pl.Int64, "label": pl.Int64, "score": pl.Float32}
    assert len(frame) == 20
