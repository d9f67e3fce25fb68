"""Small collections in every format that the guide reads, made on the spot."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from pathlib import Path

import google_crc32c
import numpy as np
from shapes import CLASSES, draw_shape

import lightdata as ld

COUNT = 40
SIDE = 32


def make_collections(folder: Path) -> None:
    """Write photos, a NumPy file, TFRecords and Parquet of the same pictures into ``folder``."""
    draw = np.random.default_rng(3)
    labels = [int(label) for label in draw.integers(0, len(CLASSES), COUNT)]
    pictures = [draw_shape(CLASSES[label], SIDE, SIDE, draw).convert("RGB") for label in labels]
    for name in ("photos", "tfrecords"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        picture.save(folder / "photos" / f"{number:03d}.jpg")
    pixels = np.stack([np.asarray(picture) for picture in pictures])
    np.save(folder / "images.npy", pixels)
    records = []
    for picture, label in zip(pictures, labels, strict=True):
        out = io.BytesIO()
        picture.save(out, format="PNG")
        records.append(tf_example({"image": out.getvalue(), "label": label}))
    (folder / "tfrecords" / "part-00000.tfrecords").write_bytes(b"".join(map(tf_record, records)))
    table = ld.from_numpy({"image": pixels, "label": np.array(labels)})
    table.write_parquet(folder / "parquet", mode="overwrite")


def tf_example(features: Mapping[str, bytes | int]) -> bytes:
    """Encode a ``tf.train.Example`` (protocol buffers: tag, length, content)."""
    entries = b""
    for name, value in features.items():
        content = _field(1, _field(1, value)) if isinstance(value, bytes) else _field(3, _field(1, bytes([value])))
        entries += _field(1, _field(1, name.encode()) + _field(2, content))
    return _field(1, entries)


def tf_record(content: bytes) -> bytes:
    """Frame one record: length, its checksum, content, its checksum."""
    length = struct.pack("<Q", len(content))
    return length + _masked_crc(length) + content + _masked_crc(content)


def _field(number: int, content: bytes) -> bytes:
    size, rest = b"", len(content)
    while rest > 127:
        size, rest = size + bytes([rest & 127 | 128]), rest >> 7
    return bytes([number << 3 | 2]) + size + bytes([rest]) + content


def _masked_crc(content: bytes) -> bytes:
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
