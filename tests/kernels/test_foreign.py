"""DICOM, OpenEXR and Radiance HDR are recognised by what is in them, and say what they take."""

import io
from pathlib import Path

import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import DecodeError
from lightdata.kernels.foreign import foreign_format

FILES = Path(__file__).parents[1] / "interop" / "data" / "foreign"


@pytest.fixture(autouse=True)
def _without_decoder():
    before = ld.config()
    ld.config(workers=0, progress=False, decoder_python=None)
    yield
    ld.config(workers=before.workers, progress=before.progress, decoder_python=before.decoder_python)


@pytest.mark.parametrize(("ending", "kind"), [("dcm", "dicom"), ("exr", "exr"), ("hdr", "hdr")])
def test_files_are_recognised_by_content(ending, kind):
    """Real files are recognised whatever their name, and not where they are cut before what tells."""
    for path in FILES.glob(f"*.{ending}"):
        data = path.read_bytes()
        assert foreign_format(data) == kind
        assert foreign_format(memoryview(data)) == kind
        assert foreign_format(data[:3]) is None


def test_a_file_that_is_also_tiff_is_left_to_pillow():
    """A TIFF with the mark of DICOM in its preamble is the TIFF it is."""
    out = io.BytesIO()
    Image.effect_noise((40, 40), 90).save(out, "TIFF")
    data = bytearray(out.getvalue())
    data[128:132] = b"DICM"
    assert foreign_format(bytes(data)) is None
    assert ld.decode_pixels(bytes(data)).shape == (40, 40)


@pytest.mark.parametrize("name", ["grey8.dcm", "depth.exr", "colour.hdr"])
@pytest.mark.parametrize("frames", ["first", "all"])
def test_without_a_decoder_each_file_says_how_to_set_it(name, frames):
    """Such a file is one bad row, whose error says what to set and what must be there."""
    ds = ld.read_images(FILES / name, file_extensions=None, frames=frames)
    with pytest.raises(DecodeError, match=rf"{name}: .*config\(decoder_python=\.\.\.\).*tensorflow-io==0\.37\.1"):
        ds.take_all()
    rows = ld.read_images(FILES / name, file_extensions=None, frames=frames, on_error="null").take_all()
    assert [row["image"] for row in rows] == [None]
    with pytest.raises(DecodeError, match="decoder_python"):
        ld.read_binary_files(FILES / name).select(ld.col("bytes").image.decode()).take_all()


def test_folders_give_them_only_when_asked():
    """A folder is searched for these formats only if file_extensions names them."""
    with pytest.raises(ld.LightdataError, match=r"no file ending in \.jpg"):
        ld.read_images(FILES).take_all()
    assert ld.read_images(FILES, file_extensions=["dcm", "hdr"]).count() > 1


def test_pixels_of_ordinary_files_are_arrays():
    """decode_pixels decodes what read_images does, upright and in the file's own mode."""
    out = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 2)).save(out, "PNG", exif=exif)
    assert ld.decode_pixels(out.getvalue()).shape == (4, 2, 3)
    with pytest.raises(DecodeError, match="empty"):
        ld.decode_pixels(b"")
