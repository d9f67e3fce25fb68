"""Daft on its native runner, with its own image expressions; it has no writer of NumPy files."""

from contract import BATCH_ROWS, SELECTED, SIDE, report, task  # isort: split

import time

import daft
import numpy as np
from daft import DataType, col
from daft.functions import decode_image, download, encode_image, resize, upload
from pixels import classify, load_model


@daft.cls
class Classifier:
    """A model that a worker keeps."""

    def __init__(self, model):
        self.session = load_model(model)

    @daft.method.batch(return_dtype=DataType.int64())
    def __call__(self, image):
        values = np.asarray(image.to_arrow().storage.flatten())
        return classify(self.session, values.reshape(len(image), SIDE, SIDE, 3))


def decoded(files):
    return files.select("path", decode_image(download(col("path")), mode="RGB").alias("image"))


def resized(files):
    # Without batches of a few rows, it holds the pixels of many at once.
    return decoded(files).into_batches(2 * BATCH_ROWS).with_column("image", resize(col("image"), SIDE, SIDE))


def consume(frame):
    return sum(batch.num_rows for batch in frame.to_arrow_iter())


def run(given):
    files = daft.from_glob_path(given.images + "/*")
    match given.job:
        case "first":
            return len(decoded(files).limit(1).to_pydict()["image"])
        case "count":
            return files.count_rows()
        case "decode":
            return consume(decoded(files))
        case "resize":
            return consume(resized(files))
        case "select":
            return consume(resized(files.where(col("path").contains(f"/{SELECTED}"))))
        case "resize_parquet":
            resized(files).write_parquet(given.out)
        case "classify":
            classes = Classifier(given.model)(col("image")).alias("class")
            resized(files).select("path", classes).write_parquet(given.out)
        case "transcode":
            return consume(resized(files).select(upload(encode_image(col("image"), "png"), given.out)))
        case job:
            raise SystemExit(f"Daft has no {job}")
    return len(given.paths())


if __name__ == "__main__":
    asked = task()
    started = time.perf_counter()
    report("daft", asked.job, run(asked), started)
