"""What decoders warn of is told once a run, by kind, and can be asked for; it is never printed by workers."""

import io
import logging
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import lightdata as ld
from lightdata.config import config_from
from lightdata.kernels.warned import MOST_KINDS, NAMES, Warned
from lightdata.report.run_log import RunLog

EXIF = b"Exif\0\0II*\0" + struct.pack("<IHHHIIHHIII", 8, 2, 0x010F, 2, 500_000, 8, 0x0112, 3, 1, 1, 0)
TAG, FAX = "Tag data larger than file. Skipping tag 271", "Fax4Decode: Bad code word at line"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold 40 sound images, twelve with a corrupt EXIF tag and one fax with bad lines."""
    folder = tmp_path_factory.mktemp("odd")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))
    for number in range(40):
        picture.save(folder / f"sound{number:02d}.jpg")
    for number in range(12):
        picture.save(folder / f"exif{number:02d}.png", exif=EXIF)
    out = io.BytesIO()
    picture.convert("1").save(out, "TIFF", compression="group4")
    data = bytearray(out.getvalue())
    data[20] ^= 0xFF
    (folder / "fax.tif").write_bytes(data)
    return folder


@pytest.fixture(params=[0, 1, 2], autouse=True)
def workers(request):
    """Run each test here, with one worker and with two."""
    before = ld.config()
    ld.config(workers=request.param)
    yield request.param
    config_from(before)


def by_kind(data):
    """Give, for each kind, what it says, how many files there are and the names that are kept."""
    return {
        kind: (message[:20], files, [uri.rpartition("/")[2] for uri in uris])
        for kind, message, files, uris in data.warnings().rows()
    }


def looked_at(folder, tmp_path):
    """Give datasets that decode the same files in different places, each run."""
    images = ld.read_images(folder)
    yield images, images.take_all
    lenient = ld.read_images(folder, on_error="skip")
    yield lenient, lenient.collect
    frames = ld.read_images(folder, frames="all", file_extensions=["png", "tif"])
    yield frames, frames.take_all
    resized = images.select(ld.col("image").image.resize(4, 4))
    yield resized, resized.take_all
    rows = ld.read_images(folder).map(lambda row: {"height": row["image"].shape[0]})
    yield rows, rows.take_all
    batches = ld.read_images(folder).map_batches(lambda batch: {"height": [one.shape[0] for one in batch["image"]]})
    yield batches, batches.take_all
    own = ld.read_binary_files(folder, include_paths=True).map(
        lambda row: {"shape": ld.decode_pixels(row["bytes"]).shape}
    )
    yield own, own.take_all
    written = ld.read_images(folder)
    yield written, lambda: written.write_images(str(tmp_path / "out"), "image")


def test_each_kind_is_listed_with_its_files_wherever_it_is_met(folder, tmp_path):
    """Readers, expressions, functions and writers tell of the same files, by number and first names."""
    names = [f"exif{number:02d}.png" for number in range(NAMES)]
    for data, run in looked_at(folder, tmp_path):
        run()
        assert by_kind(data) == {"UserWarning": (TAG[:20], 12, names), "libtiff": (FAX[:20], 1, ["fax.tif"])}


def test_each_kind_is_told_once_a_run(folder, caplog):
    """The log has one line for each kind, with how many files there are and three of their names."""
    with caplog.at_level(logging.WARNING, "lightdata"):
        data = ld.read_images(folder)
        data.take_all()
    told = [record.getMessage() for record in caplog.records if record.name == "lightdata"]
    assert len(told) == data.warnings().height == 2
    (tag,) = [line for line in told if TAG in line]
    assert "12 files, such as" in tag
    assert all(f"exif{number:02d}.png" in tag for number in range(3))
    assert "exif03" not in tag
    assert "fax.tif" in "".join(told)


def test_few_rows_tell_of_their_files(folder):
    """A query that ends early tells of the files that it looked at."""
    data = ld.read_images(folder, file_extensions=["png"])
    data.take(3)
    (row,) = data.warnings().rows()
    assert row[1] == TAG
    assert row[3][0].endswith("exif00.png")


def test_nothing_is_printed_and_nothing_raised(folder, workers):
    """With warnings as errors, and a file that libtiff would print of, a run is silent but for its log."""
    script = f"""
import logging, sys
logging.getLogger("lightdata").addHandler(logging.StreamHandler(sys.stdout))
import lightdata as ld
ld.config(workers={workers}, progress=False)
data = ld.read_images({str(folder)!r})
print(len(data.take_all()), data.warnings().height)
"""
    command = [sys.executable, "-W", "error", "-W", "ignore:.*considered unstable", "-c", script]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "error"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "53 2"
    assert len(done.stdout.splitlines()) == 3


def test_a_run_without_warnings_lists_none(tmp_path):
    """The frame of no warnings has all columns, and a dataset that has not run has none."""
    Image.new("L", (3, 3)).save(tmp_path / "a.png")
    data = ld.read_images(tmp_path)
    with pytest.raises(ld.NotRunError, match="warnings"):
        data.warnings()
    data.take_all()
    assert data.warnings().columns == ["kind", "message", "files", "uris"]
    assert data.warnings().height == 0


def test_files_are_counted_once_and_add_up():
    """A file that is warned of twice, or by several tasks, is one; those of others are added, whoever was first."""
    one, other = Warned(), Warned()
    for name in ("b", "b", "c"):
        one.note([("UserWarning", "tag 1"), ("UserWarning", "tag 2")], name)
    for name in ("c", "a"):
        other.note([("UserWarning", "tag 7")], name)
    other.note([("UserWarning", "tag 9")], None)
    for both in (one + other, pickle.loads(pickle.dumps(other)) + one, Warned() + one + other):
        ((kind, cases),) = both
        assert (kind.pattern, cases.files) == ("tag #", 3)
        assert [example.uri for example in cases.first] == ["a", "b", "c", None]
        assert cases.first[0].message == "tag 7"


def test_what_is_kept_stays_small():
    """However many kinds and files there are, only the first names and so many kinds are kept; all are counted."""
    warned = Warned()
    for number in range(5000):
        warned.note([("UserWarning", "odd")], f"{number:04d}")
    for number in range(2 * MOST_KINDS):
        warned.note([("UserWarning", "x" * number + "\x1b[2J")], "a")
    assert len(warned.kinds) == MOST_KINDS + 1
    first = next(iter(warned))[1]
    assert (first.files, len(first.first)) == (5000, NAMES)
    assert "\x1b" not in str(warned)
    assert len(pickle.dumps(warned)) < 100_000


def test_many_kinds_are_few_lines(caplog):
    """A run that meets very many kinds tells the commonest and how many more there are."""
    log = RunLog()
    warned = log.stage("decode").warned
    for number in range(60):
        warned.note([("UserWarning", "x" * number)], "a.jpg")
    with caplog.at_level(logging.WARNING, "lightdata"):
        log.tell()
    assert len(caplog.records) == 21
    assert "40 more kinds" in caplog.records[-1].getMessage()
