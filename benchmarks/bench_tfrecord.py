"""How fast are TFRecord files read, beside tf.data where TensorFlow is installed?"""

import os

import numpy as np
import polars as pl
import pytest

from lightdata.io.file_format import Part, Request
from lightdata.io.formats.tfrecord.encode import encode_examples
from lightdata.io.formats.tfrecord.format import TFRecordFormat
from lightdata.io.formats.tfrecord.framing import write_record
from lightdata.types.canonical import canonical

SMALL = 200_000
IMAGES = 2_000


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """200,000 records of seven numbers and a word."""
    draw = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "id": np.arange(SMALL),
            "label": draw.integers(0, 1000, SMALL),
            "score": draw.random(SMALL, np.float32),
            "box": draw.random((SMALL, 4), np.float32),
            "name": [f"n{number}" for number in range(SMALL)],
        }
    )
    return write(frame.to_arrow(), tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def images(tmp_path_factory, photos):
    """2,000 records of a photo's bytes and a label."""
    files = [path.read_bytes() for path in sorted(photos.iterdir())]
    frame = pl.DataFrame({"image": [files[n % len(files)] for n in range(IMAGES)], "label": np.arange(IMAGES) % 10})
    return write(frame.to_arrow(), tmp_path_factory.mktemp("images"))


def write(table, folder):
    path = folder / "all.tfrecords"
    with path.open("wb") as file:
        for batch in canonical(table).to_batches():
            file.writelines(map(write_record, encode_examples(batch)))
    return str(path)


def by_lightdata(path, _features):
    """Read in one process, every value of every column."""
    known = TFRecordFormat().learned(path, None)
    request = Request(columns=None, batch_rows=4096)
    return sum(batch.num_rows for batch in known.read(path, None, Part(None), request))


def by_tensorflow(path, features, *, batch_rows=1024):
    """Read and parse as TensorFlow's guide says, batch by batch, with as many threads as it likes."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tf = pytest.importorskip("tensorflow")
    known = {name: tf.io.FixedLenFeature(shape, getattr(tf, kind)) for name, (shape, kind) in features.items()}
    ds = tf.data.TFRecordDataset(path).batch(batch_rows).map(lambda records: tf.io.parse_example(records, known))
    return sum(int(batch["label"].shape[0]) for batch in ds.prefetch(2))


READERS = pytest.mark.parametrize("reader", [by_lightdata, by_tensorflow])


@READERS
def test_read_small_records(benchmark, small, reader):
    """Records of seven numbers and a word."""
    benchmark.group = f"{SMALL} small records"
    features = {
        "id": ((), "int64"),
        "label": ((), "int64"),
        "score": ((), "float32"),
        "box": ((4,), "float32"),
        "name": ((), "string"),
    }
    assert benchmark.pedantic(reader, (small, features), rounds=5, warmup_rounds=1) == SMALL


@READERS
def test_read_image_records(benchmark, images, reader):
    """Records of a photo, not decoded."""
    benchmark.group = f"{IMAGES} image records"
    features = {"image": ((), "string"), "label": ((), "int64")}
    assert benchmark.pedantic(reader, (images, features), rounds=5, warmup_rounds=1) == IMAGES


def test_write_small_records(benchmark, small):
    """Records of seven numbers and a word, as bytes in memory, one core."""
    known = TFRecordFormat().learned(small, None)
    (batch,) = known.read(small, None, Part(None), Request(columns=None, batch_rows=SMALL, n_rows=1))
    benchmark.group = f"{batch.num_rows} small records, written"
    benchmark(lambda: sum(len(write_record(content)) for content in encode_examples(batch)))
