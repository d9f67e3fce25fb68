"""Every frame of a file comes out as Pillow composes it, or one error stands for those that do not."""

import io
import struct

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageSequence

from lightdata.config import config
from lightdata.errors import DecodeError, LimitError
from lightdata.kernels.decode import to_pixels
from lightdata.kernels.frames import count_frames, count_gif_frames, iter_frames
from lightdata.kernels.header import stored_mode
from lightdata.types.image import RAW, binary_values

RNG = np.random.default_rng(5)
FORMATS = {
    "gif": ("GIF", {"disposal": 2}),
    "tiff": ("TIFF", {}),
    "tiff lzw": ("TIFF", {"compression": "tiff_lzw"}),
    "webp": ("WEBP", {"lossless": True}),
    "apng": ("PNG", {}),
    "avif": ("AVIF", {"quality": 60}),
}


def pictures(count, mode="RGB", height=7, width=9):
    depth = {"RGB": (3,), "RGBA": (4,), "L": ()}[mode]
    return [Image.fromarray(RNG.integers(0, 256, (height, width, *depth), np.uint8)) for _ in range(count)]


def saved(images, file_format, **options):
    out = io.BytesIO()
    images[0].save(out, file_format, save_all=True, append_images=images[1:], **options)
    return out.getvalue()


def by_pillow(data):
    """Give the pixels of every frame, without the code under test."""
    return [np.asarray(one.convert(stored_mode(one))) for one in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]


def frames_before_error(data):
    """Give the pixels of the frames, and the error that ended them, if one did."""
    found = []
    try:
        for image in iter_frames(data):
            found.append(to_pixels(image))  # noqa: PERF401 - those before an error count
    except DecodeError as error:
        return found, error
    return found, None


@pytest.mark.parametrize(("file_format", "options"), FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_frames_are_those_of_pillow(file_format, options, mode):
    """Each frame has the pixels of Pillow's own iterator over the file."""
    data = saved(pictures(4, mode), file_format, **options)
    wanted = by_pillow(data)
    found, error = frames_before_error(data)
    assert error is None
    assert len(found) == len(wanted) == 4
    assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize(("file_format", "options"), FORMATS.values(), ids=FORMATS)
def test_a_single_frame_keeps_its_file(file_format, options):
    """A file of one frame is described by its header and not decoded."""
    data = saved(pictures(1), file_format, **options)
    (only,) = iter_frames(data)
    assert bytes(only.payload) == data
    assert only.encoding == file_format.lower()


def test_pages_may_differ():
    """Pages of a TIFF keep their own sizes and modes, 16-bit grey included."""
    deep = Image.fromarray(np.arange(6, dtype=np.uint16).reshape(2, 3) * 9999)
    found, error = frames_before_error(saved([*pictures(1), deep, *pictures(1, "L", 5, 4)], "TIFF"))
    assert error is None
    assert [one.shape for one in found] == [(7, 9, 3), (2, 3), (5, 4)]
    assert np.array_equal(found[1], np.asarray(deep))


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_orientation_is_applied_to_every_frame(upright, count):
    """Frames lie upright, or as the camera was held where that is asked for."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(pictures(count, "RGB", 4, 8), "WEBP", lossless=True, exif=exif)
    sizes = [(one.height, one.width) for one in iter_frames(data, upright=upright)]
    assert sizes == [(8, 4) if upright else (4, 8)] * count


def test_further_pictures_of_a_jpeg_are_not_frames():
    """A JPEG with a second picture, as cameras write for previews, is one image."""
    data = saved(pictures(2), "MPO")
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert len(list(iter_frames(data))) == 1


@pytest.mark.parametrize(("file_format", "options"), FORMATS.values(), ids=FORMATS)
def test_a_cut_file_gives_whole_frames_and_one_error(file_format, options):
    """Every prefix of a file gives some of its first frames unchanged, and an error unless it gives all."""
    data = saved(pictures(3), file_format, **options)
    whole, _ = frames_before_error(data)
    most = 0
    for end in range(1, len(data), max(1, len(data) // 400)):
        found, error = frames_before_error(data[:end])
        assert error is not None or len(found) == len(whole), end
        assert all(np.array_equal(one, other) for one, other in zip(found, whole, strict=False)), end
        most = max(most, len(found) if error else 0)
    assert most >= (0 if file_format in ("WEBP", "AVIF") else 2)  # those decoders want all or nothing


def with_last_avif_frame_overwritten(data):
    """Overwrite the last sample of a sequence, whose place and size its tables tell (ISO 14496-12, 8.7)."""
    (start,) = struct.unpack_from(">I", data, data.index(b"stco") + 12)
    table = data.index(b"stsz") + 12
    sizes = struct.unpack_from(f">{struct.unpack_from('>I', data, table)[0]}I", data, table + 4)
    at = start + sum(sizes[:-1])
    return data[:at] + b"\xff" * sizes[-1] + data[at + sizes[-1] :]


@pytest.mark.parametrize(("file_format", "options"), FORMATS.values(), ids=FORMATS)
def test_a_broken_later_frame_costs_no_earlier_one(file_format, options):
    """Bytes of the last frame that are wrong, in a file that is whole, are one error behind all frames before it."""
    options = {"compression": "tiff_deflate"} if file_format == "TIFF" else options
    data = saved(pictures(3, height=40, width=40), file_format, **options)
    whole, _ = frames_before_error(data)
    places = range(len(data) // 3, len(data) - 16, max(1, len(data) // 100))
    damaged = [data[:at] + bytes(16) + data[at + 16 :] for at in places]
    if file_format == "AVIF":
        damaged = [with_last_avif_frame_overwritten(data)]
    kept = 0
    for one in damaged:
        found, error = frames_before_error(one)
        if error is not None and all(map(np.array_equal, found, whole)):
            kept = max(kept, len(found))
    assert kept == 2


@pytest.mark.parametrize("file_format", ["GIF", "TIFF", "WEBP", "PNG", "AVIF"])
def test_too_many_frames_are_refused_before_any_is_decoded(file_format, settings):
    """A file of more frames than the limit gives none of them; one at the limit gives all."""
    data = saved(pictures(6, height=2, width=2), file_format)
    config(max_frames=6)
    assert len(list(iter_frames(data))) == count_frames(data) == 6
    config(max_frames=5)
    for asked in (lambda: next(iter_frames(data)), lambda: count_frames(data)):
        with pytest.raises(LimitError, match=r"6 frames.* more than max_frames=5; raise it with config\(max_frames="):
            asked()


def test_a_small_file_of_endless_frames_is_refused():
    """A GIF of a few kilobytes that claims more frames than the limit is refused by walking its blocks."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\x00"
    data = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6) + frame * 10_001 + b";"
    with pytest.raises(DecodeError, match="10,001 frames, or more, are more than max_frames=10000"):
        list(iter_frames(data))


