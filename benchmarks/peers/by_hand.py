"""A process for each core, Pillow, NumPy and pyarrow: what one writes in an afternoon, without an engine."""

from contract import BATCH_ROWS, CORES, SELECTED, SIDE, report, task  # isort: split

import multiprocessing as mp
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from pixels import brighten, classify, load_model

_session = None


def start_worker(model):
    global _session  # noqa: PLW0603 - one for each process
    _session = model and load_model(model)


def decode(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def decode_small(path):
    """Large files are decoded at a part of their size, twice as large as is wanted, as Pillow's ``draft`` does."""
    with Image.open(path) as image:
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def do_batch(job, out, numbered):
    """Do a job on a few files; give their pixels where the job is to hand them over, else their number."""
    number, paths = numbered
    if job == "decode":
        return [decode(path) for path in paths]
    pixels = np.stack([decode_small(path) for path in paths])
    file = os.path.join(out, f"{number:05d}")
    match job:
        case "resize" | "select":
            return pixels
        case "resize_parquet":
            images = pa.FixedSizeListArray.from_arrays(pa.array(pixels.reshape(-1)), SIDE * SIDE * 3)
            pq.write_table(pa.table({"path": paths, "image": images}), f"{file}.parquet")
        case "classify":
            pq.write_table(pa.table({"path": paths, "class": classify(_session, pixels)}), f"{file}.parquet")
        case "transcode":
            for row, image in enumerate(pixels):
                Image.fromarray(image).save(f"{file}-{row:02d}.png")
        case "brightness":
            np.save(f"{file}.npy", brighten(pixels))
    return range(len(paths))


def run(given):
    paths = given.paths()
    if given.job == "count":
        return len(paths)
    if given.job == "first":
        return len([decode(paths[0])])
    if given.job == "select":
        paths = [path for path in paths if SELECTED in os.path.basename(path)]
    batches = [paths[start : start + BATCH_ROWS] for start in range(0, len(paths), BATCH_ROWS)]
    # Copies of this process start fastest, but macOS does not survive them.
    context = mp.get_context("fork" if sys.platform == "linux" else "spawn")
    model = given.model if given.job == "classify" else None
    with ProcessPoolExecutor(CORES, context, start_worker, (model,)) as pool:
        return sum(map(len, pool.map(partial(do_batch, given.job, given.out), enumerate(batches))))


if __name__ == "__main__":
    asked = task()
    started = time.perf_counter()
    report("hand", asked.job, run(asked), started)
