"""What is written is read back: every pair of a writer and its reader, over every type that it holds."""

from __future__ import annotations

import datetime as dt
import io
import tempfile

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import lightdata as ld
from lightdata.dataset.run import executed_by
from lightdata.execute.inline import InlineExecutor
from lightdata.types.canonical import canonical
from lightdata.types.image import dynamic_images, fixed_images, raw_image
from lightdata.types.plain_array import plain_array
from lightdata.types.tensor import fixed_tensors, tensors

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
WHOLE = st.integers(-(1 << 63), (1 << 63) - 1)
SEED = st.integers(0, 1000)
TIMES = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))


def pixels(seed, mode="RGB", height=None, width=None):
    chosen = np.random.default_rng(seed)
    height, width = height or int(chosen.integers(1, 6)), width or int(chosen.integers(1, 6))
    channels = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    return chosen.integers(0, 256, (height, width, *channels), np.uint8)


def file(seed, form="PNG"):
    out = io.BytesIO()
    Image.fromarray(pixels(seed)).save(out, form)
    return out.getvalue()


def decoded(files):
    payloads = plain_array([None if one is None else file(*one) for one in files], pa.large_binary())
    return ld.from_arrow(pa.table({"x": payloads})).select(ld.col("x").image.decode()).to_arrow()["x"].combine_chunks()


def of(kind):
    return lambda values: canonical(pa.table({"x": pa.array(values, kind)}))["x"].combine_chunks()


def raw(images):
    return dynamic_images([None if one is None else raw_image(pixels(*one)) for one in images])


def ragged(shapes):
    return tensors([None if one is None else np.ones(one, np.float32) * sum(one) for one in shapes])


MODES = st.sampled_from(["L", "RGB", "RGBA"])
SHAPES = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple)

KINDS = {
    "int64": (WHOLE, of(pa.int64())),
    "uint8": (st.integers(0, 255), of(pa.uint8())),
    "float64": (st.floats(allow_nan=False), of(pa.float64())),
    "float32": (st.floats(width=32, allow_nan=False), of(pa.float32())),
    "finite64": (st.floats(allow_nan=False, allow_infinity=False), of(pa.float64())),
    "finite32": (st.floats(width=32, allow_nan=False, allow_infinity=False), of(pa.float32())),
    "bool": (st.booleans(), of(pa.bool_())),
    "text": (TEXT, of(pa.large_string())),
    "bytes": (st.binary(max_size=6), of(pa.large_binary())),
    "date": (st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1)), of(pa.date32())),
    "time": (TIMES, of(pa.timestamp("us"))),
    "list": (st.lists(WHOLE, max_size=3), of(pa.large_list(pa.int64()))),
    "texts": (st.lists(TEXT, min_size=1, max_size=3), of(pa.large_list(pa.large_string()))),
    "struct": (st.fixed_dictionaries({"a": WHOLE, "b": TEXT}), of(None)),
    "image file": (st.tuples(SEED, st.sampled_from(["PNG", "JPEG", "BMP"])), decoded),
    "pixels": (st.tuples(SEED, MODES), raw),
    "tensor": (SHAPES, ragged),
    "fixed pixels": (SEED, lambda seeds: fixed_images(np.stack([pixels(seed, "RGB", 3, 4) for seed in seeds]), "RGB")),
    "fixed tensor": (SEED, lambda seeds: fixed_tensors(np.stack([np.full((2, 3), seed, np.int16) for seed in seeds]))),
}

ALL = tuple(KINDS)
PLAIN = ("int64", "uint8", "float64", "float32", "bool", "text")
PAIRS = {
    "parquet": (ld.Dataset.write_parquet, ld.read_parquet, ALL),
    "arrow": (ld.Dataset.write_arrow, ld.read_arrow, ALL),
    "csv": (ld.Dataset.write_csv, ld.read_csv, (*PLAIN, "date", "time")),
    "json": (
        ld.Dataset.write_json,
        ld.read_json,
        ("int64", "uint8", "finite64", "finite32", "bool", "text", "date", "list", "texts", "struct"),
    ),
    "tfrecord": (
        ld.Dataset.write_tfrecords,
        ld.read_tfrecords,
        ("int64", "float32", "text", "bytes", "list", "texts"),
    ),
}
NO_NULLS = {"fixed pixels", "fixed tensor"}


