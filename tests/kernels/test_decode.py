"""Decoding gives the pixels Pillow gives, upright and unclipped, or one error."""

import io
import struct
import time
import zlib

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from lightdata.config import config
from lightdata.errors import DecodeError
from lightdata.kernels.decode import convert, decode_file, from_pillow, to_pillow, to_pixels
from lightdata.kernels.frames import count_frames
from lightdata.kernels.header import exif_tag, read_header
from lightdata.kernels.jpeg import decode_jpeg, jpeg_orientation, read_jpeg_header
from lightdata.types.image import binary_values

RNG = np.random.default_rng(7)
XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="6"/></x:xmpmeta>'


def smooth(height, width, channels=3):
    """Pixels that JPEG keeps roughly and that have no symmetry."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * 11 + y * 5 * (band + 1) + band * 60) % 256 for band in range(channels)]
    return np.stack(planes, axis=-1).astype(np.uint8) if channels > 1 else planes[0].astype(np.uint8)


def saved(image, file_format, **options):
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def noise(mode, height=11, width=14):
    shapes = {"1": (), "L": (), "LA": (2,), "RGB": (3,), "RGBA": (4,), "CMYK": (4,), "I;16": (), "I": (), "F": ()}
    dtypes = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
    high = {"I;16": 65536, "I": 65536, "1": 2}.get(mode, 256)
    pixels = RNG.integers(0, high, (height, width, *shapes[mode])).astype(dtypes.get(mode, np.uint8))
    if mode == "1":
        return Image.fromarray(pixels * 255).convert("1")
    return Image.fromarray(pixels) if mode != "CMYK" else Image.frombytes("CMYK", (width, height), pixels.tobytes())


def palette(transparency):
    image = noise("RGB").quantize(16)
    return saved(image, "PNG", **({"transparency": 3} if transparency else {}))


def png(depth, colour, samples, width, height, extra=b""):
    """Write a PNG by hand, without Pillow: rows of packed samples."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = []
    for row in samples:
        if depth == 16:
            packed = row.astype(">u2").tobytes()
        elif depth == 8:
            packed = row.astype(np.uint8).tobytes()
        else:
            bits = "".join(f"{value:0{depth}b}" for value in row.ravel())
            bits += "0" * (-len(bits) % 8)
            packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
        rows.append(b"\0" + packed)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


FILES = {
    **{
        f"jpeg {name}": saved(Image.fromarray(smooth(*size)), "JPEG", **options)
        for name, size, options in [
            ("4:2:0", (16, 24), {"subsampling": 2}),
            ("4:2:2", (17, 23), {"subsampling": 1}),
            ("4:4:4", (17, 23), {"subsampling": 0}),
            ("odd 4:2:0", (13, 7), {"subsampling": 2}),
            ("1x1", (1, 1, 1), {}),
            ("tiny", (9, 2), {}),
            ("progressive", (33, 31), {"progressive": True}),
            ("grey", (15, 9, 1), {}),
            ("grey progressive", (15, 9, 1), {"progressive": True}),
            ("quality 100", (12, 10), {"quality": 100}),
            ("quality 5", (40, 50), {"quality": 5}),
            ("stored as RGB", (12, 10), {"keep_rgb": True}),
            ("restart markers", (40, 40), {"restart_marker_rows": 1}),
            ("icc", (9, 9), {"icc_profile": b"x" * 200}),
            ("comment", (9, 9), {"comment": b"hello"}),
        ]
    },
    **{f"png {mode}": saved(noise(mode), "PNG") for mode in ("L", "LA", "RGB", "RGBA", "I;16")},
    "png interlaced": saved(noise("RGB"), "PNG", optimize=True),
    "png grey with transparency": saved(noise("L"), "PNG", transparency=3),
    "png rgb with transparency": saved(noise("RGB"), "PNG", transparency=(1, 2, 3)),
    "png 16-bit rgb": png(16, 2, RNG.integers(0, 65536, (5, 4, 3)), 4, 5),
    "png 16-bit grey": png(16, 0, RNG.integers(0, 65536, (5, 4)), 4, 5),
    "png 2-bit grey": png(2, 0, RNG.integers(0, 4, (5, 7)), 7, 5),
    "png 4-bit grey": png(4, 0, RNG.integers(0, 16, (5, 7)), 7, 5),
    **{f"bmp {mode}": saved(noise(mode), "BMP") for mode in ("L", "RGB")},
    "webp": saved(noise("RGB"), "WEBP"),
    "webp lossless": saved(noise("RGBA"), "WEBP", lossless=True),
    **{f"tiff {mode}": saved(noise(mode), "TIFF") for mode in ("L", "LA", "RGB", "RGBA", "I;16", "I", "F")},
    **{f"tiff {how}": saved(noise("RGB"), "TIFF", compression=how) for how in ("tiff_lzw", "tiff_deflate", "packbits")},
}


