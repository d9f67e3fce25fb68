"""Inference on a CUDA device, where there is one."""

from pathlib import Path

import numpy as np
import pytest

import lightdata as ld
from lightdata.inference.device import cuda_obstacle

MODEL = Path(__file__).parents[2] / "examples/shapes.onnx"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(cuda_obstacle() is not None, reason=f"no CUDA here: {cuda_obstacle()}"),
]


def test_cuda_gives_what_the_cpu_gives():
    """The same model on the same pixels gives the same logits on both devices, up to rounding."""
    pixels = np.random.default_rng(0).integers(0, 256, (100, 64, 64, 3), np.uint8)
    ds = ld.from_numpy({"image": pixels})
    cpu, cuda = (ds.infer(MODEL, device=device).select("logits").collect().to_arrow() for device in ("cpu", "cuda"))
    left, right = (table["logits"].combine_chunks().to_numpy_ndarray() for table in (cpu, cuda))
    assert left.shape == (100, 8)
    np.testing.assert_allclose(left, right, rtol=1e-2, atol=1e-2)


def run(pixels, **options):
    ds = ld.from_numpy({"image": pixels}).infer(MODEL, **options)
    return ds, ds.select("logits").take_batch(len(pixels))["logits"]


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("tf32", 1e-1), ("fp16", 1e-1)])
def test_every_precision_is_near_the_cpu(precision, tolerance):
    """Whole, shortened and half floats differ from the CPU's results by no more than they must."""
    pixels = np.random.default_rng(1).integers(0, 256, (300, 64, 64, 3), np.uint8)
    _, expected = run(pixels, device="cpu", precision="fp32")
    _, found = run(pixels, device="cuda", precision=precision)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def test_all_nodes_run_on_the_gpu():
    """The graph and its normalisation leave no node to the CPU, and stats say so."""
    pixels = np.random.default_rng(2).integers(0, 256, (100, 64, 64, 3), np.uint8)
    ds = ld.from_numpy({"image": pixels}).infer(MODEL, device="cuda:0").select("logits")
    ds.collect()
    assert ds.stats().nodes_on_gpu > 0
    assert ds.stats().nodes_on_cpu == 0


@pytest.mark.parametrize("batch_size", ["auto", 7, 256])
def test_the_size_of_calls_does_not_change_results(batch_size):
    """Padded calls of any size, in workers and here, give the same rows in the same order."""
    pixels = np.random.default_rng(3).integers(0, 256, (301, 64, 64, 3), np.uint8)
    _, expected = run(pixels, device="cpu")
    before = ld.config()
    for workers in (0, 3):
        ld.config(workers=workers)
        _, found = run(pixels, device="cuda", precision="fp32", batch_size=batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    ld.config(workers=before.workers)


def test_objects_are_those_of_the_cpu():
    """A detector finds the same boxes on both devices, in images of several sizes."""
    pixels = [np.zeros((60 + 20 * n, 100, 3), np.uint8) for n in range(40)]
    for n, image in enumerate(pixels):
        image[10:40, 20 : 50 + n, n % 3] = 255
    ds = ld.from_items([{"image": image} for image in pixels])
    cpu, cuda = (
        ds.detect(MODEL.with_name("bright.onnx"), device=device, precision="fp32").select("detections").take_all()
        for device in ("cpu", "cuda")
    )
    assert [len(row["detections"]) for row in cpu] == [1] * 40
    assert cuda == [{"detections": [pytest.approx(one) for one in row["detections"]]} for row in cpu]
