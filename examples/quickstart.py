"""The whole road on a folder of drawn photos: read, filter, resize, classify, write.

Needs no download and no GPU. Run it with ``make demo``, or ``python examples/quickstart.py [FOLDER]``.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from shapes import draw_folder

import lightdata as ld

COUNT = 300
HERE = Path(__file__).parent


def main(folder: Path) -> None:
    """Draw photos into ``folder``, classify them, and write what was found beside them."""
    shutil.rmtree(folder, ignore_errors=True)
    draw_folder(folder / "photos", COUNT, seed=7)
    print(f"drew {COUNT} photos of shapes into {folder / 'photos'}\n")

    started = time.perf_counter()
    partitioning = ld.Partitioning("dir", field_names=["shape"], base_dir=str(folder / "photos"))
    photos = ld.read_images(folder / "photos", include_paths=True, partitioning=partitioning)
    large = photos.filter(ld.col("image").image.width() >= 96)
    small = large.with_columns(ld.col("image").image.to_mode("RGB").image.resize(64, 64))
    found = small.infer(HERE / "shapes.onnx", "image", top_k=1)

    print("The plan, as it runs:")
    print(found.explain(), "\n")
    print(found.schema(), "\n")
    print("The first predictions:")
    found.drop("path").show(3)

    table = found.write_parquet(folder / "predictions")
    images = small.write_images(folder / "small", "image", "png", name="{shape}/{row:04d}")
    seconds = time.perf_counter() - started

    answers = ld.read_parquet(folder / "predictions").select("shape", "label").collect()
    right = (answers["shape"] == answers["label"]).mean()
    print(f"\nwrote {table.rows} predictions to {table.path} and {images.rows} images to {images.path}")
    print(f"{right:.1%} right, in {seconds:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "out")
