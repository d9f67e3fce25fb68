"""PNG files: what every decoder must find in them."""

import io
import shutil
import struct
import subprocess
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal import isal_zlib
from PIL import Image

from lightdata.kernels import png
from lightdata.kernels.png import DEFLATE, LAYOUTS, SIGNATURE, encode_png
from lightdata.types.image_spec import MODES, pixel_shape

COMPRESSORS = pytest.mark.parametrize("deflate", [zlib, isal_zlib], ids=["zlib", "isal"])


def noise(mode, height, width, seed=0):
    dtype = MODES[mode][0]
    draw = np.random.default_rng(seed)
    return draw.integers(0, np.iinfo(dtype).max, pixel_shape(mode, height, width), dtype, endpoint=True)


def drawing(mode, height, width):
    """Few values, in blocks."""
    blocks = noise(mode, -(-height // 8), -(-width // 8))
    return blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def seen_by_pillow(data):
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        return image


def chunks(data):
    """List type, content and checksum of the chunks."""
    at, found = len(SIGNATURE), []
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + 8 + size], *struct.unpack_from(">I", data, at + 8 + size)))
        at += 12 + size
    assert at == len(data)
    return found


@given(st.sampled_from(list(LAYOUTS)), st.integers(1, 40), st.integers(1, 40), st.integers(0, 3), st.booleans())
@settings(max_examples=150, deadline=None)
def test_pixels_come_back(mode, height, width, seed, is_drawn):
    """Pillow reads the pixels and the mode that were written, of noise and of drawings, with both compressors."""
    pixels = drawing(mode, height, width) if is_drawn else noise(mode, height, width, seed)
    for deflate in (zlib, isal_zlib):
        image = seen_by_pillow(encode_png(pixels, mode, deflate))
        assert image.mode == mode
        assert np.array_equal(np.asarray(image), pixels)


@COMPRESSORS
@pytest.mark.parametrize("mode", LAYOUTS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 500), (500, 1), (8, 8), (31, 257)])
def test_extreme_sizes_come_back(mode, height, width, deflate):
    """Images of one row, one column or one pixel are files like others."""
    for pixels in (noise(mode, height, width), drawing(mode, height, width)):
        assert np.array_equal(np.asarray(seen_by_pillow(encode_png(pixels, mode, deflate))), pixels)


@pytest.mark.parametrize("mode", LAYOUTS)
def test_views_come_back(mode):
    """Arrays that do not lie in one piece, or may not be written to, are encoded as they look."""
    pixels = noise(mode, 20, 30)[::-2, 3:25:3]
    pixels.flags.writeable = False
    assert np.array_equal(np.asarray(seen_by_pillow(encode_png(pixels, mode))), pixels)


@COMPRESSORS
@pytest.mark.parametrize("mode", LAYOUTS)
def test_structure(mode, deflate):
    """A file is the signature, IHDR, IDAT and IEND, with right checksums, and tells nothing but the pixels."""
    data = encode_png(noise(mode, 6, 11), mode, deflate)
    assert data.startswith(SIGNATURE)
    assert [kind for kind, _, _ in chunks(data)] == [b"IHDR", b"IDAT", b"IEND"]
    assert all(zlib.crc32(kind + content) == crc for kind, content, crc in chunks(data))
    assert chunks(data)[0][1] == struct.pack(">IIBBBBB", 11, 6, *LAYOUTS[mode], 0, 0, 0)
    assert seen_by_pillow(data).info == {}


@COMPRESSORS
@pytest.mark.parametrize("mode", LAYOUTS)
@pytest.mark.skipif(shutil.which("pngcheck") is None, reason="needs pngcheck")
def test_pngcheck_agrees(mode, deflate, tmp_path):
    """A checker of files finds no fault."""
    for number, pixels in enumerate((noise(mode, 40, 70), drawing(mode, 40, 70), noise(mode, 1, 1))):
        path = tmp_path / f"{number}.png"
        path.write_bytes(encode_png(pixels, mode, deflate))
        assert subprocess.run([shutil.which("pngcheck"), "-q", path]).returncode == 0


def test_long_data_is_cut(monkeypatch):
    """Data longer than a chunk may be goes into several chunks, in order."""
    monkeypatch.setattr(png, "_CHUNK_BYTES", 1000)  # in earnest it takes two gigabytes
    pixels = noise("RGB", 30, 40)
    data = encode_png(pixels, "RGB")
    kinds = [(kind, len(content)) for kind, content, _ in chunks(data)]
    assert kinds[1:-1] == [(b"IDAT", 1000)] * 3 + [(b"IDAT", kinds[-2][1])]
    assert np.array_equal(np.asarray(seen_by_pillow(data)), pixels)


@COMPRESSORS
def test_drawings_are_small(deflate):
    """A drawing takes a fraction of its pixels, and so does a slope, which repeats only in its differences."""
    y, x = np.mgrid[0:200, 0:200].astype(np.uint8)
    for pixels in (drawing("RGB", 200, 200), np.stack([x, y, x + y], axis=-1)):
        assert len(encode_png(pixels, "RGB", deflate)) < pixels.nbytes / 10


@COMPRESSORS
def test_noise_does_not_grow(deflate):
    """What cannot be compressed takes no more than one percent more than its pixels."""
    pixels = noise("RGB", 200, 200)
    assert len(encode_png(pixels, "RGB", deflate)) < pixels.nbytes * 1.01


def test_isal_is_taken_where_it_is():
    """The fast compressor is the default here, where it is installed."""
    assert DEFLATE is isal_zlib
