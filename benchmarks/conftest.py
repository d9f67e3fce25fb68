"""What is measured on: photos drawn once or those of LIGHTDATA_BENCH_IMAGES, the model of LIGHTDATA_BENCH_MODEL."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
TINY_FILES = 10_000

sys.path.insert(0, str(EXAMPLES))


def pytest_terminal_summary(terminalreporter, config):
    """Print what benchmarks found beside seconds."""
    for bench in config._benchmarksession.benchmarks:  # noqa: SLF001 - the only place where they are kept
        if bench.extra_info:
            found = ", ".join(f"{name} {value}" for name, value in bench.extra_info.items())
            terminalreporter.write_line(f"{bench.name}: {found}")


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """A folder of at least 300 photos of about 500x375."""
    given = os.environ.get("LIGHTDATA_BENCH_IMAGES")
    if given:
        return Path(given)
    from shapes import CLASSES, draw_shape

    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    for number in range(300):
        draw_shape(CLASSES[number % len(CLASSES)], 500, 375, draw).convert("RGB").save(folder / f"{number:04d}.jpg")
    return folder


@pytest.fixture(scope="session")
def model():
    """A classifier of images as an ONNX file."""
    return Path(os.environ.get("LIGHTDATA_BENCH_MODEL", EXAMPLES / "shapes.onnx"))


@pytest.fixture(scope="session")
def tiny_files(tmp_path_factory):
    """A folder of 10,000 JPEG files of 32x32."""
    import simplejpeg

    folder = tmp_path_factory.mktemp("tiny")
    draw = np.random.default_rng(0)
    for number in range(TINY_FILES):
        pixels = draw.integers(0, 256, (4, 4, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        (folder / f"{number:05d}.jpg").write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels)))
    return folder
