"""Is peak memory flat as the input grows?"""

import json
import sys

import pytest
from process_tree import measure

PHOTOS = 300
"""Those of the smallest input; larger ones name them again."""

PROGRAM = """
import json, sys
import lightdata as ld
if __name__ == "__main__":
    paths, folder, workers = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    ld.config(workers=workers, progress=False)
    photos = ld.read_images([path for _ in range(int(sys.argv[4])) for path in paths], mode="RGB")
    print(photos.with_columns(ld.col("image").image.resize(224, 224)).write_parquet(folder).rows)
"""

_peaks = {}
"""Megabytes of each growth, once they are known."""


@pytest.mark.parametrize("growth", [1, 3, 10])
def test_memory(benchmark, photos, tmp_path, growth):
    """Decode, resize and write as Parquet in a fresh process; the peak of all its processes together."""
    paths = sorted(str(path) for path in photos.iterdir())[:PHOTOS]
    command = [sys.executable, "-c", PROGRAM, json.dumps(paths), str(tmp_path / "out"), "2", str(growth)]
    benchmark.group = "memory as the input grows"
    taken = benchmark.pedantic(measure, (command,), rounds=1)
    assert taken.output.split() == [str(growth * len(paths))], taken.complaint
    _peaks[growth] = round(taken.peak_bytes / 1e6)
    benchmark.extra_info |= {"photos": growth * len(paths), "peak_mb": _peaks[growth]}
    if 1 in _peaks:
        benchmark.extra_info["times the peak of the smallest"] = round(_peaks[growth] / _peaks[1], 2)
