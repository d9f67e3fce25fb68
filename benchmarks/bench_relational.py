"""What does a sort of photos hold, and what does a selection open?"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lightdata as ld

COPIES = 10

NAMES = r"n02|[05]\.jpg$"

PEAK = """
import re, sys
import lightdata as ld
if __name__ == "__main__":
    ld.config(workers=2, progress=False, optimize=sys.argv[2] != "as written")
    ds = ld.read_images(sys.argv[1], include_paths=True)
    ds = ds.with_columns(label=ld.col("path").str.extract("([0-9])[^0-9]*$"))
    if sys.argv[2] == "paths":
        ds = ds.select("path", "label").sort("label")
    else:
        ds = ds.sort("label").with_columns(mean=ld.col("image").image.to_tensor().tensor.mean()).drop("image")
    rows = sum(batch.num_rows for batch in ds.iter_batches(batch_format="pyarrow"))
    # Not getrusage: that of a new process begins with the peak of the one that started it.
    print(rows, re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


@pytest.fixture
def many_photos(photos, tmp_path):
    """Thousands of names for the photos there are."""
    for number in range(COPIES):
        for photo in photos.iterdir():
            (tmp_path / f"{photo.stem}_{number}{photo.suffix}").symlink_to(photo)
    return tmp_path


def peak_bytes(folder, what):
    """Run a sort in a fresh process and give its peak resident set."""
    command = [sys.executable, "-c", PEAK, str(folder), what]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own script
    rows, kilobytes = map(int, done.stdout.split())
    assert rows == len(list(folder.iterdir()))
    return kilobytes * 1024


def test_a_sort_by_label_holds_no_pixels(benchmark, many_photos):
    """Peak of the calling process: a sorted folder whose pixels are then looked at, to sorting the paths alone."""
    benchmark.group = "memory of a sort"
    peaks = benchmark.pedantic(
        lambda: {what: peak_bytes(many_photos, what) for what in ("paths", "photos", "as written")}, rounds=1
    )
    benchmark.extra_info |= {f"{what}_mb": round(peak / 2**20) for what, peak in peaks.items()}
    benchmark.extra_info["ratio"] = round(peaks["photos"] / peaks["paths"], 2)


def test_select_opens_what_it_needs(benchmark, photos):
    """Only the images whose names fit: decode, resize, hand to the caller."""
    benchmark.group = "select"
    ld.config(workers=2, progress=False)
    ds = ld.read_images(photos, mode="RGB", include_paths=True).with_columns(ld.col("image").image.resize(224, 224))
    ds = ds.filter(ld.col("path").str.contains(NAMES))
    wanted = [path for path in photos.iterdir() if re.search(NAMES, path.name)]
    rows = benchmark.pedantic(lambda: sum(len(batch["image"]) for batch in ds.iter_batches()), rounds=5)
    stats = ds.stats()
    assert rows == len(wanted) == stats.files_opened == stats.images_decoded
    assert stats.bytes_read == sum(os.stat(path).st_size for path in wanted)
    benchmark.extra_info |= {"files": len(list(Path(photos).iterdir())), "opened": stats.files_opened}
