"""How long does one photo take to decode, beside Pillow alone?"""

import numpy as np
import pytest
from PIL import Image

from lightdata.kernels.decode import to_pixels
from lightdata.kernels.header import read_header


def pillow(data):
    import io

    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("decoder", [pillow, lambda data: to_pixels(read_header(data))], ids=["pillow", "lightdata"])
def test_decode_a_photo(benchmark, photos, decoder):
    """File bytes to pixels, one core."""
    files = [path.read_bytes() for path in sorted(photos.iterdir())[:50]]
    benchmark.group = "decode 50 photos"
    benchmark(lambda: [decoder(data) for data in files])


def test_read_the_headers(benchmark, photos):
    """File bytes to mode and size, one core."""
    files = [path.read_bytes() for path in sorted(photos.iterdir())[:50]]
    benchmark.group = "decode 50 photos"
    benchmark(lambda: [read_header(data) for data in files])
