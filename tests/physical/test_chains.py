"""Chains of one step share what they have in common, and say which row failed."""

import io
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.expr.deferred import deferred_columns
from lightdata.kernels import geometry
from lightdata.kernels.columns import pixel_rows
from lightdata.kernels.decode import to_raster
from lightdata.physical.operators.chains import compute_chains

IMAGE = pl.col("image").image


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=True)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


def file_of(pixels, file_format="PNG", **options):
    """Write pixels as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, file_format, **options)
    return file.getvalue()


def photo(seed, height=9, width=7):
    """Make pixels."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def files(*values):
    """Make a batch of files."""
    return pa.record_batch({"image": pa.array(values, pa.large_binary())})


def chains(*exprs):
    """List the chains of expressions."""
    return [chain for expr in exprs for chain in deferred_columns(expr)]


def calls(function, run):
    """Count the calls of a function while something runs, and give what it gave."""
    found = []

    def look(frame, event, _):
        if event == "call" and frame.f_code is function.__code__:
            found.append(frame)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        result = run()
    finally:
        sys.setprofile(before)
    return len(found), result


SHARING = chains(
    IMAGE.resize(4, 4),
    IMAGE.resize(4, 4).image.flip_left_right(),
    IMAGE.decode().image.to_tensor(),
    IMAGE.to_tensor(),
    IMAGE.to_mode("L").image.encode("png"),
    IMAGE.width(),
)


def test_each_image_is_decoded_once():
    """However many chains start from an image, its file is decoded once."""
    batch = files(*(file_of(photo(seed)) for seed in range(5)), None)
    assert calls(to_raster, lambda: compute_chains(batch, SHARING))[0] == 5


def test_shared_beginnings_are_computed_once():
    """An operation that two chains have in common is done once for each image."""
    batch = files(file_of(photo(1)), file_of(photo(2)))
    count, found = calls(geometry.resize, lambda: compute_chains(batch, SHARING))
    assert count == 2
    alone = {name: column for one in SHARING for name, column in compute_chains(batch, [one]).items()}
    assert {name: column.to_pylist() for name, column in found.items()} == {
        name: column.to_pylist() for name, column in alone.items()
    }


def test_attributes_decode_nothing():
    """Questions that the header answers decode no file, also after a resize."""
    batch = files(file_of(photo(1)))
    asked = chains(IMAGE.width(), IMAGE.resize_shortest(3).image.height(), IMAGE.to_mode("L").image.mode())
    assert calls(to_raster, lambda: compute_chains(batch, asked))[0] == 0


def test_encoding_does_not_change_what_others_see():
    """A chain that writes an image leaves it as it was for the chains after it."""
    exif = Image.Exif()
    exif[274] = 6
    batch = files(file_of(photo(1, 3, 8), "JPEG", exif=exif))
    held = IMAGE.decode(exif_transpose=False).image
    encoded, turned = chains(held.encode("png"), held.exif_transpose().image.height())
    assert compute_chains(batch, [encoded, turned])[turned.name].to_pylist() == [8]


def test_upright_images_are_not_turned_again():
    """Only what decoding left as it was is turned upright."""
    exif = Image.Exif()
    exif[274] = 6
    batch = files(file_of(photo(1, 3, 8), "JPEG", exif=exif))
    asked = chains(IMAGE.exif_transpose().image.height(), IMAGE.decode().image.exif_transpose().image.height())
    assert [column.to_pylist() for column in compute_chains(batch, asked).values()] == [[8], [8]]


def test_transparency_that_was_left_out_stays_out():
    """A file's transparent colour that its mode does not hold never comes back after a conversion."""
    batch = files(file_of(np.zeros((2, 2, 3), np.uint8), transparency=(0, 0, 0)))
    for chain in chains(IMAGE.to_mode("RGBA"), IMAGE.resize(3, 3).image.to_mode("RGBA")):
        made = compute_chains(batch, [chain])[chain.name]
        assert (pixel_rows(made)[0][..., 3] == 255).all()


def test_decode_keeps_the_mode_of_the_column(tmp_path):
    """Decoding a column of grey images gives grey pixels, whatever the files hold."""
    (tmp_path / "a.png").write_bytes(file_of(photo(1)))
    ds = ld.read_images(tmp_path, mode="L").with_columns(image=IMAGE.decode())
    assert ds.take_all()[0]["image"].shape == (9, 7)


@pytest.mark.parametrize("order", [1, -1])
def test_rows_before_the_first_failure_are_passed_on(order):
    """Where two chains fail at different rows, all rows before the earlier failure are given."""
    good, bad = file_of(photo(1)), file_of(photo(2))[:-30]
    table = pa.table({"a": [good, good, good, bad], "b": [good, good, bad, good]}).cast(
        pa.schema({"a": pa.large_binary(), "b": pa.large_binary()})
    )
    exprs = [pl.col(name).image.resize(2, 2) for name in "ab"[::order]]
    ds = ld.from_arrow(table).with_columns(*exprs)
    assert len(ds.limit(2).take_all()) == 2
    with pytest.raises(ld.DecodeError, match="row 2"):
        ds.take_all()
