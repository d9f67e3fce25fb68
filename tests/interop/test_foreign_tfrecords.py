"""TFRecord files that other libraries wrote, and those that TensorFlow reads."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rows import MATRICES, RAGGED, SCORES, TEXTS, png

import lightdata as ld

DATA = Path(__file__).parent / "data/tensorflow"
COUNT = len(TEXTS)


@pytest.mark.parametrize("name", ["examples.tfrecord", "examples.tfrecord.gz", "examples.tfrecord.zlib"])
def test_examples_of_tensorflow_are_rows(name):
    """Values come back whatever the file is compressed with; what is empty or missing is null."""
    rows = ld.read_tfrecords(DATA / name).take_all()
    assert len(rows) == COUNT
    for number, row in enumerate(rows):
        assert row.pop("tensor").endswith(MATRICES[number].tobytes())
        assert row == {
            "image": png(number),
            "label": number % 3,
            "score": float(np.float32(SCORES[number])),
            "text": TEXTS[number].encode(),
            "ragged": RAGGED[number].reshape(-1).tolist(),
            "empty": None,
            "sometimes": float(number) if number % 2 else None,
        }


def test_sequence_examples_of_tensorflow_are_lists():
    """Steps of one value are a list, however many there are."""
    rows = ld.read_tfrecords(DATA / "sequences.tfrecord", sequences=True).take_all()
    assert rows == [{"label": n % 3, "frames": [png(step) for step in range(n % 3)]} for n in range(COUNT)]


def test_a_file_of_no_records_has_no_rows():
    """What TensorFlow writes for nothing is read as nothing."""
    assert ld.read_tfrecords(DATA / "none.tfrecord").count() == 0


ROWS = [
    {"n": -1, "x": 0.5, "text": "snø 雪", "flag": True, "many": [1, -(1 << 62)], "maybe": None},
    {"n": 1 << 40, "x": -0.0, "text": "", "flag": False, "many": [], "maybe": 3},
]


@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
def test_tensorflow_reads_what_is_written(tmp_path, monkeypatch, compression):
    """TensorFlow's own reader and parser give the rows that were written."""
    monkeypatch.setitem(os.environ, "TF_CPP_MIN_LOG_LEVEL", "3")
    tf = pytest.importorskip("tensorflow")
    ld.from_items(ROWS).write_tfrecords(tmp_path, compression=compression or None)
    features = {
        "n": tf.io.FixedLenFeature([], tf.int64),
        "x": tf.io.FixedLenFeature([], tf.float32),
        "text": tf.io.FixedLenFeature([], tf.string),
        "flag": tf.io.FixedLenFeature([], tf.int64),
        "many": tf.io.RaggedFeature(tf.int64),
        "maybe": tf.io.FixedLenFeature([], tf.int64, default_value=-7),
    }
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    records = [record.numpy() for record in tf.data.TFRecordDataset(files, compression_type=compression)]
    found = [
        {
            name: np.asarray(value.numpy(), object).tolist()
            for name, value in tf.io.parse_single_example(each, features).items()
        }
        for each in records
    ]
    assert found == [
        {**row, "text": row["text"].encode(), "maybe": -7 if row["maybe"] is None else row["maybe"]} for row in ROWS
    ]


def test_what_tensorflow_writes_is_read(tmp_path, monkeypatch):
    """Many examples of TensorFlow's own writer come back, in the order and with the values it gave them."""
    monkeypatch.setitem(os.environ, "TF_CPP_MIN_LOG_LEVEL", "3")
    tf = pytest.importorskip("tensorflow")
    draw = np.random.default_rng(0)
    rows = [
        {"id": n, "x": draw.random(n % 4, np.float32).tolist() or None, "name": str(n).encode() * (n % 50)}
        for n in range(5000)
    ]
    with tf.io.TFRecordWriter(str(tmp_path / "a")) as writer:
        for row in rows:
            feature = {
                "id": tf.train.Feature(int64_list=tf.train.Int64List(value=[row["id"]])),
                "name": tf.train.Feature(bytes_list=tf.train.BytesList(value=[row["name"]])),
                "x": tf.train.Feature(float_list=tf.train.FloatList(value=row["x"] or [])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    assert (
        ld.read_tfrecords(tmp_path / "a", schema={"x": pl.List(pl.Float32), "id": int, "name": bytes}).take_all()
        == rows
    )