@pytest.mark.parametrize("data", FILES.values(), ids=FILES.keys())
def test_pixels_are_those_of_pillow(data):
    """Files whose mode is stored as it is decode to Pillow's own pixels, and their header tells shape and mode."""
    opened = Image.open(io.BytesIO(data))
    header = read_header(data)
    pixels = to_pixels(header)
    assert np.array_equal(pixels, np.asarray(opened))
    assert pixels.dtype == np.asarray(opened).dtype
    assert header.mode == opened.mode
    assert (header.height, header.width) == pixels.shape[:2]
    assert header.encoding == opened.format.lower()
    assert header.decoded_bytes == pixels.nbytes


CONVERTED = {
    "png 1-bit": (saved(noise("1"), "PNG"), "1", "L"),
    "tiff 1-bit": (saved(noise("1"), "TIFF"), "1", "L"),
    "bmp 1-bit": (saved(noise("1"), "BMP"), "1", "L"),
    "png palette": (palette(transparency=False), "P", "RGB"),
    "png palette with transparency": (palette(transparency=True), "P", "RGBA"),
    "gif": (saved(noise("RGB").quantize(16), "GIF"), "P", "RGB"),
    "gif with transparency": (saved(noise("RGB").quantize(16), "GIF", transparency=2), "P", "RGBA"),
    "bmp palette": (saved(noise("RGB").quantize(16), "BMP"), "P", "RGB"),
    "jpeg cmyk": (saved(noise("CMYK"), "JPEG"), "CMYK", "RGB"),
    "tiff cmyk": (saved(noise("CMYK"), "TIFF"), "CMYK", "RGB"),
}


@pytest.mark.parametrize(("data", "opened_as", "mode"), CONVERTED.values(), ids=CONVERTED.keys())
def test_other_modes_become_the_one_that_keeps_everything(data, opened_as, mode):
    """The documented exceptions: 1-bit becomes L, palettes the colours they stand for, CMYK becomes RGB."""
    opened = Image.open(io.BytesIO(data))
    assert opened.mode == opened_as
    header = read_header(data)
    assert header.mode == mode
    assert np.array_equal(to_pixels(header), np.asarray(opened.convert(mode)))


@pytest.mark.parametrize(
    ("depth", "colour", "channels"),
    [(1, 0, 1), (2, 0, 1), (4, 0, 1), (8, 0, 1), (16, 0, 1), (8, 2, 3), (16, 2, 3), (8, 4, 2), (8, 6, 4), (16, 6, 4)],
)
def test_png_of_every_colour_type_and_depth(depth, colour, channels):
    """PNGs written without Pillow decode to the samples in them, scaled to 8 bits except 16-bit grey, which is kept."""
    samples = RNG.integers(0, 1 << depth, (6, 5, channels))
    pixels = to_pixels(read_header(png(depth, colour, samples, 5, 6)))
    wanted = samples.squeeze()
    if depth < 8:
        wanted = wanted * 255 // ((1 << depth) - 1)
    elif depth == 16 and channels > 1:
        wanted = wanted >> 8
    assert pixels.dtype == (np.uint16 if (depth, channels) == (16, 1) else np.uint8)
    assert np.array_equal(pixels, wanted)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("alpha", [False, True])