@st.composite
def columns(draw, kinds):
    """Give one to three columns of one length, with their kinds; the first one is never null."""
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3))
    rows = draw(st.integers(1, 7))
    made = {"id": pa.array(range(rows), pa.int64())}
    for number, kind in enumerate(chosen):
        values, build = KINDS[kind]
        values = values if kind in NO_NULLS else st.one_of(st.none(), values)
        drawn = draw(st.lists(values, min_size=rows, max_size=rows))
        if all(value is None for value in drawn):
            continue  # text has no types: what only nulls are cannot be told
        made[f"{kind}{number}"] = build(drawn)
    return pa.table(made)


def shown(dataset):
    """Give rows as plain Python, images as pixels."""
    return [{name: plain(value) for name, value in row.items()} for row in dataset.iter_rows()]


def plain(value):
    return (value.dtype.str, value.shape, value.tolist()) if isinstance(value, np.ndarray) else value


def told(table, name):
    """Say what types a reader cannot know: text has none, and records few."""
    kinds = dict(zip(table.schema.names, table.schema.types, strict=True))
    match name:
        case "csv":
            return {"schema_overrides": kinds}
        case "json" | "tfrecord":
            return {"schema": kinds}
    return {}


@pytest.mark.parametrize("name", PAIRS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_rows_that_are_written_are_read(name, data):
    """Rows come back equal, in order and in their types, whatever the columns; those types told that files lack."""
    write, read, kinds = PAIRS[name]
    table = data.draw(columns(kinds))
    with tempfile.TemporaryDirectory() as folder, executed_by(lambda _, log: InlineExecutor(log)):
        before = ld.from_arrow(table)
        write(before, folder)
        after = read(folder, **told(before.to_arrow(), name))
        assert shown(after) == shown(before)
        assert after.to_arrow().schema.equals(before.to_arrow().schema)


@settings(deadline=None, max_examples=40)
@given(data=st.data(), kind=st.sampled_from(["int64", "uint8", "float64", "bool", "text", "date", "time", *NO_NULLS]))
def test_arrays_that_are_written_are_read(data, kind):
    """A column without nulls comes back from NumPy files; pixels as tensors."""
    values, build = KINDS[kind]
    table = pa.table({"data": build(data.draw(st.lists(values, min_size=1, max_size=7)))})
    with tempfile.TemporaryDirectory() as folder, executed_by(lambda _, log: InlineExecutor(log)):
        ld.from_arrow(table).write_numpy(folder, "data")
        assert shown(ld.read_numpy(folder)) == shown(ld.from_arrow(table))


@settings(deadline=None, max_examples=40)
@given(data=st.data(), kind=st.sampled_from(["image file", "pixels", "fixed pixels"]))
def test_images_that_are_written_are_read(data, kind):
    """Images come back pixel by pixel from files of their own, and out of shards with their labels."""
    values, build = KINDS[kind]
    images = build(data.draw(st.lists(values, min_size=1, max_size=7)))
    labels = pa.array(range(len(images)), pa.int64())
    rows = ld.from_arrow(pa.table({"png": images, "cls": labels}))
    with tempfile.TemporaryDirectory() as folder, executed_by(lambda _, log: InlineExecutor(log)):
        rows.write_images(f"{folder}/files", "png")
        expected = shown(rows)
        assert [row["image"] for row in shown(ld.read_images(f"{folder}/files"))] == [row["png"] for row in expected]
        rows.write_webdataset(f"{folder}/shards", extensions={"png": "png"} if kind != "image file" else None)
        found = shown(ld.read_webdataset(f"{folder}/shards"))
        assert [row["cls"] for row in found] == [row["cls"] for row in expected]
        pictures = [next(row[name] for name in row if name not in ("cls", "__key__") and row[name]) for row in found]
        assert pictures == [row["png"] for row in expected]
