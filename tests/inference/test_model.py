"""ld.Model: what is found out about a model, and what is asked for where it cannot be."""

import hashlib
import json
import os
import pickle
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_models import FLOAT, classifier, images, save

import lightdata as ld
from lightdata.errors import ArgumentError, ModelError
from lightdata.inference.preprocess import IMAGENET_MEAN, Preprocess

HALF = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "rescale_factor": 1 / 255}


def dataset(rows=4):
    return ld.from_numpy({"image": images(rows)})


def write(folder, name, content):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def external(folder, location="weights.bin"):
    """Save a model whose matrix lies in another file, and say where it says that it lies."""
    path = classifier(folder / "m.onnx")
    model = onnx.load(path)
    weight = model.graph.initializer[0]
    (folder / "weights.bin").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_model_is_a_frozen_value_that_travels(tmp_path):
    """Two descriptions of one file are equal, can be hashed, and survive pickling."""
    path = classifier(tmp_path / "m.onnx")
    one, other = (ld.Model.of(path, preprocess={}, top_k=2, labels=list("abcdefg")) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert pickle.loads(pickle.dumps(one)) == one
    assert repr(one) == "Model(m.onnx, input input: float32 [N, 3, 8, 8] of RGB images, -> label, score)"


def test_a_path_bytes_and_a_model_give_the_same(tmp_path):
    """However a model is given, its results are the same, in workers too."""
    path = classifier(tmp_path / "m.onnx")
    before = ld.config()
    try:
        found = []
        for source in (path, path.read_bytes(), ld.Model.of(path, preprocess={})):
            options = {} if isinstance(source, ld.Model) else {"preprocess": {}}
            for workers in (0, 1):
                ld.config(workers=workers)
                found.append(dataset(80).infer(source, **options).take_batch(80)["scores"])
    finally:
        ld.config(workers=before.workers)
    for one in found[1:]:
        np.testing.assert_array_equal(one, found[0])


def test_options_beside_a_model_are_refused(tmp_path):
    """A Model has its options; one given beside it would be ignored, so it is an error that says where it goes."""
    model = ld.Model.of(classifier(tmp_path / "m.onnx"), preprocess={})
    with pytest.raises(ArgumentError, match=r"pass top_k= to ld\.Model\.of"):
        dataset().infer(model, top_k=1)


@pytest.mark.parametrize("place", ["", "onnx"])
def test_a_folder_of_hugging_face_says_all(tmp_path, place):
    """model.onnx, config.json and preprocessor_config.json give normalisation and labels, without a warning."""
    folder = tmp_path / "hub"
    (folder / place).mkdir(parents=True)
    classifier(folder / place / "model.onnx")
    classifier(folder / place / "model_quantized.onnx")
    write(folder, "config.json", {"id2label": {str(n): f"class {n}" for n in range(7)}})
    write(folder, "preprocessor_config.json", HALF)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = ld.Model.of(folder, top_k=3)
    assert model.inputs[0].preprocess == Preprocess(mean=(0.5,) * 3, std=(0.25,) * 3)
    assert model.labels == tuple(f"class {n}" for n in range(7))


def test_a_folder_of_several_models_asks_which(tmp_path):
    """Where none is called model.onnx, the candidates are named; where there is none, so it is said."""
    folder = tmp_path / "hub"
    folder.mkdir()
    with pytest.raises(ModelError, match=r"no \.onnx file"):
        ld.Model.of(folder)
    classifier(folder / "a.onnx")
    assert ld.Model.of(folder, preprocess={}).file.name == "a.onnx"
    classifier(folder / "b.onnx")
    with pytest.raises(ModelError, match=r"a\.onnx, b\.onnx; pass one's path"):
        ld.Model.of(folder)


def test_the_strongest_word_on_normalisation_counts(tmp_path):
    """Given wins over metadata, metadata over preprocessor_config.json, that over timm, timm over the default."""
    metadata = {"mean": "[0.1, 0.1, 0.1]", "std": "[1, 1, 1]"}

    def mean(**options):
        return ld.Model.of(tmp_path / "model.onnx", **options).inputs[0].preprocess.mean

    classifier(tmp_path / "model.onnx", metadata=metadata)
    write(tmp_path, "preprocessor_config.json", HALF)
    write(tmp_path, "config.json", {"pretrained_cfg": {"mean": [0.3] * 3, "std": [1] * 3}})
    assert mean(preprocess={"mean": [0.9] * 3}) == (0.9,) * 3
    assert mean() == (0.1,) * 3
    classifier(tmp_path / "model.onnx")
    assert mean() == (0.5,) * 3
    (tmp_path / "preprocessor_config.json").unlink()
    assert mean() == (0.3,) * 3
    (tmp_path / "config.json").unlink()
    with pytest.warns(UserWarning, match="ImageNet"):
        assert mean() == IMAGENET_MEAN


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"do_rescale": True, "rescale_factor": 0.5, "do_normalize": False}, Preprocess(scale=0.5)),
        ({"do_rescale": False, "do_normalize": True, "image_mean": [9] * 3}, Preprocess(scale=None, mean=(9.0,) * 3)),
        ({"image_mean": [0.5] * 3, "image_std": [0.5] * 3}, Preprocess(mean=(0.5,) * 3, std=(0.5,) * 3)),
    ],
)
def test_what_an_image_processor_does_is_done(tmp_path, config, wanted):
    """Rescaling and normalising are read as transformers writes them, each where it is on."""
    classifier(tmp_path / "model.onnx")
    write(tmp_path, "preprocessor_config.json", config)
    assert ld.Model.of(tmp_path).inputs[0].preprocess == wanted


