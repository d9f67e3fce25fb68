"""What other readers see of the Parquet files that are written here: none of them imports lightdata."""

import io
import json
import subprocess
import sys
from pathlib import Path

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
    for n in range(6):
        pixels = np.random.default_rng(n).integers(0, 256, (8 + n % 3, 9, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{n:02d}.{('jpg', 'png')[n % 2]}")
    small = ld.col("image").image.to_mode("RGB").image.resize(2, 3)
    return (
        ld.read_images(folder, include_paths=True)
        .with_columns(small.alias("small"), small.image.to_tensor().alias("t"))
        .with_row_index("n")
    )


def files_of(data):
    return [Path(path).read_bytes() for path in data.select("path").to_arrow()["path"].to_pylist()]


def elsewhere(script, *arguments):
    """Run a script in an interpreter that has not seen lightdata, and take the JSON that it prints."""
    check = "\nimport sys\nassert 'lightdata' not in sys.modules"
    ran = subprocess.run([sys.executable, "-c", script + check, *map(str, arguments)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


PYARROW = """
import json, sys
import pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
table.validate(full=True)
column = table[sys.argv[2]].combine_chunks()
print(json.dumps([str(column.type)[:6], [row[sys.argv[3]].hex() for row in column.to_pylist()]]))
"""

POLARS = """
import json, sys, warnings
warnings.simplefilter("ignore")
import polars as pl
frame = pl.read_parquet(sys.argv[1] + "/*.parquet")
column = frame[sys.argv[2]]
if not isinstance(column.dtype, pl.Struct):
    column = column.ext.storage()
print(json.dumps([str(frame.height), [row.hex() for row in column.struct.field(sys.argv[3])]]))
"""


@pytest.mark.parametrize("script", [PYARROW, POLARS], ids=["pyarrow", "polars"])
@pytest.mark.parametrize(("layout", "field"), [("lightdata", "payload"), ("huggingface", "bytes")])
def test_plain_readers_find_the_bytes_of_files(tmp_path, data, script, layout, field):
    """Pyarrow and Polars alone read image columns as structs whose bytes are those of the files."""
    data.write_parquet(tmp_path / "out", image_layout=layout)
    _, found = elsewhere(script, tmp_path / "out", "image", field)
    assert [bytes.fromhex(one) for one in found] == files_of(data)


def test_pixels_are_png_for_hugging_face(tmp_path, data):
    """Images that are pixels become PNG files in that layout, or what image_format says; tensors become lists."""
    data.write_parquet(tmp_path / "out", image_layout="huggingface")
    data.write_parquet(tmp_path / "webp", image_layout="huggingface", image_format="webp")
    expected = data.take_all()
    for folder, kind in (("out", "PNG"), ("webp", "WEBP")):
        _, found = elsewhere(PYARROW, tmp_path / folder, "small", "bytes")
        images = [Image.open(io.BytesIO(bytes.fromhex(one))) for one in found]
        assert {image.format for image in images} == {kind}
        if kind == "PNG":
            assert all((np.asarray(image) == row["small"]).all() for image, row in zip(images, expected, strict=True))
    import pyarrow.parquet as pq

    tensors = pq.read_table(tmp_path / "out")["t"].to_pylist()
    assert all((np.array(one) == row["t"]).all() for one, row in zip(tensors, expected, strict=True))


def test_tensors_of_many_shapes_are_refused_for_hugging_face(tmp_path):
    """The layout has no word for them; the message says so when the query is built."""
    rows = ld.from_items([{"x": np.zeros((n, 2))} for n in (1, 2)])
    with pytest.raises(ld.SchemaError, match="one shape"):
        rows.write_parquet(tmp_path / "out", image_layout="huggingface")


def test_null_images_are_null_elsewhere(tmp_path):
    """A null is a null struct in both layouts."""
    import pyarrow.parquet as pq

    rows = ld.from_items([{"image": Image.new("L", (2, 2))}, {"image": None}])
    for layout in ("lightdata", "huggingface"):
        rows.write_parquet(tmp_path / layout, image_layout=layout)
        assert pq.read_table(tmp_path / layout)["image"].null_count == 1


def test_hugging_face_datasets_sees_images(tmp_path, data, monkeypatch):
    """load_dataset gives Image features that decode to the same pixels, and the other columns as they were."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    with_null = data.with_columns(ld.when(ld.col("n") == 2).then(None).otherwise("image").alias("maybe"))
    with_null.write_parquet(tmp_path / "out", image_layout="huggingface")
    found = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "out" / "*.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    for name in ("image", "small", "maybe"):
        assert isinstance(found.features[name], datasets.Image)
    for one, two in zip(found, data.iter_rows(), strict=True):
        assert (np.asarray(one["image"]) == two["image"]).all()
        assert (np.asarray(one["small"]) == two["small"]).all()
        assert (np.asarray(one["t"]) == two["t"]).all()
        assert (one["n"], one["path"]) == (two["n"], two["path"])
        assert (one["maybe"] is None) == (one["n"] == 2)


RAY = """
import json, sys
import ray
ray.init(num_cpus=1, include_dashboard=False, configure_logging=False, log_to_driver=False)
rows = ray.data.read_parquet(sys.argv[1]).take_all()
print("\\n" + json.dumps([[row[sys.argv[2]][sys.argv[3]].hex(), row["t"].tolist()] for row in rows]))
"""


@pytest.mark.slow
@pytest.mark.timeout(300)  # Ray starts its processes one by one
@pytest.mark.parametrize(("layout", "field"), [("lightdata", "payload"), ("huggingface", "bytes")])
def test_ray_data_sees_images(tmp_path, data, layout, field):
    """Ray reads both layouts: images as structs with the bytes of the files."""
    pytest.importorskip("ray.data")
    data.write_parquet(tmp_path / "out", image_layout=layout)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RAY, str(tmp_path / "out"), "image", field],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert [bytes.fromhex(one) for one, _ in found] == files_of(data)
    for (_, tensor), row in zip(found, data.iter_rows(), strict=True):
        assert (np.array(tensor) == row["t"]).all()


@pytest.mark.filterwarnings("ignore")  # the package leaves its files open
def test_the_webdataset_package_reads_shards(tmp_path, data):
    """Webdataset decodes images, classes, text and arrays by their extensions."""
    wds = pytest.importorskip("webdataset")
    data.write_webdataset(tmp_path / "out", extensions={"image": "jpg", "n": "cls", "path": "txt", "t": "npy"})
    shards = sorted(map(str, (tmp_path / "out").iterdir()))
    found = list(wds.WebDataset(shards, shardshuffle=False, empty_check=False).decode("rgb8"))
    for one, two in zip(found, data.iter_rows(), strict=True):
        assert (one["cls"], one["txt"]) == (two["n"], two["path"])
        assert (one["npy"] == two["t"]).all()
        assert one["jpg"].shape == two["image"].shape
        assert (one["small.png"] == two["small"]).all()
