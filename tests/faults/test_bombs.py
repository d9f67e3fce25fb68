"""Small files that ask for much are refused before the memory is taken, by an error that names the limit."""

import json
import os
import subprocess
import sys
from functools import cache
from typing import NamedTuple

import pytest
from bombs import gif, write_files, write_sound, write_tables

import lightdata as ld

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is measured as Linux tells it")

# In a process of its own, where nothing else takes memory; its highest mark is set back before each file.
READ = """
import json, sys, time
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from PIL import Image
import lightdata as ld

ld.config(workers=0, progress=False)
folder = Path(sys.argv[1])
READERS = {
    "csv.gz": ld.read_csv, "txt.gz": ld.read_text, "jsonl.gz": ld.read_json, "json.gz": ld.read_json,
    "npy": ld.read_numpy, "npz": ld.read_numpy, "parquet": ld.read_parquet,
    "arrow": ld.read_arrow, "arrows": ld.read_arrow, "tfrecord.gz": ld.read_tfrecords, "tfrecord": ld.read_tfrecords,
}


def status(name):
    (row,) = [row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(name)]
    return int(row.split()[1]) << 10


def read(path, **options):
    reader = READERS.get(path.name.partition(".")[2], ld.read_images)
    try:
        data = reader(path, on_error="skip", **options)
        rows = sum(batch.num_rows for batch in data.iter_batches(batch_size=None, batch_format="pyarrow"))
        errors = data.errors()
    except ld.LightdataError as error:
        return 0, [getattr(error, "code", type(error).__name__)], str(error)
    return rows, errors["code"].to_list(), " ".join(errors["message"])


for path in sorted((folder / "sound").iterdir()):
    read(path)
    if path.suffix in (".png", ".gif"):
        read(path, frames="all")
for path in sorted(folder.glob("*.*")):
    for options in ({}, {"frames": "all"}) if path.suffix in (".png", ".gif", ".jpg", ".tif") else ({},):
        Path("/proc/self/clear_refs").write_text("5")
        before, started = status("VmRSS"), time.perf_counter()
        rows, codes, message = read(path, **options)
        seconds = time.perf_counter() - started
        print(json.dumps([path.name, rows, codes, message, seconds, status("VmHWM") - before]), flush=True)
"""

SETTINGS = {
    **dict.fromkeys(("gif.gif", "jpeg.jpg", "tiff.tif", "png_8289.png"), "max_image_expansion"),
    **dict.fromkeys(("gif_larger.gif", "png.png"), "max_image_pixels"),
    **dict.fromkeys(("hole.jpg", "hole.npy"), "max_file_bytes"),
    **dict.fromkeys(("csv.csv.gz", "txt.txt.gz", "jsonl.jsonl.gz", "json.json.gz"), "max_expansion"),
    **dict.fromkeys(("gzip.tfrecord.gz", "zlib.tfrecord", "member.tar.gz", "name.tar.gz"), "max_expansion"),
    **dict.fromkeys(("member.zip", "array.npz", "plain.parquet", "lists.parquet"), "max_expansion"),
    **dict.fromkeys(("file.arrow", "stream.arrows", "dictionary.arrow"), "max_expansion"),
    "frames.gif": "max_frames",
}
"""Which setting each is refused by."""

DAMAGED = {
    "ztxt.png": "compressed text",
    "itxt.png": "compressed text",
    "one_ztxt.png": "Decompressed data too large",
    "iccp.png": "Decompressed data too large",
    "overlapping.zip": "overlap",
    "crowded.zip": "1,000,001 members",
    "shape.npy": "cut off",
    "overflow.npy": "cut off",
    "nothing.npy": "take no bytes",
}
"""What is said of those that are refused whatever the settings are."""


class Read(NamedTuple):
    """What became of one file."""

    rows: int
    codes: list
    message: str
    seconds: float
    nbytes: int


@pytest.fixture(scope="module")
def read_once(tmp_path_factory):
    """Read every bomb once, images also frame by frame; those that take seconds to make when they are asked for."""

    @cache
    def read(are_tables):
        folder = tmp_path_factory.mktemp("bombs")
        (write_tables if are_tables else write_files)(folder)
        write_sound(folder / "sound")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", READ, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        results = {}
        for name, *rest in map(json.loads, done.stdout.splitlines()):
            results.setdefault(name, []).append(Read(*rest))
        assert results.keys() == {name for name in ALL if is_table(name) == are_tables}
        return results

    return read


def is_table(name):
    return name.endswith((".parquet", ".arrow", ".arrows")) or name == "crowded.zip"


def marked(names):
    return [pytest.param(name, marks=pytest.mark.slow) if is_table(name) else name for name in names]


ALL = {*SETTINGS, *DAMAGED, "repeated.parquet"}


@pytest.mark.parametrize("name", marked(SETTINGS))
def test_a_bomb_is_refused_by_the_limit_it_goes_beyond(read_once, name):
    """The error has a code of its own, the setting, its value, what was found, and how to raise it."""
    found = read_once(is_table(name))[name]
    for read in found[-1:] if name == "frames.gif" else found:
        setting = SETTINGS[name]
        assert set(read.codes) == {"over_limit"}, read
        assert f"more than {setting}={getattr(ld.Config(), setting)}; " in read.message
        assert f"config({setting}=...)" in read.message or "no image so large" in read.message


@pytest.mark.parametrize("name", marked(DAMAGED))
def test_a_bomb_that_is_damage_is_refused_as_such(read_once, name):
    """What no setting would make good is an error that says what is wrong."""
    for read in read_once(is_table(name))[name]:
        assert (read.rows, len(read.codes)) == (0, 1)
        assert DAMAGED[name] in read.message


@pytest.mark.parametrize("are_tables", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_bomb_costs_little(read_once, are_tables):
    """None takes 64 MB more than a small sound file, or two seconds; what can be read takes some pieces of it."""
    found = read_once(are_tables)
    cost = {name: max(read.nbytes for read in reads) >> 20 for name, reads in found.items()}
    late = {name: max(read.seconds for read in reads) for name, reads in found.items() if name != "repeated.parquet"}
    assert {name: size for name, size in cost.items() if size >= (250 if name == "repeated.parquet" else 64)} == {}
    assert {name: seconds for name, seconds in late.items() if seconds > 2} == {}


@pytest.mark.slow
def test_a_value_that_stands_in_every_row_is_read_a_few_rows_at_a_time(read_once):
    """A Parquet file of a kilobyte whose 300 rows hold 900 kB each gives them all, in far less memory."""
    (read,) = read_once(True)["repeated.parquet"]
    assert (read.rows, read.codes) == (300, [])


def test_limits_reach_workers_and_can_be_raised(tmp_path, settings):
    """What a worker refuses under one setting it takes under another; the run goes on behind it."""
    for number in range(200):
        (tmp_path / f"{number:03d}.gif").write_bytes(gif(20, 10))
    (tmp_path / "100_large.gif").write_bytes(gif(5000, 5000))
    ld.config(workers=1, progress=False)
    data = ld.read_images(tmp_path, on_error="null").select(ld.col("image").image.width())
    assert data.collect()["image"].null_count() == 1
    assert data.errors()["code"].to_list() == ["over_limit"]
    ld.config(max_image_expansion=float("inf"))
    assert data.collect()["image"].to_list()[101] == 5000
    ld.config(max_image_pixels=100)
    assert data.collect()["image"].null_count() == 201
    ld.config(max_image_pixels=200, max_file_bytes=10)
    assert data.collect()["image"].null_count() == 201
    assert "more than max_file_bytes=10" in data.errors()["message"][0]
