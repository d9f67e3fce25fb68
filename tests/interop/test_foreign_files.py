"""Real DICOM, OpenEXR and Radiance HDR files through a real tensorflow-io."""

import logging
import os

import foreign_files as files
import numpy as np
import pytest

import lightdata as ld
from lightdata.kernels.decoder_process import decoder_of
from lightdata.types.image import ImageType

PYTHON = os.environ.get("LIGHTDATA_TFIO_PYTHON")

pytestmark = [
    pytest.mark.skipif(PYTHON is None, reason="LIGHTDATA_TFIO_PYTHON names no interpreter with tensorflow-io"),
    pytest.mark.timeout(400),
]


@pytest.fixture(autouse=True)
def _decoder():
    before = ld.config()
    ld.config(decoder_python=PYTHON, workers=0, progress=False)
    yield
    ld.config(
        decoder_python=before.decoder_python,
        decoder_timeout_s=before.decoder_timeout_s,
        workers=before.workers,
        progress=before.progress,
    )


def read(name, **options):
    return ld.read_images(files.DATA / name, file_extensions=None, **options)


@pytest.mark.parametrize(("name", "mode"), [("grey8", "L"), ("grey16", "I;16"), ("grey12", "I;16"), ("rgb", "RGB")])
def test_dicom_keeps_its_values(name, mode):
    """Grey of 8, 12 and 16 bits and colours come out as they are stored, in the mode that holds them."""
    ds = read(f"{name}.dcm")
    assert ds.select(m=ld.col("image").image.mode(), w=ld.col("image").image.width()).take_all() == [
        {"m": mode, "w": files.WIDTH}
    ]
    assert np.array_equal(ds.take_all()[0]["image"], files.pixels(name))


@pytest.mark.parametrize(("name", "mode", "dtype"), [("depth", "F", np.float32), ("identity", "I", np.int32)])
def test_one_channel_of_exr_is_an_image(name, mode, dtype):
    """A single channel of floats or integers is an image of mode F or I."""
    ds = read(f"{name}.exr")
    pixels = ds.take_all()[0]["image"]
    assert ds.select(m=ld.col("image").image.mode()).take_all() == [{"m": mode}]
    assert pixels.dtype == dtype
    assert np.array_equal(pixels, files.pixels(name))


def test_colours_in_float_are_tensors():
    """Colours of OpenEXR and HDR are no image, which says how to read them: as tensors."""
    for name in ("colour.exr", "colour.hdr"):
        with pytest.raises(ld.DecodeError, match=r"float32 pixels of shape .*lightdata\.decode_pixels"):
            read(name).take_all()
    ds = ld.read_binary_files([files.DATA / "colour.exr", files.DATA / "colour.hdr"], file_extensions=None)
    rows = ds.map(lambda row: {"pixels": ld.decode_pixels(row["bytes"])}).take_all()
    assert np.array_equal(rows[0]["pixels"], files.pixels("colour").astype(np.float32))
    assert np.array_equal(rows[1]["pixels"], files.floats(files.rgbe()))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("signed.dcm", "signed pixels, a rescale intercept, whose pixels tensorflow-io changes"),
        ("inverted.dcm", "inverted grey"),
        ("layers.exr", r"channels left\.Z, right\.Z"),
    ],
)
def test_what_would_come_out_wrong_is_refused(name, words):
    """Files whose pixels tensorflow-io changes, or that have no one picture, are errors that say so."""
    with pytest.raises(ld.DecodeError, match=words):
        read(name).take_all()


def test_frames_of_dicom_are_rows():
    """Each frame of a DICOM file is a row; without frames= it is the first."""
    rows = read("frames.dcm", frames="all").take_all()
    assert [row["frame"] for row in rows] == [0, 1, 2]
    assert all(np.array_equal(row["image"], one) for row, one in zip(rows, files.pixels("frames"), strict=True))
    assert np.array_equal(read("frames.dcm").take_all()[0]["image"], files.pixels("frames")[0])
    assert read("frames.dcm").select(n=ld.col("image").image.n_frames()).count() == 1


def test_mode_and_size_apply():
    """A reader's mode and size hold for these formats too, and scale 16-bit grey to 8 bits."""
    ds = read("grey16.dcm", mode="L")
    assert np.array_equal(ds.take_all()[0]["image"], (files.pixels("grey16") >> 8).astype(np.uint8))
    assert read("rgb.dcm", mode="RGB", size=(2, 3)).schema()["image"] == ImageType(ld.image_type("RGB", 2, 3).spec)


@pytest.mark.parametrize("name", ["grey8.dcm", "rgb.dcm", "colour.hdr"])
def test_a_cut_file_is_an_error(tmp_path, name):
    """Files that end too early are errors, where tensorflow-io itself gives what there is."""
    data = (files.DATA / name).read_bytes()
    for end in (len(data) - 5, len(data) // 2, 150 if name.endswith("dcm") else 20):
        with pytest.raises(ld.DecodeError):
            ld.decode_pixels(data[:end])
    assert ld.decode_pixels(data).shape[0] == files.HEIGHT


@pytest.mark.slow
def test_a_file_that_kills_the_decoder_costs_one_row(tmp_path, caplog):
    """Cut OpenEXR files end the decoder with SIGSEGV; each is one null row, and the good files among them are read."""
    data = (files.DATA / "depth.exr").read_bytes()
    for number, content in enumerate([data, data[: len(data) // 2], data]):
        (tmp_path / f"{number}.exr").write_bytes(content)
    with caplog.at_level(logging.WARNING, "lightdata"):
        rows = ld.read_images(tmp_path, file_extensions="exr", on_error="null").take_all()
    assert [row["image"] is None for row in rows] == [False, True, False]
    assert "1.exr: decode(image): the decoder died with SIGSEGV while it decoded this file" in caplog.text


@pytest.mark.slow
def test_each_worker_has_a_decoder():
    """Files are decoded in worker processes as here."""
    here = [row["image"] for row in read("frames.dcm", frames="all").take_all()]
    ld.config(workers=2)
    paths = [files.DATA / "frames.dcm"] * 70
    rows = ld.read_images(paths, file_extensions=None, frames="all").take_all()
    assert len(rows) == 210
    assert all(np.array_equal(row["image"], here[row["frame"]]) for row in rows)


def test_the_decoder_is_kept():
    """One process decodes file after file."""
    read("grey8.dcm").take_all()
    first = decoder_of(ld.config().decoder_python)._process.pid
    read("depth.exr").take_all()
    assert decoder_of(ld.config().decoder_python)._process.pid == first
