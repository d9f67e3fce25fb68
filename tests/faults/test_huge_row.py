"""One image of half a gigabyte among a thousand small ones harms none of them."""

import struct

import numpy as np
import pytest
from PIL import Image

import lightdata as ld
from lightdata.config import config_from

HEIGHT, WIDTH = 12_800, 13_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold 1,000 small images and, as the 501st, a BMP of 499 MB, most of it a hole in the file."""
    folder = tmp_path_factory.mktemp("images")
    for number in range(1000):
        Image.new("RGB", (8, 6), (number % 256, 0, 0)).save(folder / f"{number:04d}.png")
    size = 54 + HEIGHT * WIDTH * 3
    header = struct.pack("<2sIHHI IiiHHIIiiII", b"BM", size, 0, 0, 54, 40, WIDTH, HEIGHT, 1, 24, 0, 0, 0, 0, 0, 0)
    with open(folder / "0500_huge.bmp", "wb") as file:
        file.write(header)
        file.truncate(size)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("limits", [{}, {"max_image_pixels": 10**8}, {"max_file_bytes": "100MB"}], ids=str)
def test_a_huge_image_is_done_or_an_error(folder, workers, limits):
    """It comes out whole where it may, else it is one error that names the setting; all others are right."""
    before = ld.config()
    ld.config(workers=workers, memory_limit="500MB", progress=False, **limits)
    try:
        data = ld.read_images(folder, on_error="null", include_paths=True)
        rows = [(row["path"], None if row["image"] is None else row["image"].shape) for row in data.iter_rows()]
    finally:
        config_from(before)
    huge = [shape for path, shape in rows if "huge" in path]
    assert [shape for path, shape in rows if "huge" not in path] == [(6, 8, 3)] * 1000
    assert huge == [None if limits else (HEIGHT, WIDTH, 3)]
    assert data.errors()["code"].to_list() == (["over_limit"] if limits else [])
    assert all(name in message for name in limits for message in data.errors()["message"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_huge_image_is_resized_among_others(folder):
    """Where only a small image is wanted of it, its pixels never leave the worker."""
    before = ld.config()
    ld.config(workers=2, memory_limit="500MB", progress=False)
    try:
        data = ld.read_images(folder, on_error="null").select(ld.col("image").image.resize(3, 4))
        pixels = np.stack([row["image"] for row in data.iter_rows()])
    finally:
        config_from(before)
    assert pixels.shape == (1001, 3, 4, 3)
    assert data.errors().height == 0
    assert (pixels[500, :, :, 0] == 500 % 256).all()
    assert not pixels[501].any()
