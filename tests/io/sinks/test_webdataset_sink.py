"""WebDataset shards: what the standard library's tarfile reads, and the conventions of the webdataset package."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import ArgumentError, EncodeError, SchemaError


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for n in range(40):
        pixels = np.random.default_rng(n).integers(0, 256, (8 + n % 3, 9, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{n:02d}.{('jpg', 'png', 'webp', 'gif')[n % 4]}")
    return folder


def members(folder):
    """List names and contents, shard after shard."""
    found = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            found += [(member.name, tar.extractfile(member).read()) for member in tar]
    return found


def samples(folder):
    """Group members as the webdataset package does: up to the first dot of the file's name."""
    rows = {}
    for name, content in members(folder):
        head, _, last = name.rpartition("/")
        stem, _, ending = last.partition(".")
        rows.setdefault(f"{head}/{stem}" if head else stem, {})[ending] = content
    return rows


@pytest.mark.parametrize("workers", [0, 2])
def test_images_keep_their_bytes_and_extensions(tmp_path, photos, workers):
    """Every file's bytes are a member with its own extension, in row order, under the number of the row."""
    ld.config(workers=workers)
    data = ld.read_images(photos, include_paths=True)
    result = data.write_webdataset(tmp_path / "out", extensions={"path": "txt"}, max_rows_per_file=15)
    assert (result.files, result.rows) == (tuple(f"shard-{n:06d}.tar" for n in range(3)), 40)
    rows = samples(tmp_path / "out")
    assert list(rows) == [f"{n:09d}" for n in range(40)]
    for row in rows.values():
        path = Path(row["txt"].decode())
        assert row[path.suffix[1:]] == path.read_bytes()


def test_values_are_written_as_readers_decode_them(tmp_path):
    """Text, integers, json, arrays and bytes have the extensions of WebDataset, by name or by type."""
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    row = {
        "__key__": "dir.x/a",
        "txt": "é",
        "label": 7,
        "meta": {"a": [1, None]},
        "score": 0.5,
        "x": np.ones((2, 3), np.float32),
        "raw": b"\0\1",
        "left.jpg": Image.fromarray(pixels),
        "seg": Image.fromarray(pixels),
        "none": None,
    }
    ld.from_items([row]).map(lambda row: row).write_webdataset(tmp_path)
    (found,) = samples(tmp_path).items()
    key, values = found
    assert key == "dir.x/a"
    assert sorted(values) == ["label.cls", "left.jpg", "meta.json", "raw.bin", "score.json", "seg.png", "txt", "x.npy"]
    assert (values["txt"].decode(), values["label.cls"], values["score.json"]) == ("é", b"7", b"0.5")
    assert json.loads(values["meta.json"]) == {"a": [1, None]}
    assert (np.load(io.BytesIO(values["x.npy"]), allow_pickle=False) == np.ones((2, 3))).all()
    assert values["raw.bin"] == b"\0\1"
    assert (np.asarray(Image.open(io.BytesIO(values["seg.png"]))) == pixels).all()
    assert Image.open(io.BytesIO(values["left.jpg"])).format == "JPEG"


def test_pixels_are_encoded_as_asked(tmp_path):
    """Raw pixels become files of ``image_format``."""
    data = ld.from_numpy({"x": np.zeros((2, 5, 4, 3), np.uint8)}).select(ld.col("x").image.resize(3, 2))
    data.write_webdataset(tmp_path, image_format="webp")
    for row in samples(tmp_path).values():
        assert Image.open(io.BytesIO(row["webp"])).size == (2, 3)
    with pytest.raises(ArgumentError, match="exe"):
        data.write_webdataset(tmp_path, image_format="exe")


def test_shards_are_the_same_in_every_run(tmp_path, photos):
    """Headers tell no time and no owner, so that shards are equal byte for byte, with workers or without."""
    contents = []
    for workers in (0, 2):
        ld.config(workers=workers)
        folder = tmp_path / str(workers)
        ld.read_images(photos).write_webdataset(folder, max_rows_per_file=15)
        contents.append([path.read_bytes() for path in sorted(folder.iterdir())])
        with tarfile.open(folder / "shard-000002.tar") as tar:
            assert {(one.mtime, one.uid, one.gid, one.uname, one.mode) for one in tar} == {(0, 0, 0, "", 0o644)}
    assert contents[0] == contents[1]


BAD = ["", ".", "..", "../x", "/etc/x", "a\0b", "a\\b", ".hidden", "x" * 5000, "a.b", None]


@pytest.mark.parametrize("bad", BAD, ids=repr)
def test_keys_that_are_no_names_are_errors(tmp_path, bad):
    """A key cannot lead out of where a shard is unpacked, nor have a dot where the extension begins."""
    rows = [{"key": "good", "x": 1}, {"key": bad, "x": 2}, {"key": "also", "x": 3}]
    with pytest.raises(EncodeError):
        ld.from_items(rows).write_webdataset(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    result = ld.from_items(rows).write_webdataset(tmp_path / "out", on_error="skip")
    assert list(samples(tmp_path / "out")) == ["good", "also"]
    assert (result.rows, [error.row for error in result.failures]) == (2, [1])


def test_keys_that_repeat_are_errors(tmp_path):
    """Readers would take two rows of one key for one."""
    with pytest.raises(EncodeError, match="two rows"):
        ld.from_items([{"__key__": "a", "x": 1}, {"__key__": "a", "x": 2}]).write_webdataset(tmp_path / "out")


def test_rows_and_errors_are_all_rows(tmp_path):
    """Each row of many tasks is in a shard or in ``errors``, under its number, and the keys have no gap."""
    pixels = [np.zeros((2, 2, 3 + (n % 7 == 3)), np.uint8) for n in range(400)]
    rows = [{"image": Image.fromarray(one), "n": n} for n, one in enumerate(pixels)]
    for workers in (0, 2):
        ld.config(workers=workers)
        folder = tmp_path / str(workers)
        data = ld.from_items(rows)
        result = data.write_webdataset(folder, extensions={"image": "jpg", "n": "cls"}, on_error="skip")
        assert [error.row for error in result.failures] == [n for n in range(400) if n % 7 == 3]
        found = samples(folder)
        assert [int(row["cls"]) for row in found.values()] == [n for n in range(400) if n % 7 != 3]
        assert list(found) == [f"{n:09d}" for n in range(result.rows)]
        assert "JPEG cannot hold RGBA" in str(result.failures[0])


def test_columns_that_make_no_shard_are_refused(tmp_path):
    """Two columns of one extension, and rows with nothing but a key, are told before the query runs."""
    rows = ld.from_items([{"a": "x", "b": "y"}])
    for query, extensions, text in (
        (rows, {"a": "txt", "b": "txt"}, "all be written as 'txt'"),
        (rows.select(ld.col("a").alias("key")), {}, "no column but the key"),
        (rows, {"a": "../txt"}, "extension"),
    ):
        with pytest.raises(SchemaError, match=text):
            query.write_webdataset(tmp_path / "out", extensions=extensions)
    with pytest.raises(ArgumentError, match="__key__"):
        rows.write_webdataset(tmp_path / "out", mode="append")
    with pytest.raises(ArgumentError, match="on_error"):
        rows.write_webdataset(tmp_path / "out", on_error="null")
    assert not (tmp_path / "out").exists()
