"""JPEG files by simplejpeg are what Pillow makes of them, or are left to it."""

import io
import struct

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

import lightdata as ld
from lightdata.config import config
from lightdata.kernels.decode import decode_file, to_smaller_raster
from lightdata.kernels.geometry import apply
from lightdata.kernels.header import read_header
from lightdata.kernels.jpeg import decode_jpeg, decode_scaled, jpeg_orientation, read_jpeg_header, turn
from lightdata.kernels.raster import Raster
from lightdata.kernels.resize import resize
from lightdata.kernels.tally import Tally, tallied
from lightdata.types.operation import Letterbox

pytest.importorskip("simplejpeg")


def photo(height, width, seed=0):
    """Draw something like a photo: large shapes, and some texture."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(2 * np.pi * (x * (k + 1 + seed) + y * (3 - k))) for k in range(3)]
    grain = np.random.default_rng(seed).normal(0, 4, (height, width, 3))
    return (127 + 100 * np.stack(waves, axis=-1) + grain).clip(0, 255).astype(np.uint8)


def jpeg(pixels, **options):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", **{"quality": 90, **options})
    return out.getvalue()


def segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def with_segments(data, *segments):
    return data[:2] + b"".join(segments) + data[2:]


def exif(orientation, order="<", kind=3, count=1):
    """Write EXIF with a maker's name before the orientation."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}HHII", 0x010F, 2, 4, 0) + struct.pack(f"{order}HHI", ORIENTATION, kind, count)
    value = struct.pack(f"{order}HH", orientation, 0)
    return b"Exif\0\0" + mark + struct.pack(f"{order}IH", 8, 2) + entries + value + bytes(4)


ORIENTATION = 0x0112
PLAIN = jpeg(photo(20, 30))
GREY = jpeg(photo(20, 30)[..., 0])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(10))
def test_exif_is_read_in_both_byte_orders(orientation, order):
    """The orientation that EXIF tells is Pillow's reading of it; what makes no sense is none."""
    data = with_segments(PLAIN, segment(0xE1, exif(orientation, order)))
    with Image.open(io.BytesIO(data)) as image:
        told = image.getexif().get(ORIENTATION)
        upright = np.asarray(ImageOps.exif_transpose(image))
    assert told == orientation
    assert jpeg_orientation(data) == (orientation if orientation in range(1, 9) else 1)
    if orientation in range(1, 9):
        assert np.array_equal(decode_jpeg(data, "RGB"), upright)


@pytest.mark.parametrize(
    "data",
    [
        with_segments(PLAIN, segment(0xE1, exif(6)), segment(0xE1, exif(3))),
        with_segments(PLAIN, segment(0xE1, exif(6)[:-9])),
        with_segments(PLAIN, segment(0xE1, exif(6, kind=4))),
        with_segments(PLAIN, segment(0xE1, b"Exif\0\0nonsense")),
        with_segments(PLAIN, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<d tiff:Orientation='6'/>")),
        with_segments(PLAIN, segment(0xE2, b"MPF\0" + bytes(40))),
        with_segments(PLAIN, b"\xff\xff", segment(0xE1, exif(6))[1:]),
        with_segments(PLAIN, b"junk", segment(0xE1, exif(6))),
    ],
    ids=["twice", "cut", "another type", "no TIFF", "XMP", "several pictures", "fill bytes", "junk"],
)
def test_what_is_not_plain_is_left_to_pillow(data):
    """Where it takes more than one short in one EXIF block to tell the orientation, Pillow looks."""
    assert jpeg_orientation(data) is None
    assert read_jpeg_header(data) is None


def test_a_scan_inside_another_segment_hides_nothing():
    """An orientation is found behind a segment whose content looks like the beginning of the pixels."""
    profile = segment(0xE2, b"ICC_PROFILE\0" + bytes.fromhex("ffda000c03010002000300003f00"))
    data = with_segments(PLAIN, profile, segment(0xE1, exif(8)))
    assert jpeg_orientation(data) == 8
    assert jpeg_orientation(with_segments(PLAIN, segment(0xFE, bytes(6000)), segment(0xE1, exif(8)))) == 8


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"subsampling": 1}], ids=str)
@pytest.mark.parametrize("size", [(1, 1), (7, 13), (16, 16), (33, 65)])
def test_pixels_are_those_of_pillow(size, options):
    """Whatever simplejpeg decodes, grey or in colour, Pillow decodes to the same pixels."""
    for pixels, mode in ((photo(*size), "RGB"), (photo(*size)[..., 0], "L")):
        data = jpeg(pixels, **options)
        assert read_jpeg_header(data).mode == mode
        assert np.array_equal(decode_jpeg(data, mode), np.asarray(decode_file(data)))
    assert np.array_equal(decode_jpeg(GREY, "RGB"), np.asarray(decode_file(GREY, "RGB")))


