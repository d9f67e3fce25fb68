"""Many images to one column: the pixels of each, and whatever cannot be decoded is null."""

import io

import numpy as np
import pytest
from PIL import Image

from lightdata.config import config
from lightdata.errors import DecodeError
from lightdata.kernels.decode import to_pixels
from lightdata.kernels.decode_column import Opened, cut_by_bytes, decoded_column, opened
from lightdata.types.image import EncodedImage, iter_images, raw_image


def file(mode, height, width, file_format, seed=0, **options):
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, *channels)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, file_format, **options)
    return out.getvalue()


FILES = [
    file("RGB", 9, 14, "JPEG"),
    file("L", 3, 2, "JPEG"),
    file("RGBA", 5, 5, "PNG"),
    file("RGB", 14, 9, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"),
]
BROKEN = file("RGB", 40, 40, "JPEG")[:-400]


def refuse(number, error):
    raise AssertionError(f"row {number}: {error}")


def test_each_row_is_what_it_is_alone():
    """Files of several formats, modes and sizes, turned ones and null among them, are decoded as one by one."""
    images = [None, *(opened(data) for data in FILES), Opened.of(raw_image(np.ones((2, 2), np.uint8))), None]
    rows = iter_images(decoded_column(images, refuse))
    assert [row is None for row in rows] == [one is None for one in images]
    for row, one in zip(rows, images, strict=True):
        if one is not None:
            assert (row.encoding, row.mode) == ("raw", one.image.mode)
            assert np.array_equal(to_pixels(row), to_pixels(one.image))
    assert [(row.height, row.width) for row in rows[1:5]] == [(9, 14), (3, 2), (5, 5), (9, 14)]


def test_a_mode_that_is_asked_for():
    """Files come out in the mode that was asked for, also through the image column they were in."""
    for data in FILES:
        header = opened(data, "L")
        assert header.image.mode == "L"
        (row,) = iter_images(decoded_column([Opened.of(header.image)], refuse))
        assert np.array_equal(to_pixels(row), to_pixels(header.image))


def test_what_fails_is_null_and_told():
    """A file that is cut, and one whose header lies about its size, are null; the rows around them are whole."""
    lying = EncodedImage(file("RGB", 8, 8, "PNG"), "png", "RGB", 8, 9)
    failed = []
    images = [opened(FILES[0]), opened(BROKEN), Opened.of(lying), opened(FILES[1])]
    rows = iter_images(decoded_column(images, lambda *failure: failed.append(failure)))
    assert [number for number, _ in failed] == [1, 2]
    assert all(isinstance(error, DecodeError) for _, error in failed)
    assert [row is None for row in rows] == [False, True, True, False]
    assert np.array_equal(to_pixels(rows[3]), to_pixels(images[3].image))


def test_a_failure_may_end_it():
    """What the failure raises comes out."""
    with pytest.raises(AssertionError, match="row 1"):
        decoded_column([opened(FILES[0]), opened(BROKEN)], refuse)


def test_no_rows():
    """A column of nothing has the type of all others."""
    assert decoded_column([], refuse).type == decoded_column([opened(FILES[0])], refuse).type


@pytest.mark.parametrize(("limit", "cuts"), [(1, [1, 1, 1, 1]), (9 * 14 * 3 + 6, [2, 1, 1]), (1 << 20, [4])])
def test_parts_hold_so_many_bytes(limit, cuts):
    """A part has as many rows as ``batch_bytes`` allows, and one at least."""
    before = config().batch_bytes
    config(batch_bytes=limit)
    try:
        parts = list(cut_by_bytes([opened(data).nbytes for data in FILES]))
    finally:
        config(batch_bytes=before)
    assert [part.stop - part.start for part in parts] == cuts
    assert list(cut_by_bytes([])) == [slice(0, 0)]
