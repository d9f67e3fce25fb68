"""A decode that may fail gives null for what is no image, wherever the chain leads, and says so once."""

import io
import logging

import numpy as np
import polars as pl
import pytest
from PIL import Image

import lightdata as ld

NULL = pl.col("data").image.decode(on_error="null")


@pytest.fixture(params=[(0, True), (0, False), (2, True)], ids=["here", "as written", "workers"], autouse=True)
def _settings(request):
    before = ld.config()
    ld.config(workers=request.param[0], optimize=request.param[1], progress=False)
    yield
    ld.config(workers=before.workers, optimize=before.optimize, progress=before.progress)


def file_of(seed, file_format="JPEG"):
    """Write a picture as a file."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 30, 3), np.uint8)
    Image.fromarray(pixels).save(file, file_format)
    return file.getvalue()


BROKEN = {5: b"", 11: b"no image", 17: file_of(17)[:700], 23: None}


def files():
    """Give files, some of them broken and one missing."""
    return ld.from_items([{"id": n, "data": BROKEN.get(n, file_of(n))} for n in range(40)])


@pytest.mark.parametrize(
    "expr",
    [
        NULL,
        NULL.image.resize(4, 4),
        NULL.image.to_mode("L").image.resize(4, 4).image.to_tensor(),
        NULL.image.to_tensor().tensor.mean(),
        NULL.image.width(),
        NULL.image.encode("png"),
        pl.col("data").image.decode("RGB", on_error="null").image.center_crop(3),
    ],
    ids=["images", "resized", "tensors", "means", "widths", "files", "crops"],
)
def test_what_is_no_image_becomes_null(expr, caplog):
    """Files that are empty, something else or cut short give null in every kind of result, and are told."""
    with caplog.at_level(logging.WARNING, "lightdata"):
        rows = files().select("id", made=expr).take_all()
    assert [row["id"] for row in rows if row["made"] is None] == sorted(BROKEN)
    assert "3 rows failed" in caplog.text


def test_a_row_is_told_once_however_many_results_it_has(caplog):
    """Three results of a broken file are one failure."""
    ds = files().select(NULL.alias("a"), NULL.image.width().alias("b"), NULL.image.resize(2, 2).alias("c"))
    with caplog.at_level(logging.WARNING, "lightdata"):
        ds.take_all()
    assert "3 rows failed" in caplog.text


def test_the_same_pixels_as_a_strict_decode():
    """Files that are whole give the same pixels, decoded once."""
    ds = files().filter(~pl.col("id").is_in(list(BROKEN)))
    strict = pl.col("data").image.decode().image.resize(5, 5).image.to_tensor()
    lenient = NULL.image.resize(5, 5).image.to_tensor()
    rows = ds.select(a=strict, b=lenient).take_all()
    assert all(np.array_equal(row["a"], row["b"]) for row in rows)
    alone = ds.select(NULL.image.resize(5, 5))
    alone.collect()
    assert alone.stats().images_decoded == 36


def test_a_strict_result_of_a_broken_file_is_still_an_error():
    """Leniency is of the one expression that asks for it."""
    with pytest.raises(ld.DecodeError) as caught:
        files().select(NULL.alias("a"), pl.col("data").image.resize(2, 2).alias("b")).take_all()
    assert caught.value.row == 5


def test_steps_after_it_see_nulls():
    """A filter and later operations on the result go on with what is there."""
    ds = files().with_columns(image=NULL).with_columns(small=pl.col("image").image.resize(3, 3))
    assert ds.filter(pl.col("image").is_not_null()).count() == 36
    assert ds.filter(pl.col("image").image.width() == 30).count() == 36
    assert [row["id"] for row in ds.take_all() if row["small"] is None] == sorted(BROKEN)


def test_rows_cannot_be_skipped_in_an_expression():
    """An expression gives a value for each row."""
    with pytest.raises(ld.ArgumentError, match="on_error must be 'raise' or 'null'"):
        pl.col("data").image.decode(on_error="skip")