def test_other_modes_and_files_are_left_to_pillow():
    """CMYK files, colour as grey, other formats, cut and empty files are none of simplejpeg's business here."""
    out = io.BytesIO()
    Image.new("CMYK", (9, 9)).save(out, "JPEG")
    assert read_jpeg_header(out.getvalue()) is None
    assert decode_jpeg(PLAIN, "L") is None
    assert read_jpeg_header(b"") is None
    assert read_jpeg_header(b"\xff\xd8") is None
    assert decode_jpeg(PLAIN[: len(PLAIN) // 2], "RGB") is None


def test_images_above_the_limit_are_left_to_pillow():
    """A size above ``max_image_pixels`` is refused where it always was."""
    before = config().max_image_pixels
    config(max_image_pixels=599)
    try:
        assert read_jpeg_header(PLAIN) is None
    finally:
        config(max_image_pixels=before)
    assert read_jpeg_header(PLAIN).size == (20, 30)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 40), st.integers(1, 40), st.integers(1, 8))
def test_a_scaled_decode_keeps_twice_what_is_wanted(height, width, to_height, to_width, orientation):
    """It comes out at 1/8, 1/4 or 1/2 of its size, upright, with twice the wanted pixels each way, or not at all."""
    data = with_segments(jpeg(np.zeros((height, width, 3), np.uint8)), segment(0xE1, exif(orientation)))
    found = decode_scaled(data, "RGB", to_height, to_width)
    upright = (width, height) if orientation >= 5 else (height, width)
    sizes = [tuple(-(-side // scale) for side in upright) for scale in (8, 4, 2)]
    allowed = [size for size in sizes if size[0] >= 2 * to_height and size[1] >= 2 * to_width]
    assert (None if found is None else found[0].shape[:2]) == (allowed[0] if allowed else None)
    if found is not None:
        box, scale = (
            found[1],
            next(one for one in (8, 4, 2) if allowed[0] == tuple(-(-side // one) for side in upright)),
        )
        assert (box.bottom - box.top, box.right - box.left) == pytest.approx([side / scale for side in upright])
        assert min(box) >= 0
        assert box.bottom <= allowed[0][0] + 1e-9
        assert box.right <= allowed[0][1] + 1e-9


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_scaled_decode_changes_little(scale, orientation):
    """Resized, a photo of odd size differs by less than a grey level in the mean, and nowhere is it shifted."""
    plain = jpeg(photo(2 * 60 * scale + 3, 2 * 70 * scale + 5, seed=1), quality=98)
    data = with_segments(plain, segment(0xE1, exif(orientation)))
    height, width = (70, 60) if orientation >= 5 else (60, 70)
    smaller = to_smaller_raster(read_header(data), height, width)
    assert min(smaller.height, smaller.width) in (120, 121, 122)
    whole = np.asarray(decode_file(data).resize((width, height), Image.Resampling.BILINEAR)).astype(int)
    difference = np.abs(resize(smaller, height, width, "bilinear").array() - whole)
    assert 0 < difference.mean() < 1
    assert difference.max() < 12
    with_pillow = np.abs(resize(smaller, height, width, "hamming").array().astype(int) - whole)
    assert with_pillow.mean() < 4  # another filter, but no shift either


@pytest.mark.usefixtures("exact_pixels")
def test_exact_pixels_are_decoded_whole():
    """With ``exact_pixels`` no file is decoded at a part of its size."""
    assert to_smaller_raster(read_header(jpeg(photo(800, 800))), 20, 20) is None


def test_what_a_chain_gives_does_not_depend_on_its_neighbours():
    """A resize of a large photo gives the same pixels alone and beside chains that look at the whole image."""
    data = jpeg(photo(300, 400))
    image = pl.col("image").image
    ds = ld.from_items([{"image": data}]).with_columns(image.decode())
    alone = ds.select(image.resize(20, 30)).take_all()[0]["image"]
    beside = ds.select(image.resize(20, 30), image.resize(200, 300).alias("b"), image.to_tensor().alias("c")).take_all()
    assert np.array_equal(alone, beside[0]["image"])


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_letterbox_is_decoded_at_a_part_of_its_size_too(orientation):
    """A large photo comes to lie where the whole one would, with nearly its pixels, and no border is touched."""
    data = with_segments(jpeg(photo(300, 410)), segment(0xE1, exif(orientation)))
    chain = pl.col("image").image.letterbox(64, 80, fill=9)
    smaller = ld.from_items([{"image": data}]).select(chain).take_all()[0]["image"]
    whole = apply(Letterbox(height=64, width=80, fill=9), Raster(decode_file(data))).array()
    border = (whole == 9).all(axis=2)
    difference = np.abs(smaller.astype(int) - whole)
    assert border.any()
    assert not difference[border].any()
    assert 0 < difference.mean() < 1
    assert difference.max() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_arrays_is_turning_pillow_images(orientation):
    """Each of the eight orientations does to an array what ``exif_transpose`` does to an image."""
    pixels = photo(3, 5)
    data = Image.fromarray(pixels)
    data.getexif()[ORIENTATION] = orientation
    assert np.array_equal(turn(pixels, orientation), np.asarray(ImageOps.exif_transpose(data)))


def test_decodes_are_counted():
    """Each decode is counted once, and a header that was read only to decode is not."""
    counts = Tally()
    list(tallied((decode_jpeg(PLAIN, "RGB") for _ in range(3)), counts))
    assert (counts.images_decoded, counts.headers_read) == (3, 0)
