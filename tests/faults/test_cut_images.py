"""An image file that was cut short is an error, never half a picture."""

import io

import numpy as np
import pytest
from faults.as_pillow import by_pillow
from faults.samples import IMAGES, picture, samples
from PIL import Image

import lightdata as ld
from lightdata.errors import DecodeError
from lightdata.kernels.decode import to_pixels, to_smaller_raster
from lightdata.kernels.header import read_header

MISSED = {
    "png": 21,  # IEND, and the checksums of the packed rows and of their chunk
    "gif": 2,  # the end of the last block, and of the file
    "bmp": 2,  # what fills up the last row
    "tiff": 4,  # the offset of the next directory, where that is the last thing in a file
}
"""Bytes at the end of a file of one frame without which Pillow, and we, have all pixels."""


def cuts(size):
    """Say where to cut a file: after each byte of small ones, at 256 places of others."""
    return range(size) if size < 2048 else np.linspace(0, size - 1, 256).astype(int).tolist()


def pixels_of(content):
    try:
        return to_pixels(read_header(content))
    except DecodeError:
        return None


def has_frames(content):
    with Image.open(io.BytesIO(content)) as image:
        return getattr(image, "n_frames", 1) > 1


@pytest.mark.parametrize(
    ("name", "content"),
    [pytest.param(name, one, id=f"{name} {number}") for name in IMAGES for number, one in enumerate(samples(name))],
)
def test_every_cut_is_an_error_or_loses_no_pixel(name, content):
    """Of each prefix of a file comes nothing, or exactly the pixels of the whole, and that only where Pillow agrees."""
    whole, sound = pixels_of(content), []
    for end in cuts(len(content)):
        found = pixels_of(content[:end])
        if found is not None:
            assert np.array_equal(found, whole), end
            assert not isinstance(by_pillow(content[:end], upright=True), Exception), end
            sound.append(end)
    if not has_frames(content):  # else the first one is there before the others
        assert min(sound, default=len(content)) >= len(content) - MISSED.get(name, 0)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 2}])
def test_every_cut_of_a_jpeg_that_is_decoded_smaller_is_an_error(tmp_path, options):
    """Files that are decoded at a part of their size, for a resize, are no less looked at than others."""
    stream = io.BytesIO()
    picture(height=160, width=240).save(stream, "JPEG", **options)
    content = stream.getvalue()
    for end in cuts(len(content)):
        (tmp_path / f"{end:06d}.jpg").write_bytes(content[:end])
    (tmp_path / "whole.jpg").write_bytes(content)
    assert to_smaller_raster(read_header(content), 20, 30) is not None
    query = ld.read_images(tmp_path, size=(20, 30), on_error="null", include_paths=True)
    assert [row["path"].rpartition("/")[2] for row in query.iter_rows() if row["image"] is not None] == ["whole.jpg"]
