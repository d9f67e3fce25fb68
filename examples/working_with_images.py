"""Ray Data's guide "Working with Images", snippet by snippet, with ``lightdata`` in place of ``ray.data``.

Everything runs on collections that are made on the spot; the torch snippet has a torch-free twin here, and is itself in
``working_with_torch.py``. Run it with ``python examples/working_with_images.py [FOLDER]``.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any, Dict

import numpy as np
import onnxruntime
from guide_data import make_collections
from PIL import Image

import lightdata

HERE = Path(__file__).parent


def decode_bytes(row: Dict[str, Any]) -> Dict[str, Any]:
    data = row["image"]
    image = Image.open(io.BytesIO(data))
    row["image"] = np.array(image)
    return row


def increase_brightness(batch: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    batch["image"] = np.clip(batch["image"] + 4, 0, 255)
    return batch


def transform_image(row: Dict[str, Any]) -> Dict[str, Any]:
    small = Image.fromarray(row["image"]).resize((64, 64), Image.Resampling.BILINEAR)
    row["image"] = (np.asarray(small, np.float32).transpose(2, 0, 1) / 255 - 0.5) / 0.5
    return row


class ImageClassifier:
    def __init__(self) -> None:
        self.session = onnxruntime.InferenceSession(HERE / "shapes.onnx", providers=["CPUExecutionProvider"])

    def __call__(self, batch: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        (logits,) = self.session.run(None, {"image": batch["image"]})
        return {"class": logits.argmax(axis=1)}


def main(folder: Path) -> None:
    """Run every snippet."""
    shutil.rmtree(folder, ignore_errors=True)
    make_collections(folder)

    print("--- Reading images: raw images, NumPy, TFRecords, Parquet")
    ds = lightdata.read_images(str(folder / "photos"))
    print(ds.schema())

    ds = lightdata.read_numpy(str(folder / "images.npy"))
    print(ds.schema())

    ds = lightdata.read_tfrecords(str(folder / "tfrecords")).map(decode_bytes)
    print(ds.schema())

    ds = lightdata.read_parquet(str(folder / "parquet"))
    print(ds.schema())

    print("--- Transforming images")
    ds = lightdata.read_images(str(folder / "photos")).map_batches(increase_brightness)
    ds.show(1)

    print("--- Performing inference on images")
    ds = lightdata.read_images(str(folder / "photos")).map(transform_image)
    predictions = ds.map_batches(ImageClassifier, concurrency=2, batch_size=4)
    predictions.show(3)

    print("--- Saving images: images, Parquet, NumPy")
    simple = folder / "simple"
    ds = lightdata.read_images(str(folder / "photos"))
    ds.write_images(str(simple), column="image", file_format="png")
    ds.write_parquet(str(simple))
    ds.write_numpy(str(simple), column="image")
    print(f"{len(list(simple.iterdir()))} files in {simple.name}/")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "out" / "guide")
