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


ENDS = [
    lambda ds: ds.drop("image"),
    lambda ds: ds.select("n"),
    lambda ds: ds.select("n", IMAGE.height()),
    lambda ds: ds.group_by("n").agg(IMAGE.width().max()),
    lambda ds: ds.group_by(IMAGE.format()).len(),
]

QUESTIONS = [
    IMAGE.width() >= 3,
    (IMAGE.width() > IMAGE.height()) & (pl.col("n") > 1),
    IMAGE.mode() == "RGB",
    IMAGE.format().is_in(["png", "jpeg"]),
    IMAGE.channels() == 3,
    IMAGE.width().is_null(),
    IMAGE.width() == IMAGE.width().max(),
    pl.col("n") > 1,
]


def reader(plan):
    """Find the step that reads files."""
    return next(step for step in plan.walk() if isinstance(step, ReadFiles))


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("question", QUESTIONS)
def test_heads_are_enough_where_only_headers_are_asked(question, end):
    """Where an image column ends and was only asked what its header tells, only heads of files are read."""
    plan = end(ld.Dataset(DECODE).filter(question).sort("n").with_columns(h=IMAGE.height()))._plan
    changed = header_only_attributes(plan)
    assert reader(changed).only_heads
    assert header_only_attributes(changed) is None


@pytest.mark.parametrize("mode", ["L", None])
def test_a_mode_is_told_by_the_header_too(mode):
    """Images that are converted when they are decoded have the size of their files."""
    plan = ld.Dataset(replace(DECODE, mode=mode)).filter(IMAGE.width() > 3).drop("image")._plan
    assert reader(header_only_attributes(plan)).only_heads


@pytest.mark.parametrize(
    "query",
    [
        lambda ds: ds.filter(IMAGE.width() > 3),
        lambda ds: ds.filter(IMAGE.resize(4, 4).image.width() > 3).drop("image"),
        lambda ds: ds.filter(IMAGE.to_tensor().tensor.mean() > 3).drop("image"),
        lambda ds: ds.filter(pl.col("image").is_not_null()).drop("image"),
        lambda ds: ds.filter(IMAGE.n_frames() > 1).drop("image"),
        lambda ds: ds.select(IMAGE.exif(274)),
        lambda ds: ds.with_columns(copy="image").drop("image"),
        lambda ds: ds.with_columns(small=IMAGE.resize(2, 2)).drop("image"),
        lambda ds: ds.map(lambda row: row, schema={"n": int, "image": ld.image_type()}).drop("image"),
        lambda ds: ds.group_by("n").agg("image"),
        lambda ds: ds.sort("image").drop("image"),
        lambda ds: ds.rename({"image": "photo"}).drop("photo"),
    ],
)
def test_whole_files_are_read_where_more_is_asked(query):
    """Pixels, frames, EXIF, functions and the column itself need whole files."""
    plan = query(ld.Dataset(DECODE))._plan
    assert header_only_attributes(plan) is None


@pytest.mark.parametrize(
    "change", [{"on_error": "null"}, {"on_error": "skip"}, {"size": (3, 3)}, {"exif_transpose": False}]
)
def test_a_decode_that_looks_at_pixels_needs_whole_files(change):
    """Where images are decoded to find failing rows, or to change them, whole files are read."""
    plan = ld.Dataset(replace(DECODE, **change)).filter(IMAGE.width() > 3).drop("image")._plan
    assert header_only_attributes(plan) is None


def test_headers_are_read_once_and_bytes_are_kept(tmp_path):
    """A filter on sizes reads each header once; only what it keeps is decoded; no file is opened twice."""
    for width in range(1, 9):
        Image.new("RGB", (width, 3)).save(tmp_path / f"{width}.jpg")
    query = ld.read_images(tmp_path).filter(IMAGE.width() > 5, IMAGE.height() == 3)
    query = query.select(mean=IMAGE.to_tensor().tensor.mean())
    assert query.collect().height == 3
    stats = query.stats()
    assert (stats.files_opened, stats.headers_read, stats.images_decoded) == (8, 8, 3)


def test_only_the_beginning_of_a_large_photo_is_read(tmp_path):
    """The size of a JPEG of a megabyte costs 64 KiB; that of a PNG, which may turn at its end, the whole file."""
    noise = Image.effect_noise((1200, 900), 90)
    noise.save(tmp_path / "a.jpg", quality=97)
    noise.save(tmp_path / "b.png")
    sizes = {path.suffix: path.stat().st_size for path in tmp_path.iterdir()}
    assert min(sizes.values()) > 1 << 19
    query = ld.read_images(tmp_path).select(IMAGE.width(), h=IMAGE.height(), m=IMAGE.mode(), f=IMAGE.format())
    rows = query.take_all()
    assert rows == [{"image": 1200, "h": 900, "m": "L", "f": kind} for kind in ("jpeg", "png")]
    assert query.stats().bytes_read == (64 << 10) + sizes[".png"]


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
