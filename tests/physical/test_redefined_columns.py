"""A chain means its columns as they are at its own step; images of many types meet."""

import numpy as np
import polars as pl
import pytest
from PIL import Image

import lightdata as ld
from lightdata.physical import builder

IMAGE = pl.col("image").image


@pytest.fixture(autouse=True, params=[True, False], ids=["optimized", "as written"])
def _inline(request, monkeypatch):
    for name in ("TASK_ROWS", "PLAIN_TASK_ROWS", "LIGHT_TASK_ROWS"):
        monkeypatch.setattr(builder, name, 2)
    before = ld.config()
    ld.config(workers=0, progress=False, optimize=request.param)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=before.optimize)


@pytest.fixture
def images(tmp_path):
    for number, mode in enumerate(("RGB", "L", "RGBA", "RGB")):
        Image.new(mode, (4 + number, 3)).save(tmp_path / f"{number}.png")
    return ld.read_images(tmp_path, include_paths=True)


def column(ds, name):
    return ds.collect()[name].to_list()


def test_the_same_words_before_and_after(images):
    """The same chain on either side of a new image is two columns."""
    ds = images.with_columns(w=IMAGE.width()).with_columns(image=IMAGE.resize(2, 9)).with_columns(v=IMAGE.width())
    assert column(ds, "w") == [4, 5, 6, 7]
    assert column(ds, "v") == [9, 9, 9, 9]
    assert column(ds.filter((pl.col("v") == 9) & (IMAGE.width() == 9)).filter(pl.col("w") > 5), "w") == [6, 7]
    assert column(ds.select("w", "v", now=IMAGE.width()), "now") == [9, 9, 9, 9]


def test_one_step_reads_its_input(images):
    """In one step every chain reads the images that came in."""
    ds = images.with_columns(IMAGE.resize(2, 2), w=IMAGE.width(), v=IMAGE.resize(1, 8).image.width() + IMAGE.width())
    assert column(ds, "w") == [4, 5, 6, 7]
    assert column(ds, "v") == [12, 13, 14, 15]
    assert column(ds.with_columns(u=IMAGE.width()), "u") == [2, 2, 2, 2]


def test_a_filter_reads_the_image_of_its_step(images):
    """A filter after a new image asks the new one, and one before it the old one."""
    after = images.with_columns(image=IMAGE.resize(5, 5)).filter(IMAGE.width() == 5)
    before = images.filter(IMAGE.width() == 5).with_columns(image=IMAGE.resize(5, 5))
    assert after.count() == 4
    assert before.count() == 1
    assert images.filter(IMAGE.width() > 4).with_columns(IMAGE.center_crop(2)).filter(IMAGE.width() == 2).count() == 3


def test_renamed_images(images):
    """A chain on a new name is the image that has it, also where names are swapped."""
    ds = images.with_columns(small=IMAGE.resize(1, 1)).rename({"small": "image", "image": "small"})
    assert column(ds.select(w=IMAGE.width()), "w") == [1, 1, 1, 1]
    assert column(ds.filter(pl.col("small").image.width() > 5).select(w=IMAGE.width()), "w") == [1, 1]
    assert column(ds.rename({"image": "a", "small": "image"}).filter(IMAGE.width() > 5), "path") == column(
        images.filter(IMAGE.width() > 5), "path"
    )


def test_a_column_that_replaces_the_image(images):
    """An image column may become a number, and a number an image."""
    ds = images.with_columns(image=IMAGE.width())
    assert column(ds.filter(pl.col("image") > 5), "image") == [6, 7]
    back = (
        images.with_columns(path=pl.col("image")).with_columns(image=pl.lit(1)).filter(pl.col("path").image.width() > 5)
    )
    assert back.count() == 2


def test_aggregates_of_images_across_a_redefinition(images):
    """Aggregates read the image of their own step."""
    wide = images.filter(IMAGE.width() == IMAGE.width().max())
    assert wide.count() == 1
    ds = images.with_columns(image=IMAGE.resize(2, 2)).filter(IMAGE.width() == IMAGE.width().max())
    assert ds.count() == 4
    assert images.with_columns(m=IMAGE.width().max(), image=IMAGE.resize(2, 2)).select(
        pl.col("m").first(), w=IMAGE.width().sum()
    ).take_all() == [{"m": 7, "w": 8}]


def test_functions_between_chains(images):
    """A function that makes a new image is what later chains read."""

    def smaller(row):
        return {"image": np.zeros((2, 3, 3), np.uint8), "w": row["image"].shape[1]}

    ds = images.map(smaller, schema={"image": ld.image_type(), "w": int})
    assert column(ds.select(IMAGE.width()), "image") == [3, 3, 3, 3]
    assert column(ds.filter(IMAGE.width() == 3).filter(pl.col("w") > 5), "w") == [6, 7]
    unknown = images.map(smaller).with_columns(v=IMAGE.width()).filter(pl.col("v") == 3)
    assert column(unknown, "w") == [4, 5, 6, 7]


def test_when_mixes_images_of_all_types(images):
    """Branches of different modes and sizes make one column of images, each as its branch made it."""
    ds = images.with_columns(
        out=pl.when(IMAGE.width() < 5)
        .then(IMAGE.resize(2, 2))
        .when(IMAGE.width() < 6)
        .then(IMAGE.to_mode("L").image.resize(1, 7))
        .otherwise(pl.col("image"))
    )
    assert [row["out"].shape for row in ds.take_all()] == [(2, 2, 3), (1, 7), (3, 6, 4), (3, 7, 3)]
    assert column(ds.select(pl.col("out").image.width()), "out") == [2, 7, 6, 7]


def test_null_branches_are_null_images(images):
    """A branch that is missing gives null, and coalesce fills it."""
    some = pl.when(IMAGE.width() > 5).then(IMAGE.resize(2, 2))
    ds = images.with_columns(some=some).with_columns(all=pl.coalesce("some", "image"))
    assert column(ds.select(pl.col("some").image.width()), "some") == [None, None, 2, 2]
    assert column(ds.select(pl.col("all").image.width()), "all") == [4, 5, 2, 2]


def test_images_of_two_queries_are_concatenated(images):
    """Through Polars, images of two queries and sizes make one table once they are plain images."""
    parts = [
        images.filter(IMAGE.width() < 6).select(
            image=pl.when(IMAGE.width() > 0).then(IMAGE.to_mode("L")).otherwise(pl.col("image"))
        ),
        images.filter(IMAGE.width() >= 6).select("image"),
    ]
    whole = ld.from_polars([part.collect() for part in parts])
    assert column(whole.select(IMAGE.width()), "image") == [4, 5, 6, 7]
    assert [row["image"].shape for row in whole.take_all()] == [(3, 4), (3, 5), (3, 6, 4), (3, 7, 3)]
