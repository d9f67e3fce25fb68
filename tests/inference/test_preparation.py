"""Pixels to a model's input: in NumPy, in the graph, and beside what others do."""

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from PIL import Image
from tiny_models import FLOAT, classifier, images, save

import lightdata as ld
from lightdata.errors import ModelError
from lightdata.inference.device import resolve_placement
from lightdata.inference.lane import Lane
from lightdata.inference.preparation import Preparation
from lightdata.inference.preprocess import IMAGENET_MEAN, IMAGENET_STD
from lightdata.inference.rewrite import rewritten
from lightdata.inference.session import open_runner

FLOAT16, UINT8 = TensorProto.FLOAT16, TensorProto.UINT8
IMAGENET = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD}
DTYPES = {FLOAT: np.float32, FLOAT16: np.float16, UINT8: np.uint8}


def identity(path, shape=("N", 3, "h", "w"), dtype=FLOAT):
    """Save a model that gives its input back."""
    node = helper.make_node("Identity", ["input"], ["y"])
    return save(path, [node], [("input", dtype, list(shape))], [("y", dtype, list(shape))])


def eval_transform(photo, side=224, shorter=256):
    """Do what torchvision's ``Compose([Resize(256), CenterCrop(224), ToTensor(), Normalize(...)])`` does to a photo.

    torchvision resizes Pillow images with Pillow: the longer side is cut down to a whole number, the crop's corner is
    rounded half to even; ToTensor divides by 255, Normalize subtracts the mean and divides by std, all in float32.
    """
    width, height = photo.size
    scaled = (shorter, int(shorter * height / width)) if width <= height else (int(shorter * width / height), shorter)
    photo = photo.resize(scaled, Image.Resampling.BILINEAR)
    left, top = (round((length - side) / 2) for length in photo.size)
    photo = photo.crop((left, top, left + side, top + side))
    values = np.asarray(photo, np.uint8).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    mean, std = (np.array(one, np.float32).reshape(3, 1, 1) for one in (IMAGENET_MEAN, IMAGENET_STD))
    return (values - mean) / std


