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
