"""How close is ``infer`` to ONNX Runtime driven by hand? In one process, and in two."""

import multiprocessing as mp

import numpy as np
import onnxruntime as ort
import pytest
import simplejpeg
from PIL import Image

import lightdata as ld

WORKERS = 2
BATCH_ROWS = 8
"""Of those tried, the fastest by hand too."""

PHOTOS = 300
NORMAL = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
MEAN, STD = (np.array(NORMAL[name], np.float32) for name in ("mean", "std"))

_session = None


def start(model):
    """Make the session that this process keeps, of one thread."""
    global _session  # noqa: PLW0603 - one for each process
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    _session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def classify(pixels):
    """Tell the likeliest class of each of a few images, uint8 [N, H, W, 3]."""
    values = (pixels.astype(np.float32) * np.float32(1 / 255) - MEAN) / STD
    tensor = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    return _session.run(None, {_session.get_inputs()[0].name: tensor})[0].argmax(axis=1).tolist()


def classify_all(pixels):
    """Do so with many, a few at a time."""
    starts = range(0, len(pixels), BATCH_ROWS)
    return [label for start in starts for label in classify(pixels[start : start + BATCH_ROWS])]


def classify_files(paths, side):
    """Do so with files, as much at a time as a session takes."""
    labels = []
    for first in range(0, len(paths), BATCH_ROWS):
        pixels = np.stack([load(path, side) for path in paths[first : first + BATCH_ROWS]])
        labels += classify(pixels)
    return labels


def load(path, side):
    """Read, decode and resize; large files are decoded at a part of their size, as lightdata does."""
    with open(path, "rb") as file:
        data = file.read()
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    scale = next((one for one in (8, 4, 2) if min(height, width) >= 2 * side * one), 1)
    pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=-(-height // scale), min_width=-(-width // scale))
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))


@pytest.fixture(scope="module")
def side(model):
    """The height and width that the model takes."""
    height = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"]).get_inputs()[0].shape[2]
    return height if isinstance(height, int) else 224


@pytest.fixture(scope="module")
def paths(photos):
    """The same files for everyone."""
    return sorted(str(path) for path in photos.iterdir())[:PHOTOS]


def resized(paths, side):
    """Read files as images that a model takes."""
    return ld.read_images(paths, mode="RGB").with_columns(ld.col("image").image.resize(side, side))


@pytest.fixture(scope="module")
def images(paths, side):
    """Those files as a dataset in memory, decoded and resized."""
    ld.config(workers=0, progress=False)
    return resized(paths, side).materialize()


def inferred(ds, model):
    """Classify the images of a dataset."""
    return ds.infer(model, "image", top_k=1, preprocess=NORMAL, device="cpu").select("label")


@pytest.mark.parametrize("system", ["by hand", "lightdata"])
def test_inline(benchmark, model, images, system):
    """Pixels in memory to classes, in this process: what the session itself is wrapped in."""
    ld.config(workers=0, progress=False)
    start(str(model))
    pixels = np.stack([row["image"] for row in images.iter_rows()])
    query = inferred(images, model)
    run = {"by hand": lambda: classify_all(pixels), "lightdata": lambda: query.collect().to_series().to_list()}[system]
    benchmark.group = "infer, one process, pixels in memory"
    labels = benchmark.pedantic(run, rounds=7, warmup_rounds=1)
    assert len(labels) == len(pixels)
    benchmark.extra_info["images a second"] = round(len(labels) / benchmark.stats.stats.median)


@pytest.fixture
def two_bare_processes(model, paths, side):
    """A session in each of two warm processes, and half of the files."""
    with mp.get_context("spawn").Pool(WORKERS, start, (str(model),)) as pool:
        halves = [(paths[0::2], side), (paths[1::2], side)]
        yield lambda: [label for half in pool.starmap(classify_files, halves, chunksize=1) for label in half]


@pytest.fixture
def two_workers(model, paths, side):
    """The same as a query."""
    ld.config(workers=WORKERS, progress=False)
    query = inferred(resized(paths, side), model)
    return lambda: query.collect().to_series().to_list()


@pytest.mark.parametrize("system", ["two_bare_processes", "two_workers"])
def test_two_processes(benchmark, request, paths, system):
    """Files to classes, in two warm processes."""
    run = request.getfixturevalue(system)
    benchmark.group = "infer, two processes, files"
    labels = benchmark.pedantic(run, rounds=5, warmup_rounds=1)
    assert len(labels) == len(paths)
    benchmark.extra_info["images a second"] = round(len(labels) / benchmark.stats.stats.median)
