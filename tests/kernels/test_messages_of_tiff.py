"""What is wrong with a TIFF is told by an error, and nowhere else."""

import io
import logging

import numpy as np
import pytest
from PIL import Image

from lightdata.errors import DecodeError
from lightdata.kernels.decode import decode_file
from lightdata.kernels.header import read_header

SAMPLES_PER_PIXEL = 277


def broken(**options):
    """Give a TIFF whose pixels were overwritten."""
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    Image.fromarray(noise).save(stream, "TIFF", **options)
    content = bytearray(stream.getvalue())
    content[300:340] = b"\xff" * 40
    return bytes(content)


def of_many_samples():
    """Give a TIFF that says that a pixel has many samples."""
    content = bytearray(broken())
    entry = content.index(SAMPLES_PER_PIXEL.to_bytes(2, "little") + b"\3\0\1\0\0\0")
    content[entry + 8 : entry + 10] = b"\xff\0"
    return bytes(content)


def test_libtiff_prints_nothing_while_lightdata_decodes(capfd):
    """Plain Pillow has libtiff print what is wrong, before and after; a file that is decoded here is silent."""
    data = broken(compression="tiff_adobe_deflate")

    def printed_by(decode, error):
        with pytest.raises(error):
            decode()
        return capfd.readouterr().err

    assert "ZIPDecode" in printed_by(Image.open(io.BytesIO(data)).load, OSError)
    assert printed_by(lambda: decode_file(data), DecodeError) == ""
    assert "ZIPDecode" in printed_by(Image.open(io.BytesIO(data)).load, OSError)


def test_pillow_logs_nothing_while_lightdata_decodes(caplog):
    """What Pillow logs before it raises is in the error here, and still in the log of others."""
    with pytest.raises(DecodeError, match="More samples per pixel than can be decoded: 255"):
        read_header(of_many_samples())
    assert caplog.records == []
    with pytest.raises(OSError, match="identify"), caplog.at_level(logging.ERROR):
        Image.open(io.BytesIO(of_many_samples()))
    assert "More samples per pixel" in caplog.text