def test_a_processor_that_does_not_fit_is_refused(tmp_path):
    """A mean of one number for three channels, or a file that is not JSON, names the file and the argument."""
    classifier(tmp_path / "model.onnx")
    write(tmp_path, "preprocessor_config.json", {"do_normalize": True, "image_mean": [0.5], "image_std": [0.5]})
    with pytest.raises(ModelError, match=r"preprocessor_config\.json.*pass preprocess="):
        ld.Model.of(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"preprocessor_config\.json cannot be read"):
        ld.Model.of(tmp_path)
    assert ld.Model.of(tmp_path, preprocess={})


def anything(path, axes):
    node = helper.make_node("Identity", ["pixel_values"], ["y"])
    return save(path, [node], [("pixel_values", FLOAT, axes)], [("y", FLOAT, axes)])


def test_axes_without_lengths_are_known_by_their_names(tmp_path):
    """Exports of optimum, all of whose axes are open, tell where the channels are by what they call them."""
    path = anything(tmp_path / "m.onnx", ["batch_size", "num_channels", "height", "width"])
    (image,) = ld.Model.of(path, preprocess={}).inputs
    assert (image.layout, image.channels, image.size) == ("NCHW", 3, (None, None))
    last = anything(tmp_path / "l.onnx", ["n", "h", "w", "C"])
    assert ld.Model.of(last, preprocess={"mean": [0.5]}).inputs[0].mode == "L"


@pytest.mark.parametrize("axes", [["n", 3, 8, 3], ["a", "b", "c2", "d"]])
def test_a_layout_that_cannot_be_told_is_asked_for(tmp_path, axes):
    """The error shows both readings and the argument, and the argument settles it."""
    path = anything(tmp_path / "m.onnx", axes)
    with pytest.raises(ModelError, match=r"pixel_values: float32 .*layout='NCHW' \(.*\) or layout='NHWC'"):
        ld.Model.of(path, preprocess={})
    for layout in ("NCHW", "NHWC"):
        assert ld.Model.of(path, preprocess={}, layout=layout).inputs[0].layout == layout


def test_weights_beside_the_model_are_read(tmp_path):
    """External data in a plain file beside the model is no obstacle."""
    expected = dataset().infer(classifier(tmp_path / "plain.onnx"), preprocess={}).take_batch(4)["scores"]
    found = dataset().infer(external(tmp_path), preprocess={}).take_batch(4)["scores"]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "location",
    [
        "/etc/passwd",
        "../weights.bin",
        "a/../../weights.bin",
        "C:\\weights.bin",
        "..\\weights.bin",
        "",
        "\\\\host\\share",
    ],
)
def test_weights_elsewhere_are_refused(tmp_path, location):
    """A path that is absolute or leads out of the folder is refused before ONNX Runtime sees the model."""
    folder = tmp_path / "inner"
    folder.mkdir()
    path = external(folder, location)
    (tmp_path / "weights.bin").write_bytes((folder / "weights.bin").read_bytes())
    with pytest.raises(ModelError, match="only files beside the model"):
        ld.Model.of(path, preprocess={})


@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_weights_that_are_links_are_refused(tmp_path, link):
    """Neither kind of link may stand in for the weights, not as the file nor as a folder on the way."""
    path = external(tmp_path)
    (tmp_path / "weights.bin").rename(tmp_path / "elsewhere.bin")
    link(tmp_path / "elsewhere.bin", tmp_path / "weights.bin")
    with pytest.raises(ModelError, match="link"):
        ld.Model.of(path, preprocess={})
    (tmp_path / "away").mkdir()
    (tmp_path / "away/weights.bin").write_bytes((tmp_path / "weights.bin").read_bytes())
    (tmp_path / "near").symlink_to(tmp_path / "away")
    path = external(tmp_path, "near/weights.bin")
    with pytest.raises(ModelError, match="symbolic link"):
        ld.Model.of(path, preprocess={})


