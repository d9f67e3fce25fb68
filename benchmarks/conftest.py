"""Photos to measure on: drawn once, or those of LIGHTDATA_BENCH_IMAGES."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))


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
