"""A worker that has too little memory loses the rows there is none for, and no others."""

import resource
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lightdata as ld
from lightdata.config import config_from
from lightdata.execute import processes
from lightdata.execute.processes import shut_down

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems set no limit to another process")

LARGE = ("jpg", "png", "bmp", "tif", "gif")
SMALL_ROWS = 150


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold 150 small images and a broken one, and the same small ones beside five of 18 MB of pixels."""
    root = tmp_path_factory.mktemp("images")
    y, x = np.mgrid[0:2000, 0:3000]
    large = Image.fromarray(np.stack([(x + y) % 256, x % 256, y % 256], -1).astype(np.uint8))
    small = large.crop((0, 0, 60, 40))
    for name in ("small", "mixed"):
        (root / name).mkdir()
        for number in range(SMALL_ROWS):
            small.save(root / name / f"{number:03d}.{'png' if number % 3 else 'jpg'}")
    (root / "small" / "broken.png").write_bytes(b"no image")  # what is loaded for rows that fail is loaded then, too
    for number, ending in enumerate(LARGE):
        options = {"compress_level": 1} if ending == "png" else {}
        large.save(root / "mixed" / f"{number * 30:03d}_large.{ending}", **options)
    return root


@pytest.fixture(autouse=True)
def one_worker():
    """Have one worker, which ends with the test: its limit is not lifted."""
    before = ld.config()
    shut_down()
    ld.config(workers=1, progress=False)
    yield
    config_from(before)
    shut_down()


def leave(free_bytes):
    """Leave the worker so much more address space than it has."""
    (worker,) = [one for one in processes._everyone if one.process.is_alive()]
    (row,) = [row for row in Path(f"/proc/{worker.pid}/status").read_text().splitlines() if row.startswith("VmSize")]
    limit = (int(row.split()[1]) << 10) + free_bytes
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (limit, limit))


def heights(values):
    return [None if value is None else value.shape[0] for value in values]


QUERIES = {
    "null": lambda path: ld.read_images(path, on_error="null"),
    "skip": lambda path: ld.read_images(path, on_error="skip"),
    "size": lambda path: ld.read_images(path, on_error="null", size=(30, 20)),
    "frames": lambda path: ld.read_images(path, on_error="null", frames="all"),
    "expression": lambda path: ld.read_binary_files(path, on_error="null").select(
        ld.col("bytes").image.decode(on_error="null").alias("image")
    ),
}


@pytest.mark.parametrize(
    "free_mb", [10, 40, *(pytest.param(more, marks=pytest.mark.slow) for more in (2, 5, 18, 24, 30, 55, 70, 90, 120))]
)
@pytest.mark.parametrize("query", QUERIES)
def test_rows_without_memory_are_errors_and_others_are_whole(folder, query, free_mb):
    """Whatever cannot be had any more, each row is right or one error, and all small ones are right."""
    QUERIES[query](folder / "small").take_all()  # all is loaded that a worker needs
    leave(free_mb << 20)
    data = QUERIES[query](folder / "mixed")
    found = heights(row["image"] for row in data.iter_rows())
    errors = data.errors()
    right = [height for height in found if height is not None]
    assert len(right) + errors.height == SMALL_ROWS + len(LARGE)
    assert len(found) == SMALL_ROWS + len(LARGE) - (errors.height if query == "skip" else 0)
    assert sum(height == (30 if query == "size" else 40) for height in right) >= SMALL_ROWS
    assert all("_large." in uri for uri in errors["uri"])
    assert set(errors["code"]) <= {"decode_failed", "read_failed", "worker_died"}
    if free_mb in (5, 10):
        assert errors.height >= 3
        assert "MemoryError" in set(errors["cause"])


def test_the_first_row_without_memory_is_named(folder):
    """With "raise" the run ends with an error that names the file and says what was missing."""
    ld.read_images(folder / "small", on_error="null").take_all()
    leave(10 << 20)
    with pytest.raises((ld.DecodeError, ld.ReadError), match=r"_large\.\w+: .*MemoryError"):
        ld.read_images(folder / "mixed").take_all()


def test_a_function_that_wants_too_much_is_told_how_to_have_more(folder):
    """A batch that a worker has no memory for is the function's own error, with a note of what leaves more."""
    ld.read_images(folder / "small", on_error="null").take_all()
    leave(64 << 20)
    with pytest.raises(MemoryError) as caught:
        ld.range(200_000).map_batches(lambda batch: {"x": np.ones(1 << 26)[batch["id"]]}).count()
    assert any("batch_bytes" in note for note in caught.value.__notes__)