@pytest.mark.parametrize("exact", [True, False])
def test_the_same_as_pillow_and_torchvision(tmp_path, exact):
    """With Pillow's own pixels the input is torchvision's up to rounding; without, up to one grey level of 255."""
    noise = np.random.default_rng(0)
    photos = []
    for height, width in ((300, 500), (500, 333), (256, 256), (261, 517)):
        coarse = Image.fromarray(noise.integers(0, 256, (height // 8, width // 8, 3), np.uint8))
        photos.append(coarse.resize((width, height), Image.Resampling.BICUBIC))
    ready = ld.col("image").image.resize_shortest(256).image.center_crop(224, 224)
    before = ld.config()
    try:
        ld.config(workers=0, exact_pixels=exact)
        ds = ld.from_items([{"image": photo} for photo in photos]).with_columns(ready)
        found = ds.infer(identity(tmp_path / "m.onnx"), preprocess=IMAGENET).take_batch(4)["y"]
    finally:
        ld.config(workers=before.workers, exact_pixels=before.exact_pixels)
    expected = np.stack([eval_transform(photo) for photo in photos])
    tolerance = 2e-6 if exact else 1 / 255 / min(IMAGENET_STD) + 2e-6
    assert np.abs(found - expected).max() <= tolerance


SHAPES = [("N", 3, "h", "w"), ("N", "h", "w", 3), ("N", 1, "h", "w"), ("N", 4, 5, 7)]
WAYS = [{}, {"scale": 1.0}, {"mean": [9]}, {"scale": None, "std": [3]}, {"scale": None}]
CASES = [(shape, dtype, how) for shape in SHAPES for dtype in (FLOAT, FLOAT16) for how in WAYS]
CASES += [(shape, UINT8, {}) for shape in SHAPES]
CASES += [(SHAPES[0], FLOAT, IMAGENET), (SHAPES[1], FLOAT16, IMAGENET)]


@pytest.mark.parametrize(("shape", "dtype", "how"), CASES)
def test_numpy_and_the_graph_give_the_formula(tmp_path, shape, dtype, how):
    """Both ways give ``(value * scale - mean) / std`` of every layout, number of channels and dtype."""
    channels = shape[3] if shape[3] in (1, 3, 4) else shape[1]
    how = {key: value * channels if isinstance(value, list) else value for key, value in how.items()}
    model = ld.Model.of(identity(tmp_path / "m.onnx", shape, dtype), preprocess=how)
    pixels = images(3, 5, 7, channels if channels > 1 else 0)
    values = pixels.reshape(3, 5, 7, channels).astype(np.float64)
    scale = None if dtype == UINT8 else how.get("scale", 1 / 255)
    values = (values * (1 if scale is None else scale) - how.get("mean", 0)) / how.get("std", 1)
    expected = values if shape[3] == channels else values.transpose(0, 3, 1, 2)
    for in_graph in (False, True):
        runner = open_runner(model, resolve_placement("cpu", ()), in_graph=in_graph)
        (one,) = runner.inputs
        lane = Lane(runner.session, runner.model)
        (found,) = lane.run({one.port.name: pixels}, 3)
        assert found.dtype == DTYPES[dtype]
        assert (one.port.dtype == "uint8") == (in_graph or dtype == UINT8)
        np.testing.assert_allclose(
            found, expected, rtol=2e-3 if dtype == FLOAT16 else 2e-6, atol=1e-3 if dtype == FLOAT16 else 2e-6
        )


def test_memory_is_used_again():
    """Two batches that are prepared into the same memory give what each gives alone."""
    model = ld.Model.of("examples/shapes.onnx")
    prepare = Preparation(model.images[0])
    first, second = images(4, 64, 64), images(2, 64, 64, seed=1)
    out = np.empty((4, 3, 64, 64), np.float32)
    prepare.write(first, out)
    kept = out.copy()
    prepare.write(second, out[:2])
    alone = np.empty((2, 3, 64, 64), np.float32)
    Preparation(model.images[0]).write(second, alone)
    np.testing.assert_array_equal(out[:2], alone)
    np.testing.assert_array_equal(out[2:], kept[2:])


def test_half_floats_are_near_the_whole_ones(tmp_path):
    """precision="fp16" keeps the types of outputs, and their values within half precision."""
    path = classifier(tmp_path / "m.onnx")
    ds = ld.from_numpy({"image": images(4)})
    whole = ds.infer(path, preprocess={}).take_batch(4)["scores"]
    half = ds.infer(path, preprocess={}, precision="fp16").take_batch(4)["scores"]
    assert half.dtype == np.float32
    assert not np.array_equal(half, whole)
    np.testing.assert_allclose(half, whole, rtol=1e-2, atol=1e-2)
    model = ld.Model.of(path, preprocess={}, precision="fp16")
    runner = open_runner(model, resolve_placement("cpu", ()), in_graph=True)
    assert runner.inputs[0].port.dtype == "uint8"
    (inside,) = Lane(runner.session, runner.model).run({runner.inputs[0].port.name: images(4)}, 4)
    np.testing.assert_allclose(inside, whole, rtol=1e-2, atol=1e-2)


def test_without_onnx_pixels_are_prepared_outside(tmp_path, monkeypatch):
    """Where the package onnx is missing, the graph stays as it is, and half floats say what to install."""
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    model = ld.Model.of(classifier(tmp_path / "m.onnx"), preprocess={})
    source, same = rewritten(model, in_graph=True)
    assert (source, same) == (model.file.path, model)
    with pytest.raises(ModelError, match=r"pip install .lightdata\[onnx\]"):
        ld.Model.of(tmp_path / "m.onnx", preprocess={}, precision="fp16")


def test_a_rewritten_model_is_still_one_of_onnx_runtime(tmp_path):
    """Models of bytes, and those whose graph takes a fixed number of rows, are rewritten too."""
    path = classifier(tmp_path / "m.onnx", shape=(2, 3, 8, 8))
    for source in (path, path.read_bytes()):
        content, model = rewritten(ld.Model.of(source, preprocess=IMAGENET), in_graph=True)
        session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
        assert session.get_inputs()[0].type == "tensor(uint8)"
        assert session.get_inputs()[0].shape == [2, 8, 8, 3]
        assert model.inputs[0].port.shape == (2, 8, 8, 3)