def test_each_frame_is_held_to_the_pixel_limit(settings):
    """A page above ``max_image_pixels`` is the one error after the pages before it."""
    data = saved([*pictures(2), *pictures(1, "RGB", 40, 40)], "TIFF")
    config(max_image_pixels=100)
    found, error = frames_before_error(data)
    assert len(found) == 2
    assert "40x40 pixels" in error.message


def test_a_directory_that_leads_back_to_itself_ends():
    """A TIFF whose last directory points to its first does not go round for ever."""
    data = bytearray(saved(pictures(2, height=2, width=2), "TIFF"))
    first = struct.unpack_from("<I", data, 4)[0]
    second = struct.unpack_from("<I", data, first + 2 + 12 * struct.unpack_from("<H", data, first)[0])[0]
    struct.pack_into("<I", data, second + 2 + 12 * struct.unpack_from("<H", data, second)[0], first)
    found, _ = frames_before_error(bytes(data))
    assert len(found) == 2


def test_blocks_of_a_gif_are_counted_as_pillow_does():
    """Walking blocks finds Pillow's number of frames, and the missing trailer of a cut file."""
    data = saved(pictures(5), "GIF", comment=b"x" * 600, loop=0)
    assert count_gif_frames(data) == (5, False)
    assert count_gif_frames(data[:-1]) == (5, True)
    assert count_gif_frames(b"GIF89a") == (0, True)


@pytest.mark.parametrize("data", [saved(pictures(5, height=40, width=40), "GIF")], ids=["gif"])
def test_views_of_arrow_buffers_are_walked_as_bytes(data):
    """A file that lies in an Arrow buffer gives what its bytes give, long blocks included."""
    view = memoryview(pa.py_buffer(data))
    assert count_gif_frames(view) == (5, False)
    (payload,) = binary_values(pa.array([data], pa.large_binary()))
    assert len(list(iter_frames(payload))) == 5


def test_the_payload_of_frames_is_pixels():
    """Frames of a file of several are pixels, which no longer need the file."""
    assert [one.encoding for one in iter_frames(saved(pictures(2), "GIF"))] == [RAW, RAW]
