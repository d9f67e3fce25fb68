"""The nine jobs that other systems do too, as one writes them with lightdata: ``python jobs.py JOB IMAGES MODEL OUT``.

Prints one line of JSON: what was done, the rows, the seconds of the import and of the job.
"""

import time

START = time.perf_counter()

import json  # noqa: E402 - the imports are part of what is timed
import sys  # noqa: E402

from lightdata import col, read_images  # noqa: E402

SIZE = 224


def brighten(batch):
    import numpy as np

    return {"image": np.clip(batch["image"].astype(np.int16) + 4, 0, 255).astype(np.uint8)}


def main(job: str, images: str, model: str, out: str) -> int:
    """Do a job and count its rows."""
    ds = read_images(images, mode="RGB", include_paths=True)
    resized = ds.with_columns(col("image").image.resize(SIZE, SIZE))
    match job:
        case "first":
            return len(ds.take(1))
        case "count":
            return ds.count()
        case "decode":
            return sum(len(batch["image"]) for batch in ds.iter_batches(batch_size=32))
        case "resize":
            return sum(len(batch["image"]) for batch in resized.iter_batches(batch_size=32))
        case "resize_parquet":
            return resized.write_parquet(out).rows
        case "classify":
            classes = resized.infer(model, "image", top_k=1).select("path", col("label").alias("class"))
            return classes.write_parquet(out).rows
        case "transcode":
            return resized.write_images(out, "image", file_format="png").rows
        case "brightness":
            return resized.map_batches(brighten).write_numpy(out, "image").rows
        case "select":
            wanted = resized.filter(col("path").str.split("/").list.last().str.contains("n02"))
            return sum(len(batch["image"]) for batch in wanted.iter_batches(batch_size=32))
    raise SystemExit(f"no job {job!r}")


if __name__ == "__main__":
    started = time.perf_counter()
    rows = main(*sys.argv[1:5])
    seconds = {"start_s": round(started - START, 3), "job_s": round(time.perf_counter() - started, 3)}
    print(json.dumps({"system": "lightdata", "job": sys.argv[1], "rows": rows} | seconds))
