"""Rows written as TFRecord files, read back by Protocol Buffers and by the library."""

import datetime as dt
import io
import itertools
import struct

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import lightdata as ld
from lightdata.errors import ArgumentError, EncodeError, SchemaError
from lightdata.io.formats.tfrecord.encode import encode_examples, varint, varints
from lightdata.io.formats.tfrecord.messages import in_usual_layout, parse_example
from lightdata.types.canonical import canonical
from lightdata.types.tensor import fixed_tensors, tensors


def examples(**columns):
    batch = pa.record_batch(columns)
    return [parse_example(content) for content in encode_examples(canonical(batch))]


@settings(deadline=None)
@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1)))
def test_varints_are_those_of_protocol_buffers(numbers):
    """Numbers written at once are those written one by one, the negative ones in ten bytes."""
    content, starts = varints(np.array(numbers, np.int64))
    assert content == b"".join(varint(number & ((1 << 64) - 1)) for number in numbers)
    assert [content[a:b] for a, b in itertools.pairwise(starts)] == [
        varint(number & ((1 << 64) - 1)) for number in numbers
    ]


VALUES = st.fixed_dictionaries(
    {
        "n": st.one_of(st.none(), st.integers(-(1 << 63), (1 << 63) - 1)),
        "f": st.one_of(st.none(), st.floats(width=32, allow_nan=False)),
        "b": st.one_of(st.none(), st.binary(max_size=200)),
        "text": st.one_of(st.none(), st.text(max_size=5)),
        "flag": st.one_of(st.none(), st.booleans()),
        "many": st.one_of(st.none(), st.lists(st.integers(-300, 300), max_size=50)),
        "words": st.one_of(st.none(), st.lists(st.text(max_size=3), max_size=5)),
    }
)
SCHEMA = pa.schema(
    {
        "n": pa.int64(),
        "f": pa.float32(),
        "b": pa.large_binary(),
        "text": pa.large_string(),
        "flag": pa.bool_(),
        "many": pa.large_list(pa.int64()),
        "words": pa.large_list(pa.large_string()),
    }
)
KINDS = {"n": "int64_list", "f": "float_list", "b": "bytes_list", "text": "bytes_list", "flag": "int64_list"}


def as_values(value):
    values = value if isinstance(value, list) else [value]
    return [each.encode() if isinstance(each, str) else each for each in values]


@settings(deadline=None, max_examples=100)
@given(st.lists(VALUES, max_size=6), st.integers(0, 2))
def test_messages_hold_what_the_rows_held(rows, first):
    """Each value that is not null is a feature of the right kind, also of a slice, laid out as everyone does."""
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA).slice(first)
    contents = list(encode_examples(batch))
    assert len(contents) == len(rows[first:])
    for row, content in zip(rows[first:], contents, strict=True):
        found = parse_example(content)
        assert {name: values for name, (_, values) in found.items()} == {
            name: as_values(value) for name, value in row.items() if value is not None
        }
        assert all(kind == KINDS.get(name, kind) for name, (kind, _) in found.items())
        assert len(in_usual_layout(content)) == len(content)


def test_floats_are_rounded_and_keep_what_is_special():
    """float64 and float16 become float32; NaN, infinities and the zero below zero stay."""
    values = [0.1, float("nan"), float("-inf"), -0.0]
    found = examples(x=pa.array(values), y=pa.array([np.float16(0.5)] * 4, pa.float16()))
    expected = [struct.unpack("<f", struct.pack("<f", value))[0] for value in values]
    assert repr([row["x"][1][0] for row in found]) == repr(expected)
    assert found[0]["y"] == ("float_list", [0.5])


def test_tensors_are_written_flat():
    """Tensors of one shape, and those of one dimension, are values row by row; a null one is missing."""
    grid = fixed_tensors(np.arange(12).reshape(2, 2, 3))
    line = tensors([np.array([True, False]), None])
    found = examples(grid=grid, line=line)
    assert found[0] == {"grid": ("int64_list", list(range(6))), "line": ("int64_list", [1, 0])}
    assert found[1] == {"grid": ("int64_list", list(range(6, 12)))}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([1, 1 << 63], pa.uint64()), "row 1: column 'x' has 9223372036854775808, and features hold int64"),
        (pa.array([1.0, 1e300]), r"row 1: column 'x' has 1e\+300, and features hold float32"),
        (pa.array([[1], [2, None]]), "row 1: column 'x' has null in a list"),
        (tensors([np.zeros(1), np.zeros((2, 3))]), r"row 1: column 'x' has tensors of shape \(2, 3\)"),
    ],
)
def test_values_that_no_feature_holds_are_refused(column, message):
    """Values out of range, nulls in lists and tensors that would lose their shapes are errors that name the row."""
    with pytest.raises(EncodeError, match=message):
        examples(x=column)


@pytest.mark.parametrize("value", [dt.date(2026, 1, 1), [[1]], {"a": 1}])
def test_columns_that_no_feature_holds_are_refused_when_the_query_is_built(tmp_path, value):
    """Dates, lists of lists and structs are refused before any row is read."""
    with pytest.raises(SchemaError, match=r"write_tfrecords: column 'x' is .*; a feature holds"):
        ld.from_items([{"x": value}]).write_tfrecords(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("compression", "ending"), [(None, ""), ("GZIP", ".gz"), ("ZLIB", ".zlib")])
def test_what_is_written_is_read_back(tmp_path, compression, ending):
    """Rows, images and tensors come back through files of every compression, the same bytes each time."""
    for number in range(3):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(tmp_path / f"{number}.jpg")
    images = ld.read_images(tmp_path, include_paths=True).with_columns(
        pl.col("path").str.len_chars().cast(pl.Int64).alias("n"),
        ld.col("image").image.resize(2, 2).alias("small"),
    )
    results = [images.write_tfrecords(tmp_path / name, compression=compression) for name in ("out", "again")]
    files = [sorted((tmp_path / name).glob("part-*")) for name in ("out", "again")]
    assert [file.name for file in files[0]] == [f"part-00000.tfrecords{ending}"]
    assert [file.read_bytes() for file in files[0]] == [file.read_bytes() for file in files[1]]
    assert results[0].rows == 3
    rows = ld.read_tfrecords(tmp_path / "out").take_all()
    assert [row["image"] for row in rows] == [(tmp_path / f"{number}.jpg").read_bytes() for number in range(3)]
    assert [row["path"].decode() for row in rows] == [str(tmp_path / f"{number}.jpg") for number in range(3)]
    assert all(Image.open(io.BytesIO(row["small"])).size == (2, 2) for row in rows)
    with pytest.raises(ArgumentError, match="compression is 'GZIP', 'ZLIB' or None; got 'gz'"):
        images.write_tfrecords(tmp_path / "other", compression="gz")


def test_a_tensor_gets_its_shape_back_from_a_schema(tmp_path):
    """Tensors are written flat, and read with the shape that a schema gives them."""
    grids = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    ld.from_numpy(grids).write_tfrecords(tmp_path)
    found = ld.read_tfrecords(tmp_path, schema={"data": ld.tensor_type("float32", (2, 3))})
    assert np.array_equal(np.stack([row["data"] for row in found.take_all()]), grids)
