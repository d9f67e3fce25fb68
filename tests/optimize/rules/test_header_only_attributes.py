"""Questions that a header answers are asked before the decode."""

from dataclasses import replace

import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.io.memory import MemorySource
from lightdata.optimize.rules.header_only_attributes import header_only_attributes
from lightdata.plan.node import DecodeImages, ReadFiles, Scan


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=True)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


READ = ReadFiles(
    input=Scan(source=MemorySource(pa.table({"path": ["a", "b"], "n": [1, 2]}))), path="path", column="image"
)
DECODE = DecodeImages(input=READ, column="image")
IMAGE = pl.col("image").image


@pytest.mark.parametrize(
    "predicate",
    [
        IMAGE.width() >= 3,
        (IMAGE.width() > IMAGE.height()) & (pl.col("n") > 1),
        IMAGE.mode() == "RGB",
        IMAGE.format().is_in(["PNG", "JPEG"]),
        IMAGE.channels() == 3,
        IMAGE.width().is_null(),
    ],
)
def test_header_questions_pass_the_decode(predicate):
    """A filter that only asks the header goes below the decode."""
    plan = ld.Dataset(DECODE).filter(predicate)._plan
    assert header_only_attributes(plan) == replace(DECODE, input=replace(plan, input=READ))


@pytest.mark.parametrize(
    "predicate",
    [
        IMAGE.resize(4, 4).image.width() > 3,
        IMAGE.to_tensor().tensor.mean() > 3,
        pl.col("image").is_not_null(),
        pl.col("image").is_not_null() & (IMAGE.width() > 3),
        pl.col("n") > 1,
        IMAGE.width() == IMAGE.width().max(),
        IMAGE.width().cum_sum() > 5,
        IMAGE.width().shift(1) > 5,
    ],
)
def test_other_questions_wait(predicate):
    """A filter that needs pixels, the column itself or other rows stays above the decode."""
    assert header_only_attributes(ld.Dataset(DECODE).filter(predicate)._plan) is None


@pytest.mark.parametrize(
    "change",
    [{"on_error": "null"}, {"on_error": "skip"}, {"mode": "L"}, {"size": (3, 3)}, {"exif_transpose": False}],
)
def test_a_decode_that_changes_what_is_seen_keeps_the_filter(change):
    """Where failing rows become null or are skipped, or the image is changed, the filter waits."""
    assert header_only_attributes(ld.Dataset(replace(DECODE, **change)).filter(IMAGE.width() > 3)._plan) is None


def test_a_remade_column_keeps_the_filter():
    """A filter on a column that was made anew in between stays where it is."""
    ds = ld.Dataset(DECODE).with_columns(image=IMAGE.resize(2, 2)).filter(IMAGE.width() == 2)
    assert header_only_attributes(ds._plan) is None


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("options", [{}, {"mode": "L"}, {"size": (4, 6)}, {"exif_transpose": False}])
def test_answers_are_those_of_the_decoded_image(tmp_path, optimize, options):
    """Width, height and mode of turned images are the same from header and pixels."""
    ld.config(optimize=optimize)
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn
    Image.new("RGB", (8, 3)).save(tmp_path / "turned.jpg", exif=exif)
    Image.new("L", (8, 3)).save(tmp_path / "plain.png")
    Image.new("RGBA", (5, 5)).save(tmp_path / "square.png")
    ds = ld.read_images(tmp_path, include_paths=True, **options)
    wide = {row["path"] for row in ds.filter(IMAGE.width() > IMAGE.height()).take_all()}
    expected = {row["path"] for row in ds.take_all() if row["image"].shape[1] > row["image"].shape[0]}
    assert wide == expected
    grey = {row["path"] for row in ds.filter(IMAGE.mode() == "L").take_all()}
    assert grey == {row["path"] for row in ds.take_all() if row["image"].ndim == 2}


@pytest.mark.parametrize("optimize", [True, False])
def test_truncated_pixels_do_not_matter_to_a_header(tmp_path, optimize):
    """A file that is cut after its header is dropped by its size without an error."""
    ld.config(optimize=optimize)
    Image.effect_noise((64, 64), 50).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:900])
    Image.new("RGB", (5, 4)).save(tmp_path / "whole.png")
    assert [row["image"].shape for row in ld.read_images(tmp_path).filter(IMAGE.width() < 9).take_all()] == [(4, 5, 3)]
