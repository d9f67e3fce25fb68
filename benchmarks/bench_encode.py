"""What does an image cost to encode, beside Pillow?

Each group shows the bytes of one image as ``extra_info``; `--benchmark-json` keeps them.
"""

import io
import zlib

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lightdata.kernels.encode import codec_of, encode_pixels
from lightdata.kernels.png import encode_png


def photo(photos, width, height, count):
    return [
        np.asarray(Image.open(path).convert("RGB").resize((width, height))) for path in sorted(photos.iterdir())[:count]
    ]


def drawing(width, height):
    """Shapes of one colour with outlines, and lines of text, as on a screen."""
    image, draw = Image.new("RGB", (width, height), "white"), np.random.default_rng(0)
    pen = ImageDraw.Draw(image)
    for number in range(12):
        x, y, size = (int(draw.integers(0, most)) for most in (width, height, width // 4))
        colour = tuple(int(value) for value in draw.integers(0, 256, 3))
        (pen.rectangle if number % 2 else pen.ellipse)((x, y, x + size, y + size), fill=colour, outline="black")
    for row in range(0, height, 14):
        pen.text((4, row), f"The quick brown fox jumps {row} over the dog", fill="black")
    return np.asarray(image)


@pytest.fixture(scope="module")
def pictures(photos):
    y, x = np.mgrid[0:224, 0:224].astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3), np.uint8)
    return {
        "photos of 224x224": photo(photos, 224, 224, 20),
        "a photo of 3000x2000": photo(photos, 3000, 2000, 1),
        "a drawing of 224x224": [drawing(224, 224)],
        "a screen of 1280x800": [drawing(1280, 800)],
        "a slope of 224x224": [np.stack([x, y, x // 2 + y // 2], axis=-1)],
        "noise of 224x224": list(noise),
        "20 images of 8x8": list(noise[:1, :160, :8].reshape(20, 8, 8, 3)),
        "20 images of 1x1": list(noise[:1, :20, :1].reshape(20, 1, 1, 3)),
    }


def pillow(pixels, **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", **options)
    return out.getvalue()


WAYS = {
    "pillow": pillow,
    "pillow, level 1": lambda pixels: pillow(pixels, compress_level=1),
    "lightdata": lambda pixels: encode_pixels(pixels, "RGB", codec_of("png")),
    "lightdata, zlib": lambda pixels: encode_png(pixels, "RGB", zlib),
}

KINDS = (
    "photos of 224x224",
    "a photo of 3000x2000",
    "a drawing of 224x224",
    "a screen of 1280x800",
    "a slope of 224x224",
    "noise of 224x224",
    "20 images of 8x8",
    "20 images of 1x1",
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_png(benchmark, pictures, kind, way):
    """Pixels to the bytes of a file."""
    images = pictures[kind]
    benchmark.group = f"encode {kind} as PNG"
    benchmark.extra_info["bytes"] = sum(len(WAYS[way](pixels)) for pixels in images) / len(images)
    benchmark.extra_info["images"] = len(images)
    benchmark.pedantic(lambda: [WAYS[way](pixels) for pixels in images], rounds=15, warmup_rounds=1)