def test_weights_of_nested_graphs_are_found_too(tmp_path):
    """A tensor in the branch of an If, or of a Constant, cannot hide where it lies."""
    outside = numpy_helper.from_array(np.zeros(3, np.float32), "w")
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/passwd")
    constant = helper.make_node("Constant", [], ["y"], value=outside)
    branch = helper.make_graph([constant], "branch", [], [helper.make_tensor_value_info("y", FLOAT, [3])])
    choice = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    graph = helper.make_graph([choice], "g", [helper.make_tensor_value_info("c", TensorProto.BOOL, [])], [])
    (tmp_path / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(ModelError, match="/etc/passwd"):
        ld.Model.of(tmp_path / "m.onnx")


def test_bytes_must_hold_their_weights(tmp_path):
    """A model of bytes has no folder, so external data is refused."""
    with pytest.raises(ModelError, match="model of bytes must hold its weights"):
        ld.Model.of(external(tmp_path).read_bytes(), preprocess={})


def test_every_cut_of_a_model_is_refused(tmp_path):
    """A model that ends too early is a ModelError, wherever it was cut."""
    content = classifier(tmp_path / "m.onnx").read_bytes()
    for length in (0, 1, 5, len(content) // 2, len(content) - 1):
        with pytest.raises(ModelError):
            ld.Model.of(content[:length], preprocess={})


def test_a_hash_pins_the_model(tmp_path):
    """The right SHA-256 passes; another fails, also where the file changes before the query runs."""
    path = classifier(tmp_path / "m.onnx")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    query = dataset().infer(path, preprocess={}, sha256=digest.upper())
    assert query.count() == 4
    assert ld.Model.of(path.read_bytes(), preprocess={}, sha256=digest)
    with pytest.raises(ModelError, match=f"SHA-256 {digest}"):
        ld.Model.of(path, preprocess={}, sha256="0" * 64)
    with pytest.raises(ArgumentError, match="64 hexadecimal"):
        ld.Model.of(path, preprocess={}, sha256="abc")
    classifier(tmp_path / "m.onnx", metadata={"other": "file"})
    with pytest.raises(ModelError, match="another file"):
        query.take_all()


def test_a_hash_must_pin_the_weights_too(tmp_path):
    """Where weights lie in other files, each needs its hash."""
    path = external(tmp_path)
    digests = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("m.onnx", "weights.bin")}
    with pytest.raises(ModelError, match=r"'weights\.bin' too"):
        ld.Model.of(path, preprocess={}, sha256=digests["m.onnx"])
    assert ld.Model.of(path, preprocess={}, sha256=digests)
    with pytest.raises(ModelError, match="no file of the model"):
        ld.Model.of(path, preprocess={}, sha256={**digests, "other": "0" * 64})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": "CHW"}, "layout"),
        ({"precision": "int8"}, "precision"),
        ({"batch_size": "large"}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"providers": ["NoSuchProvider"]}, "CPUExecutionProvider"),
        ({"providers": [3]}, "pairs of name and options"),
        ({"postprocess": "relu"}, "postprocess"),
        ({"postprocess": {"nope": "softmax"}}, "'nope' is not kept"),
        ({"labels": 3}, "labels"),
        ({"top_k": True}, "top_k"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, words):
    """Each option that cannot work is named when the model is described."""
    with pytest.raises(ArgumentError, match=words):
        ld.Model.of(classifier(tmp_path / "m.onnx"), **{"preprocess": {}, **options})


def test_unknown_options_are_refused_with_the_nearest(tmp_path):
    """Every verb with a model refuses a misspelt option when the query is built, also beside a Model."""
    path = classifier(tmp_path / "m.onnx")
    with pytest.raises(ArgumentError, match="no argument 'batchsize'; did you mean batch_size"):
        ld.Model.of(path, batchsize=3)
    for verb in (ld.Dataset.infer, ld.Dataset.classify, ld.Dataset.embed):
        with pytest.raises(ArgumentError, match="no argument 'preproces'; did you mean preprocess"):
            verb(dataset(), path, preproces={})
    with pytest.raises(ArgumentError, match="no argument 'top'"):
        dataset().infer(ld.Model.of(path, preprocess={}), top=3)
    with pytest.raises(ArgumentError, match="embed has no argument 'top_k'"):
        dataset().embed(path, preprocess={}, top_k=3)
    assert dataset().infer(ld.Model.of(path, preprocess={}), top_k=None).columns == ["image", "scores"]


def test_what_is_no_model_is_refused():
    """A number is neither a path nor bytes."""
    with pytest.raises(ArgumentError, match="a path, a folder, bytes"):
        ld.Model.of(3)


def test_providers_take_the_place_of_the_device(tmp_path):
    """A provider of this build is used, with its options."""
    path = classifier(tmp_path / "m.onnx")
    model = ld.Model.of(path, preprocess={}, providers=["CPUExecutionProvider"], device="cuda")
    found = dataset().infer(model).take_batch(4)["scores"]
    ready = (images(4) / np.float32(255)).transpose(0, 3, 1, 2)
    expected = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"input": ready})[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
