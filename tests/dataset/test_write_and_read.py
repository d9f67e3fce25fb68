"""What our own readers make of what our writers wrote."""

import numpy as np
import pytest
from PIL import Image

import lightdata as ld


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(12):
        pixels = np.random.default_rng(n).integers(0, 256, (8 + n % 3, 9, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{n:02d}.{('jpg', 'png')[n % 2]}")
    small = ld.col("image").image.to_mode("RGB").image.resize(2, 3).alias("small")
    label = (ld.col("n") % 3).cast(str).alias("label")
    return ld.read_images(folder).with_row_index("n").with_columns(small, label)


@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "arrow"])
def test_partitions_come_back_as_columns(tmp_path, data, kind):
    """Rows in hive folders are read with their label, all of them once."""
    plain = data.select("n", "label")
    getattr(plain, f"write_{kind}")(tmp_path / "out", partition_cols=["label"])
    found = getattr(ld, f"read_{kind}")(tmp_path / "out", partitioning="hive").sort("n").select("n", "label")
    assert found.take_all() == plain.take_all()


@pytest.mark.parametrize("layout", ["lightdata", "huggingface"])
def test_images_come_back_from_both_layouts(tmp_path, data, layout):
    """Image columns are images again, with the same pixels."""
    data.write_parquet(tmp_path / "out", image_layout=layout)
    for one, two in zip(ld.read_parquet(tmp_path / "out").iter_rows(), data.iter_rows(), strict=True):
        assert (one["image"] == two["image"]).all()
        assert (one["small"] == two["small"]).all()
        assert one["label"] == two["label"]


def test_shards_come_back_and_go_out_again(tmp_path, data):
    """A shard that is read and written once more has the same members with the same bytes."""
    data.write_webdataset(tmp_path / "one", extensions={"image": "jpg"})
    ld.read_webdataset(tmp_path / "one").write_webdataset(tmp_path / "two")
    rows = ld.read_webdataset(tmp_path / "two").take_all()
    assert [row["n.cls"] for row in rows] == list(range(12))
    for row, expected in zip(rows, data.iter_rows(), strict=True):
        assert (row["small.png"] == expected["small"]).all()
        assert row["label.txt"] == expected["label"]
