"""Ray Data, as its guide "Working with Images" writes it."""

from contract import BATCH_ROWS, CORES, SELECTED, SIDE, report, task  # isort: split

import os
import time

import numpy as np
import ray
from PIL import Image
from pixels import brighten, classify, load_model


def resize(row):
    image = Image.fromarray(row["image"]).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return row | {"image": np.asarray(image)}


class Classifier:
    """A model that an actor keeps."""

    def __init__(self, model):
        self.session = load_model(model)

    def __call__(self, batch):
        return {"path": batch["path"], "class": classify(self.session, batch["image"])}


def is_selected(row):
    return SELECTED in os.path.basename(row["path"])


def brightened(batch):
    return {"image": brighten(batch["image"])}


def consume(ds):
    return sum(len(batch["image"]) for batch in ds.iter_batches(batch_size=BATCH_ROWS))


def run(given):
    extensions = ["jpg", "jpeg", "JPG", "JPEG"]
    ds = ray.data.read_images(given.images, mode="RGB", include_paths=True, file_extensions=extensions)
    rows = len(given.paths())
    match given.job:
        case "first":
            return len(ds.take(1))
        case "count":
            return ds.count()
        case "decode":
            return consume(ds)
        case "resize":
            return consume(ds.map(resize))
        case "select":
            return consume(ds.filter(is_selected).map(resize))
        case "resize_parquet":
            ds.map(resize).write_parquet(given.out)
        case "classify":
            # Half a core each by its books, as reading needs cores too; ONNX Runtime takes a thread.
            actors = {"fn_constructor_args": [given.model], "concurrency": CORES, "num_cpus": 0.5}
            ds.map(resize).map_batches(Classifier, batch_size=BATCH_ROWS, **actors).write_parquet(given.out)
        case "transcode":
            ds.map(resize).write_images(given.out, column="image", file_format="png")
        case "brightness":
            ds.map(resize).map_batches(brightened).write_numpy(given.out, column="image")
    return rows


if __name__ == "__main__":
    asked = task()
    ray.init(num_cpus=CORES, logging_level="ERROR", include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    started = time.perf_counter()
    report("ray", asked.job, run(asked), started)
