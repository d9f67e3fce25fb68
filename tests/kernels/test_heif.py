"""HEIF files are images where pillow-heif is installed, and else an error that names it."""

import importlib.util
import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import DecodeError
from lightdata.kernels.decode import to_pixels
from lightdata.kernels.frames import iter_frames
from lightdata.kernels.header import read_header
from lightdata.kernels.heif import is_heif

IS_INSTALLED = importlib.util.find_spec("pillow_heif") is not None
installed = pytest.mark.skipif(not IS_INSTALLED, reason="pillow-heif is not installed")
HEAD = bytes.fromhex("0000001c") + b"ftypheic" + bytes(4) + b"mif1heicmiaf"


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False)
    yield
    ld.config(workers=before.workers, progress=before.progress)


def picture(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (10, 16, 3), np.uint8))


def heif(*images, **options):
    """Write HEIF without loss."""
    import pillow_heif

    file = pillow_heif.from_pillow(images[0])
    for image in images[1:]:
        file.add_from_pillow(image)
    out = io.BytesIO()
    file.save(out, quality=-1, matrix_coefficients=0, chroma=444, **options)
    return out.getvalue()


def brands(major, *others):
    box = b"ftyp" + major + bytes(4) + b"".join(others)
    return (len(box) + 4).to_bytes(4) + box


def test_heif_is_told_from_avif():
    """Files of the brands of HEIF are recognised, those that say they are AVIF are left to Pillow."""
    assert is_heif(HEAD)
    assert is_heif(brands(b"mif1", b"mif1", b"heic"))
    assert not is_heif(brands(b"avif", b"mif1"))
    assert not is_heif(brands(b"mif1", b"miaf", b"avif"))
    assert not is_heif(brands(b"isom", b"mp42"))
    assert not is_heif(HEAD[:11])


@pytest.mark.skipif(IS_INSTALLED, reason="pillow-heif is installed")
def test_without_the_package_each_file_says_what_to_install(tmp_path):
    """A .heic file among others is one bad row, whose error says how to mend it."""
    (tmp_path / "a.heic").write_bytes(HEAD)
    picture(0).save(tmp_path / "b.png")
    with pytest.raises(DecodeError, match=r"a\.heic: .*pip install lightdata\[heif\]"):
        ld.read_images(tmp_path).take_all()
    assert ld.read_images(tmp_path, on_error="skip").count() == 1


def test_nobody_pays_for_a_package_that_is_not_used(tmp_path):
    """Importing the library and decoding other formats does not load pillow-heif."""
    picture(0).save(tmp_path / "b.png")
    script = (
        "import sys, lightdata as ld; "
        f"ld.read_images({str(tmp_path)!r}).take_all(); print('pillow_heif' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@installed
@pytest.mark.parametrize("workers", [0, 2])
def test_files_are_images_like_others(tmp_path, workers):
    """read_images and decode() take .heic and .heif files, in workers too."""
    ld.config(workers=workers)
    for number in range(70):
        (tmp_path / f"{number:02}.{'heic' if number % 2 else 'heif'}").write_bytes(heif(picture(number)))
    rows = ld.read_images(tmp_path).take_all()
    assert all(np.array_equal(row["image"], np.asarray(picture(number))) for number, row in enumerate(rows))
    decoded = ld.read_binary_files(tmp_path).select(ld.col("bytes").image.decode("L").image.resize(3, 4)).take(1)
    wanted = np.asarray(picture(0).convert("L").resize((4, 3), Image.Resampling.BILINEAR))
    assert np.array_equal(decoded[0]["bytes"], wanted)


@installed
def test_the_header_tells_size_and_mode():
    """A header is read without decoding, and the file's bytes are kept."""
    data = heif(picture(1))
    header = read_header(data)
    assert (header.encoding, header.mode, header.height, header.width) == ("heif", "RGB", 10, 16)
    assert bytes(header.payload) == data
    grey = read_header(heif(picture(1).convert("RGBA")))
    assert grey.mode == "RGBA"


@installed
def test_images_come_upright_once():
    """An orientation is applied once, by whichever decoder knows of it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    header = read_header(heif(picture(2), exif=exif.tobytes()))
    assert (header.height, header.width) == (16, 10)
    assert np.array_equal(to_pixels(header), np.asarray(picture(2).transpose(Image.Transpose.ROTATE_270)))


@installed
def test_images_of_one_file_are_frames():
    """Several images in one file are its frames."""
    found = [to_pixels(one) for one in iter_frames(heif(picture(3), picture(4)))]
    assert len(found) == 2
    for pixels, seed in zip(found, (3, 4), strict=True):
        assert (
            np.abs(pixels.astype(int) - np.asarray(picture(seed))).max() <= 1
        )  # only the first is written without loss


@installed
def test_a_cut_file_is_an_error():
    """Every prefix of a file is a DecodeError."""
    data = heif(picture(5))
    for end in range(12, len(data), 17):
        with pytest.raises(DecodeError):
            to_pixels(read_header(data[:end]))


@installed
def test_an_image_above_the_limit_is_refused():
    """The limit on pixels holds for HEIF, before it is decoded."""
    limit = ld.config().max_image_pixels
    ld.config(max_image_pixels=100)
    try:
        with pytest.raises(DecodeError, match="16x10 pixels are more than max_image_pixels=100"):
            read_header(heif(picture(6)))
    finally:
        ld.config(max_image_pixels=limit)
