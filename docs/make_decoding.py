"""Write docs/decoding.md: what each kind of image file becomes, found by reading one of each.

Run ``python docs/make_decoding.py`` after a change to decoding; a test holds the page to what this would write.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

import lightdata as ld
from lightdata.config import Config
from lightdata.kernels import jpeg, resize

PAGE = Path(__file__).parent / "decoding.md"

HEAD = """# What image files become

Made by `python docs/make_decoding.py`, which reads one file of each kind; a test holds this page to it. "As read"
is what `read_images` gives, "RGB" what `read_images(mode="RGB")` or `.image.to_mode("RGB")` makes of it. Where two
sizes are given, the file's is before the arrow.

| file | as read | size, H x W | values | as RGB |
|---|---|---|---|---|
"""

TAIL = """
## Rules

- **Palette** images become the colours they stand for: RGB, or RGBA where the file has transparency.
- **Alpha** stays as a channel; asked for RGB, it is dropped, not blended with any background.
- **1-bit** images become L, 0 and 255.
- **16-bit grey** stays 16-bit (`I;16`); asked for 8-bit modes it is scaled by 1/256, never clipped; so is 32-bit
  grey (`I`). 16-bit colour is made 8-bit by Pillow as it decodes.
- **Floating point** images (`F`) keep their values; asked for 8-bit modes they are clipped to 0..255, as by Pillow:
  scale them first.
- **CMYK** is converted as Pillow does it, without the ICC profile.
- **EXIF orientation** is applied, and images come upright; `exif_transpose=False` leaves them as the camera was
  held. EXIF that cannot be read says nothing of it, and loses no image.
- **ICC profiles, gamma and other metadata** do not change pixels, and do not survive an operation on them.
- **Truncated** files are errors, never grey bars; `ImageFile.LOAD_TRUNCATED_IMAGES` is not touched.

## Scaled decoding, and resizing

`kernels/jpeg.py`: a JPEG of 8 bits whose next step is a resize is decoded at 1/2, 1/4 or 1/8 of its size, the
smallest that leaves at least {enough} times the height and width that are wanted. After the antialiased resize,
pixels differ from those of the whole image by at most 1.5 grey levels in the mean of a photo
(tests/kernels/test_jpeg.py). Nearest-neighbour resizing, and images that are first cropped, turned or otherwise
changed, are decoded whole.

`kernels/resize.py`: images of mode {modes} that a {filters} filter makes smaller are scaled by SIMD kernels, within
one grey level of Pillow's result, antialiased as Pillow's; all others are Pillow's own.

`ld.config(exact_pixels=True)` turns both off: every pixel is then what Pillow makes of the whole file.

## Limits

Images of more than `config().max_image_pixels` pixels ({pixels:,} by default, Pillow's own bound) are refused as
bombs, before any is decoded. A file gives at most 10,000 frames.
"""


class Sample(NamedTuple):
    """One kind of file."""

    words: str
    image: Image.Image
    form: str
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed


def _drawn(mode: str) -> Image.Image:
    ramp = np.linspace(0, 255, 24 * 16).astype(np.uint8).reshape(16, 24)
    image = Image.merge("RGB", [Image.fromarray(one) for one in (ramp, ramp.T.reshape(16, 24), 255 - ramp)])
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(np.where(ramp < 100, 0, 255).astype(np.uint8)))  # noqa: PLR2004 - some are clear
    return image.convert(mode)


def _turned(orientation: int) -> dict[str, Any]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


def samples() -> Iterator[Sample]:
    """List one file of each kind."""
    deep = Image.fromarray(np.linspace(0, 65535, 16 * 24).astype(np.uint16).reshape(16, 24))
    yield Sample("JPEG, colour", _drawn("RGB"), "jpeg")
    yield Sample("JPEG, grey", _drawn("L"), "jpeg")
    yield Sample("JPEG, CMYK", _drawn("CMYK"), "jpeg")
    yield Sample("JPEG, EXIF orientation 6", _drawn("RGB"), "jpeg", _turned(6))
    yield Sample("PNG, RGB", _drawn("RGB"), "png")
    yield Sample("PNG, RGBA", _drawn("RGBA"), "png")
    yield Sample("PNG, grey", _drawn("L"), "png")
    yield Sample("PNG, grey with alpha", _drawn("LA"), "png")
    yield Sample("PNG, 1-bit", _drawn("1"), "png")
    yield Sample("PNG, 16-bit grey", deep, "png")
    yield Sample("PNG, palette", _drawn("P"), "png")
    yield Sample("PNG, palette with transparency", _drawn("P"), "png", {"transparency": 0})
    yield Sample("GIF", _drawn("P"), "gif")
    yield Sample("GIF with transparency", _drawn("RGBA"), "gif")
    yield Sample("BMP, colour", _drawn("RGB"), "bmp")
    yield Sample("BMP, 1-bit", _drawn("1"), "bmp")
    yield Sample("TIFF, 16-bit grey", deep, "tiff")
    yield Sample("TIFF, float", deep.convert("F"), "tiff")
    yield Sample("TIFF, CMYK", _drawn("CMYK"), "tiff")
    yield Sample("TIFF, LAB", _drawn("RGB").convert("LAB"), "tiff")
    yield Sample("WebP, lossless", _drawn("RGB"), "webp", {"lossless": True})
    yield Sample("WebP, lossless, alpha", _drawn("RGBA"), "webp", {"lossless": True})


def _row(sample: Sample) -> str:
    out = io.BytesIO()
    sample.image.save(out, sample.form, **sample.options)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, f"a.{sample.form}").write_bytes(out.getvalue())
        stored = sample.image.size[::-1]
        read = _tried(lambda: _read(folder))
        converted = _tried(lambda: _read(folder, mode="RGB"))
    if isinstance(read, str):
        return f"| {sample.words} | {read} | | | {converted if isinstance(converted, str) else converted[0]} |"
    mode, pixels = read
    shape = pixels.shape[:2]
    size = f"{shape[0]} x {shape[1]}" if shape == stored else f"{stored[0]} x {stored[1]} -> {shape[0]} x {shape[1]}"
    is_exact = sample.form != "jpeg"  # what a lossy decoder makes of a file differs from one to the next by a level
    values = f"{pixels.dtype}, {pixels.min():g} to {pixels.max():g}" if is_exact else str(pixels.dtype)
    kinds = converted if isinstance(converted, str) else f"{converted[1].dtype}, {len(np.unique(converted[1]))} values"
    rgb = kinds if is_exact or isinstance(converted, str) else str(converted[1].dtype)
    return f"| {sample.words} | {mode} | {size} | {values} | {rgb} |"


def _read(folder: str, **options: Any) -> tuple[str, Any]:
    data = ld.read_images(folder, file_extensions=None, **options)
    (mode,) = data.select(ld.col("image").image.mode()).collect()["image"]
    return mode, data.take_all()[0]["image"]


def _tried(read: Callable[[], tuple[str, Any]]) -> tuple[str, Any] | str:
    try:
        return read()
    except ld.LightdataError as error:
        return f"{type(error).__name__}: {str(error).rpartition(': ')[2]}"


def page() -> str:
    """Give the whole page."""
    tail = TAIL.format(
        enough=jpeg._ENOUGH,  # noqa: SLF001 - the page says what the code says
        modes=" and ".join(resize._PIXEL_TYPES),  # noqa: SLF001 - as above
        filters=" or ".join(resize._FILTERS),  # noqa: SLF001 - as above
        pixels=Config().max_image_pixels,
    )
    return HEAD + "\n".join(map(_row, samples())) + "\n" + tail


if __name__ == "__main__":
    PAGE.write_text(page())
