"""Parquet files that other libraries wrote."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rows import LABELS, MATRICES, RAGGED, SCORES, TEXTS, jpeg, pixels, png

import lightdata as ld

DATA = Path(__file__).parent / "data"


def test_images_of_hugging_face_are_images():
    """The column that the file's metadata call an image is one, with the files' own bytes; others are as they were."""
    ds = ld.read_parquet(DATA / "huggingface/images.parquet")
    assert str(ds.schema()["image"]) == "Image"
    rows = ds.take_all()
    assert [row["image"] is None for row in rows] == [False] * 4 + [True]
    for number, row in enumerate(rows[:4]):
        np.testing.assert_array_equal(row["image"], pixels(number))
    assert [LABELS[row["label"]] for row in rows[:3]] == list(LABELS)
    np.testing.assert_array_equal([row["matrix"] for row in rows], MATRICES)
    assert [row["text"] for row in rows] == TEXTS
    np.testing.assert_array_equal([row["score"] for row in rows], np.float32(SCORES))


def test_an_empty_list_leaves_columns_as_they_are_stored():
    """With image_columns=[] nothing is taken for an image."""
    ds = ld.read_parquet(DATA / "huggingface/images.parquet", image_columns=[])
    assert ds.take(1)[0]["image"]["bytes"] == png(0)


def test_images_of_daft_are_images():
    """Daft's pixels come back with mode and size; its JPEG decoder scales colours up otherwise than Pillow's."""
    found = ld.read_parquet(DATA / "daft/images.parquet").take_all()
    assert len(found) == len(TEXTS)
    for number, row in enumerate(found):
        expected = np.asarray(Image.open(io.BytesIO(jpeg(number))))
        assert row["image"].shape == expected.shape
        assert np.abs(row["image"].astype(int) - expected).mean() <= 2


@pytest.mark.parametrize("name", ["daft/tensors.parquet", "ray/tensors.parquet"])
def test_tensors_of_one_shape_are_tensors(name):
    """Tensors that Ray and Daft store as lists are tensors of their shape, and bytes can be named as images."""
    ds = ld.read_parquet(DATA / name, image_columns=["bytes"])
    assert str(ds.schema()["matrix"]) == str(ld.tensor_type("float32", (3, 4)))
    np.testing.assert_array_equal([row["matrix"] for row in ds.take_all()], MATRICES)
    np.testing.assert_array_equal(ds.take(1)[0]["bytes"], pixels(0))
    assert ds.select("bytes").to_arrow()["bytes"].combine_chunks().storage.field("payload")[0].as_py() == png(0)


def test_tensors_of_any_shapes_are_tensors():
    """Ray's variable-shaped tensors keep the shape of each row."""
    rows = ld.read_parquet(DATA / "ray/tensors.parquet").take_all()
    for row, expected in zip(rows, RAGGED, strict=True):
        np.testing.assert_array_equal(row["ragged"], expected)


def test_an_image_that_lies_elsewhere_is_an_error_and_not_a_null(tmp_path):
    """A row that names a file and does not hold its bytes says how to read it."""
    features = {"info": {"features": {"image": {"_type": "Image"}}}}
    cells = [{"bytes": jpeg(0), "path": None}, {"bytes": None, "path": "b.jpg"}]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(cells, kind)}).replace_schema_metadata({b"huggingface": json.dumps(features)})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ld.DecodeError, match=r"row 1 names the file 'b\.jpg'.*\.uri\.read"):
        ld.read_parquet(tmp_path).take_all()


@pytest.mark.parametrize("names", [["label"], ["nothing"], ["pages"]])
def test_image_columns_must_hold_bytes(names):
    """A column that is not there, or holds no bytes, is refused when the query is built."""
    with pytest.raises(ld.PlanError, match=names[0]):
        ld.read_parquet(DATA / "huggingface/images.parquet", image_columns=names)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ray.data.arrow_tensor_v2", b"nonsense"),
        ("ray.data.arrow_tensor_v2", b"[5]"),
        ("ray.data.arrow_variable_shaped_tensor", b"2"),
        ("daft.super_extension", b'{"datatype": {"FixedShapeTensor": ["Float32", [7]]}}'),
        ("daft.super_extension", b'{"datatype": {"Image": "RGB"}}'),
        ("datasets.features.features.Array2DExtensionType", b'[[3, 4], "float32"]'),
    ],
)
def test_metadata_that_lie_are_errors(tmp_path, name, told):
    """A column that does not hold what its metadata say is refused with the column's name."""
    field = pa.field(
        "x", pa.list_(pa.int64()), metadata={"ARROW:extension:name": name, "ARROW:extension:metadata": told}
    )
    pq.write_table(pa.Table.from_arrays([pa.array([[1, 2], [3]])], schema=pa.schema([field])), tmp_path / "a.parquet")
    with pytest.raises(ld.LightdataError, match=r"a\.parquet"):
        ld.read_parquet(tmp_path).take_all()