def test_png_palettes_of_every_depth(depth, alpha):
    """A palette PNG written without Pillow becomes its colours, with alpha where it has a tRNS chunk."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    colours = RNG.integers(0, 256, (1 << depth, 3), np.uint8)
    alphas = RNG.integers(0, 256, 1 << depth, np.uint8)
    extra = chunk(b"PLTE", colours.tobytes()) + (chunk(b"tRNS", alphas.tobytes()) if alpha else b"")
    samples = RNG.integers(0, 1 << depth, (6, 5))
    pixels = to_pixels(read_header(png(depth, 3, samples, 5, 6, extra)))
    wanted = colours[samples]
    assert np.array_equal(pixels, np.dstack([wanted, alphas[samples]]) if alpha else wanted)


def oriented(file_format, orientation, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(Image.fromarray(smooth(10, 16)), file_format, exif=exif, **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("file_format", "options"),
    [("JPEG", {"quality": 95}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})],
)
def test_every_orientation_comes_out_upright(orientation, file_format, options):
    """Pixels and the sizes of the header are those after the EXIF orientation is applied."""
    data = oriented(file_format, orientation, **options)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    header = read_header(data)
    assert (header.height, header.width) == upright.shape[:2] == ((16, 10) if orientation > 4 else (10, 16))
    assert np.array_equal(to_pixels(header), upright)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_can_be_left_alone(orientation):
    """Decoding with ``upright=False`` gives the pixels as they lie in the file."""
    image = decode_file(oriented("PNG", orientation), upright=False)
    assert np.array_equal(np.asarray(image), smooth(10, 16))


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("damage", [b"XX\0*", b"MM\0-", b"\0" * 4])
@pytest.mark.parametrize("upright", [True, False])
def test_exif_that_cannot_be_read_loses_no_image(file_format, damage, upright):
    """An image whose EXIF is damaged has the pixels that Pillow loads, as they lie in the file."""
    data = oriented(file_format, 6, **({"lossless": True} if file_format == "WEBP" else {}))
    start = max(data.find(b"II*\0"), data.find(b"MM\0*"))
    damaged = data[:start] + damage + data[start + 4 :]
    if file_format == "PNG":  # nothing is read of a chunk whose checksum is wrong
        at = damaged.index(b"eXIf")
        end = at + 4 + int.from_bytes(damaged[at - 4 : at])
        damaged = damaged[:end] + struct.pack(">I", zlib.crc32(damaged[at:end])) + damaged[end + 4 :]
    image = Image.open(io.BytesIO(damaged))
    image.load()
    assert np.array_equal(np.asarray(decode_file(damaged, upright=upright)), np.asarray(image))
    assert np.array_equal(to_pixels(read_header(damaged)), np.asarray(image))


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_orientation_that_makes_no_sense_is_none(orientation):
    """An EXIF orientation outside 1 to 8 changes nothing."""
    header = read_header(oriented("PNG", orientation))
    assert np.array_equal(to_pixels(header), smooth(10, 16))


def test_the_fast_path_is_taken_from_arrow_buffers():
    """A JPEG that lies in an Arrow buffer is read and decoded by simplejpeg as one in bytes is."""
    pytest.importorskip("simplejpeg")
    for data in (FILES["jpeg 4:2:0"], oriented("JPEG", 6)):
        (payload,) = binary_values(pa.array([data], pa.large_binary()))
        assert payload[0] == 0xFF
        assert read_jpeg_header(payload) == read_jpeg_header(data) is not None
        assert np.array_equal(decode_jpeg(payload, "RGB"), to_pixels(read_header(data)))


def with_segment(jpeg, marker, body):
    return jpeg[:2] + marker + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize(
    "data",
    [
        with_segment(FILES["jpeg 4:2:0"], b"\xff\xe1", XMP),
        with_segment(FILES["jpeg 4:2:0"], b"\xff\xff\xff\xe1", Image.Exif().tobytes() or b"Exif\0\0"),
        oriented("JPEG", 6).replace(b"\xff\xe1", b"\xff\xff\xe1", 1),
        oriented("JPEG", 6)[:2] + b"\0\0" + oriented("JPEG", 6)[2:],
    ],
    ids=["in XMP", "empty, after fill bytes", "after fill bytes", "after junk"],
)
def test_header_and_pixels_agree_on_odd_orientations(data):
    """However an orientation is hidden in a JPEG, the header and the pixels agree with Pillow about it."""
    try:
        upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    except OSError:
        with pytest.raises(DecodeError):
            to_pixels(read_header(data))
        return
    header = read_header(data)
    assert (header.height, header.width) == upright.shape[:2]
    assert np.array_equal(to_pixels(header), upright)


@pytest.mark.parametrize("orientation", range(10))
def test_simplejpeg_is_told_the_orientation(orientation):
    """JPEGs with and without EXIF take the fast path, turned as Pillow turns them."""
    pytest.importorskip("simplejpeg")
    data = oriented("JPEG", orientation)
    assert jpeg_orientation(FILES["jpeg 4:2:0"]) == 1
    assert jpeg_orientation(data) == (orientation if 1 <= orientation <= 8 else 1)
    assert np.array_equal(decode_jpeg(data, "RGB"), np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))))
    assert decode_jpeg(FILES["png RGB"], "RGB") is None


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("stored", ["I;16", "I"])
def test_deep_grey_is_scaled_not_clipped(mode, stored):
    """A ramp over all 16-bit levels keeps at least 200 of them in 8 bits."""
    dtype = {"I;16": np.uint16, "I": np.int32}[stored]
    ramp = np.linspace(0, 65535, 1024).astype(dtype).reshape(32, 32)
    grey = np.asarray(convert(Image.fromarray(ramp), mode).convert("L"))
    assert len(np.unique(grey)) >= 200
    assert (np.diff(grey.ravel().astype(int)) >= 0).all()
    assert (grey.min(), grey.max()) == (0, 255)


def test_big_endian_sixteen_bit_is_kept():
    """A big-endian 16-bit TIFF decodes to its values."""
    values = RNG.integers(0, 65536, (5, 4)).astype(np.uint16)
    image = Image.frombytes("I;16B", (4, 5), values.astype(">u2").tobytes())
    data = saved(image, "TIFF")
    header = read_header(data)
    assert header.mode == "I;16"
    assert np.array_equal(to_pixels(header), values)


def test_decoding_to_sixteen_bit_modes_that_exist():
    """Asking for a mode converts to it, and an impossible conversion is a DecodeError."""
    data = saved(noise("RGB"), "PNG")
    assert decode_file(data, "L").mode == "L"
    assert decode_file(saved(noise("I;16"), "PNG"), "L").mode == "L"
    with pytest.raises(DecodeError):
        decode_file(data, "nonsense")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xff\xd8",
        b"not an image",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"8BPS\0\1" + b"\0" * 40,
        saved(noise("RGB"), "PPM"),
        saved(noise("RGB"), "EPS"),
        saved(noise("RGB"), "PDF"),
        saved(noise("RGB"), "TGA"),
        saved(noise("RGB"), "ICO"),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    ],
    ids=["empty", "1 byte", "SOI", "text", "EPS", "PSD", "PPM", "whole EPS", "PDF", "TGA", "ICO", "SVG"],
)
def test_other_formats_are_refused_whatever_their_name(data):
    """Only listed formats are parsed; everything else is a DecodeError, for header, frames and EXIF alike."""
    for read in (read_header, decode_file, count_frames, lambda data: exif_tag(data, 0x0112)):
        with pytest.raises(DecodeError) as caught:
            read(data)
        assert caught.value.at().cause == ("UnidentifiedImageError" if data else None)


def bomb(width, height):
    header = bytearray(saved(Image.new("L", (4, 4)), "BMP"))
    struct.pack_into("<ii", header, 18, width, height)
    return bytes(header)


def test_decompression_bombs_are_refused_quickly():
    """A small file that claims hundreds of millions of pixels is refused at once, and its PNG and GIF kin too."""
    ihdr = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    big_png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + ihdr
    big_png += struct.pack(">I", zlib.crc32(b"IHDR" + ihdr))
    start = time.perf_counter()
    for data in (bomb(30000, 30000), big_png, b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0" * 20):
        with pytest.raises(DecodeError):
            read_header(data)
        with pytest.raises(DecodeError):
            decode_file(data)
    assert time.perf_counter() - start < 0.5


def test_the_pixel_limit_is_a_setting():
    """``max_image_pixels`` decides what is too large, and the message says how to raise it."""
    before = config().max_image_pixels
    data = saved(noise("L", 11, 14), "PNG")
    try:
        config(max_image_pixels=11 * 14)
        assert read_header(data).height == 11
        config(max_image_pixels=11 * 14 - 1)
        with pytest.raises(DecodeError, match=r"14x11 pixels are more than max_image_pixels=153.*config"):
            read_header(data)
    finally:
        config(max_image_pixels=before)


def test_payload_views_decode_like_bytes():
    """A memoryview of a larger buffer decodes as its bytes do."""
    for data in (FILES["jpeg 4:2:0"], FILES["png RGB"], oriented("PNG", 6)):
        view = memoryview(b"xx" + data + b"yy")[2:-2]
        assert np.array_equal(to_pixels(read_header(view)), to_pixels(read_header(data)))


def test_header_of_a_png_does_not_decode_it():
    """A PNG whose pixels are missing still has a header, as every other format has."""
    data = FILES["png RGB"]
    header = read_header(data[: data.index(b"IDAT") + 8])
    assert (header.mode, header.height, header.width) == ("RGB", 11, 14)


def test_frames_and_exif_are_told_without_pixels():
    """The number of frames and EXIF tags are read from the file; a missing tag is null."""
    frames = [noise("L"), noise("L"), noise("L")]
    assert count_frames(saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])) == 3
    assert count_frames(FILES["png RGB"]) == 1
    assert exif_tag(oriented("JPEG", 6), 0x0112) == "6"
    assert exif_tag(oriented("JPEG", 6), 0x0110) is None
    assert exif_tag(FILES["bmp RGB"], 0x0112) is None


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16", "I", "F"])
def test_pillow_images_round_trip_as_pixels(mode):
    """A Pillow image becomes a row of pixels and back without change."""
    image = noise(mode)
    row = from_pillow(image)
    assert (row.encoding, row.mode) == ("raw", mode)
    again = to_pillow(row)
    assert again.mode == mode
    assert np.array_equal(np.asarray(again), np.asarray(image))
