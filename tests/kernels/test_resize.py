"""Scaling: within one grey level of Pillow, and Pillow's own where that is asked for."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lightdata.kernels.raster import Raster
from lightdata.kernels.resize import INTERPOLATIONS, resize

SIDE = st.integers(1, 70)


def drawn(seed, height, width, mode):
    draw = np.random.default_rng(seed)
    channels = {"L": (), "RGB": (3,), "RGBA": (4,), "LA": (2,)}[mode]
    flat = draw.integers(0, 2, (height, width, *channels)) * 255
    return (flat if seed % 2 else draw.integers(0, 256, flat.shape)).astype(np.uint8)


@given(st.integers(0, 9), st.tuples(SIDE, SIDE), st.tuples(SIDE, SIDE), st.data())
def test_no_pixel_is_further_than_a_grey_level_from_pillow(seed, size, target, data):
    """Noise and hard edges, made larger and smaller by any filter, are Pillow's but for one level, rarely two."""
    mode, name = data.draw(st.sampled_from(["L", "RGB"])), data.draw(st.sampled_from([*INTERPOLATIONS]))
    pixels = drawn(seed, *size, mode)
    wanted = np.asarray(Image.fromarray(pixels).resize(target[::-1], INTERPOLATIONS[name])).astype(int)
    found = resize(Raster(pixels, mode), *target, name)
    assert (found.mode, found.height, found.width) == (mode, *target)
    difference = np.abs(found.array() - wanted)
    assert (difference > 1).sum() <= 1
    assert difference.max() <= (2 if name == "bilinear" else 0)


def test_photos_are_within_a_grey_level():
    """No pixel of something like a photo differs by more than one level, and most do not at all."""
    y, x = np.mgrid[0:375, 0:500] / 500
    waves = [128 + 100 * np.sin(9 * x * (band + 1) + 7 * y) + 9 * np.cos(90 * x * y) for band in range(3)]
    pixels = np.stack(waves, axis=-1).clip(0, 255).astype(np.uint8)
    for side in (32, 100, 224, 300):
        wanted = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)).astype(int)
        difference = np.abs(resize(Raster(pixels, "RGB"), side, side, "bilinear").array() - wanted)
        assert difference.max() <= 1
        assert difference.mean() < 0.5


@pytest.mark.usefixtures("exact_pixels")
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("name", INTERPOLATIONS)
def test_exact_pixels_are_those_of_pillow(name, mode):
    """With ``exact_pixels`` nothing differs."""
    pixels = drawn(2, 40, 50, mode)
    wanted = np.asarray(Image.fromarray(pixels).resize((20, 30), INTERPOLATIONS[name]))
    assert np.array_equal(resize(Raster(pixels, mode), 30, 20, name).array(), wanted)


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_is_left_to_pillow(mode):
    """Images with alpha are scaled by Pillow, which weighs colours by it."""
    pixels = drawn(2, 40, 50, mode)
    wanted = np.asarray(Image.fromarray(pixels).resize((20, 30), Image.Resampling.BILINEAR))
    assert np.array_equal(resize(Raster(pixels, mode), 30, 20, "bilinear").array(), wanted)


def test_pixels_that_do_not_lie_side_by_side():
    """A cut or turned view of an array is scaled as its copy is."""
    pixels = drawn(2, 40, 50, "RGB")
    for view in (pixels[5:30, 7:40], pixels[:, ::-1], pixels.swapaxes(0, 1)):
        found = resize(Raster(view, "RGB"), 9, 8, "bilinear").array()
        assert np.array_equal(found, resize(Raster(view.copy(), "RGB"), 9, 8, "bilinear").array())


def test_the_same_size_is_the_same_image():
    """Nothing is done where nothing changes."""
    image = Raster(drawn(2, 4, 5, "RGB"), "RGB")
    assert resize(image, 4, 5, "bilinear") is image


def test_threads_scale_at_once():
    """Threads do not meet in the kernels."""
    pixels = drawn(2, 400, 500, "RGB")
    wanted = resize(Raster(pixels, "RGB"), 90, 80, "bilinear").array()
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.extend(resize(Raster(pixels, "RGB"), 90, 80, "bilinear").array() for _ in range(20))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert all(np.array_equal(one, wanted) for one in found)
