"""Encoding: what each format keeps, and what it refuses."""

import io
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from lightdata.errors import ArgumentError, EncodeError
from lightdata.kernels.decode import to_pixels
from lightdata.kernels.encode import CODECS, codec_of, encode_image, encode_pixels
from lightdata.kernels.header import read_header
from lightdata.types.image_spec import MODES, pixel_shape


def picture(mode, height=9, width=14):
    high = {"I;16": 65536, "I": 65536}.get(mode, 256)
    pixels = np.random.default_rng(6).integers(0, high, pixel_shape(mode, height, width))
    return Image.fromarray(pixels.astype(MODES[mode][0]))


LOSSLESS = [(name, mode) for name in ("png", "tiff", "bmp") for mode in CODECS[name].modes]


@pytest.mark.parametrize(("name", "mode"), LOSSLESS)
def test_lossless_formats_round_trip(name, mode):
    """A lossless format gives back the pixels, dtype and mode of every image it accepts."""
    image = picture(mode)
    header = read_header(encode_image(image, codec_of(name)))
    assert (header.encoding, header.mode) == (name, mode)
    assert np.array_equal(to_pixels(header), np.asarray(image))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_lossless_webp_round_trips(mode):
    """Lossless WebP gives back the pixels; grey comes back as equal channels."""
    image = picture(mode)
    data = encode_image(image, codec_of("webp"), {"lossless": True, "exact": True})
    wanted = image.convert({"L": "RGB", "LA": "RGBA"}.get(mode, mode))
    assert np.array_equal(to_pixels(read_header(data)), np.asarray(wanted))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_is_close(mode):
    """A smooth image survives JPEG nearly unchanged, and quality changes the size of the file."""
    y, x = np.mgrid[0:40, 0:60]
    pixels = np.stack([x * 4, y * 6, (x + y) * 2], axis=-1).astype(np.uint8)
    image = Image.fromarray(pixels).convert(mode)
    fine, coarse = (encode_image(image, codec_of("jpg"), {"quality": quality}) for quality in (95, 20))
    assert len(coarse) < len(fine)
    assert np.abs(to_pixels(read_header(fine)).astype(int) - np.asarray(image)).mean() < 3


REFUSED = [(name, mode) for name, codec in CODECS.items() for mode in MODES if mode not in codec.modes]


@pytest.mark.parametrize(("name", "mode"), [pair for pair in REFUSED if pair not in [("webp", "L"), ("webp", "LA")]])
def test_what_a_format_cannot_hold_is_refused(name, mode):
    """A mode that would lose channels or range is an EncodeError that says how to convert."""
    with pytest.raises(EncodeError, match=r"cannot hold .*to_mode"):
        encode_image(picture(mode), codec_of(name))


@pytest.mark.parametrize("name", ["JPEG", ".jpg", "jpg", "Tif", ".TIFF", "png", "WebP", "bmp"])
def test_format_names_and_suffixes(name):
    """Formats are found by name or suffix in any case."""
    assert codec_of(name).name in ("JPEG", "TIFF", "PNG", "WEBP", "BMP")


@pytest.mark.parametrize("name", ["gif", "eps", "", "exe", "../png"])
def test_unknown_formats_are_refused(name):
    """An unknown format is an ArgumentError that lists those there are."""
    with pytest.raises(ArgumentError, match=r"png, jpeg"):
        codec_of(name)


@pytest.mark.parametrize(
    ("name", "options"), [("png", {"quality": 3}), ("bmp", {"quality": 3}), ("jpeg", {"exif": b""}), ("tiff", {"x": 1})]
)
def test_unknown_options_are_refused(name, options):
    """An option that a format does not have is an ArgumentError naming it."""
    with pytest.raises(ArgumentError, match=f"has no option {next(iter(options))}"):
        codec_of(name, options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("png", {"compress_level": "a"}),
        ("png", {"compress_level": 99}),
        ("jpeg", {"quality": "bogus"}),
        ("jpeg", {"subsampling": "x"}),
        ("webp", {"quality": 400}),
        ("webp", {"method": 99}),
    ],
)
def test_values_the_encoder_refuses(name, options):
    """An option with a value the encoder refuses is an EncodeError that names the format."""
    with pytest.raises(EncodeError, match=codec_of(name).name):
        encode_image(picture("RGB"), codec_of(name), options)


@pytest.mark.parametrize("name", CODECS)
def test_empty_images_are_written_or_refused(name):
    """An image without pixels is never a foreign exception."""
    for size in ((0, 0), (0, 5)):
        with suppress(EncodeError):
            assert encode_image(Image.new("RGB", size), codec_of(name))


def test_images_too_large_for_a_format():
    """A side longer than the format allows is an EncodeError."""
    with pytest.raises(EncodeError, match="WEBP"):
        encode_image(Image.new("RGB", (20000, 1)), codec_of("webp"))


def test_no_metadata_is_written():
    """EXIF, comments, ICC profiles and transparency hints of the input stay out of the file."""
    image = picture("RGB")
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    image.info = {"exif": exif.tobytes(), "comment": b"secret place", "icc_profile": b"secret place", "dpi": (7, 7)}
    for name in CODECS:
        copy = image.copy()
        copy.info = dict(image.info)
        data = encode_image(copy, codec_of(name))
        assert b"secret" not in data
        assert not Image.open(io.BytesIO(data)).getexif().get(0x010E)


@pytest.mark.parametrize(("name", "mode"), [(name, mode) for name, codec in CODECS.items() for mode in codec.modes])
def test_arrays_are_encoded_like_images(name, mode):
    """Pixels in an array become the bytes that a Pillow image of them becomes."""
    image = picture(mode)
    assert encode_pixels(np.asarray(image), mode, codec_of(name)) == encode_image(image, codec_of(name))


def test_options_are_pillows():
    """An option given for PNG means what it means to Pillow, byte for byte, of images and of arrays."""
    image = picture("RGB")
    for options in ({"compress_level": 9}, {"compress_level": 0}, {"optimize": True}, {"optimize": False}):
        out = io.BytesIO()
        image.save(out, "PNG", **options)
        assert encode_image(image, codec_of("png"), options) == out.getvalue()
        assert encode_pixels(np.asarray(image), "RGB", codec_of("png"), options) == out.getvalue()


@pytest.mark.parametrize(
    ("pixels", "mode", "says"),
    [
        (np.zeros((2, 3), np.uint8), "RGB", "is no RGB image"),
        (np.zeros((2, 3, 4), np.uint8), "RGB", "is no RGB image"),
        (np.zeros((2, 3), np.int16), "I;16", "is no I;16 image"),
        (np.zeros((2, 3), ">u2"), "I;16", "is no I;16 image"),
        (np.zeros((0, 3), np.uint8), "L", "has no pixels"),
        (np.zeros((2, 3), np.float32), "F", "cannot hold F"),
    ],
)
def test_arrays_that_are_no_images_are_refused(pixels, mode, says):
    """An array of another type or shape than its mode's never becomes a broken PNG."""
    with pytest.raises(EncodeError, match=says):
        encode_pixels(pixels, mode, codec_of("png"))
