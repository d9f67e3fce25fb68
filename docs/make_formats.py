"""Write docs/formats.md: what each format takes and keeps, as the code says and as a round trip shows.

Run ``python docs/make_formats.py`` after a change to a format; a test holds the page to what this would write.
"""

from __future__ import annotations

import datetime as dt
import inspect
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

import lightdata as ld
from lightdata.dataset.run import executed_by
from lightdata.execute.inline import InlineExecutor
from lightdata.io.formats.archived_files import ARCHIVES
from lightdata.io.formats.arrow_ipc import ArrowFormat
from lightdata.io.formats.csv_table import CsvFormat
from lightdata.io.formats.json_lines import JsonFormat
from lightdata.io.formats.numpy import NumpyFormat
from lightdata.io.formats.parquet import ParquetFormat
from lightdata.io.formats.text import TextFormat
from lightdata.io.formats.tfrecord.format import TFRecordFormat
from lightdata.io.formats.webdataset import WebDatasetFormat
from lightdata.read.images import IMAGE_EXTENSIONS
from lightdata.read.options import FileOptions
from lightdata.types.image import dynamic_images, fixed_images, raw_image
from lightdata.types.schema import describe
from lightdata.types.tensor import fixed_tensors, tensors

PAGE = Path(__file__).parent / "formats.md"


class Format(NamedTuple):
    """One format, in and out."""

    name: str
    reader: Callable[..., ld.Dataset]
    endings: tuple[str, ...]
    writer: Callable[..., ld.WriteResult] | None = None
    arguments: dict[str, Any] = {}  # noqa: RUF012 - never changed
    """What the writer is told for a column ``x``."""


FORMATS = (
    Format(
        "Parquet",
        ld.read_parquet,
        ParquetFormat().extensions,
        ld.Dataset.write_parquet,
    ),
    Format("Arrow IPC", ld.read_arrow, ArrowFormat().extensions, ld.Dataset.write_arrow),
    Format("CSV", ld.read_csv, CsvFormat().extensions, ld.Dataset.write_csv),
    Format("JSON", ld.read_json, JsonFormat().extensions, ld.Dataset.write_json),
    Format("TFRecord", ld.read_tfrecords, TFRecordFormat().extensions or ("any",), ld.Dataset.write_tfrecords),
    Format("WebDataset", ld.read_webdataset, WebDatasetFormat().extensions, ld.Dataset.write_webdataset),
    Format("NumPy", ld.read_numpy, NumpyFormat().extensions, ld.Dataset.write_numpy, {"column": "x"}),
    Format("images", ld.read_images, (*IMAGE_EXTENSIONS, *ARCHIVES), ld.Dataset.write_images, {"column": "x"}),
    Format("text", ld.read_text, TextFormat().extensions),
    Format("bytes", ld.read_binary_files, ("any", *ARCHIVES)),
)


def samples() -> dict[str, pa.Array]:
    """Give a column of each kind of value."""
    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    file = io.BytesIO()
    Image.fromarray(pixels[0]).save(file, "PNG")
    shapes = [np.arange(4, dtype=np.float32).reshape(2, 2), np.arange(6, dtype=np.float32).reshape(2, 3)]
    encoded = ld.from_items([{"x": file.getvalue()}] * 2).select(ld.col("x").image.decode()).to_arrow()["x"]
    return {
        "whole numbers": pa.array([1, -(1 << 40)]),
        "small whole numbers": pa.array([1, 2], pa.uint8()),
        "floats": pa.array([0.1, float("nan")]),
        "floats of 32 bits": pa.array([0.1, float("inf")], pa.float32()),
        "truth values": pa.array([True, False]),
        "text": pa.array(["snø", "a,b\n"], pa.large_string()),
        "bytes": pa.array([b"\x00\xff", b"ab"], pa.large_binary()),
        "dates": pa.array([dt.date(2024, 2, 29), dt.date(1969, 1, 1)]),
        "times": pa.array([dt.datetime(2024, 2, 29, 1, 2, 3), dt.datetime(1969, 1, 1)]),
        "nulls among numbers": pa.array([None, 2]),
        "nulls among text": pa.array([None, ""], pa.large_string()),
        "lists": pa.array([[1, 2, 3], [4]], pa.large_list(pa.int64())),
        "structs": pa.array([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        "image files": encoded.combine_chunks(),
        "pixels of any size": dynamic_images([raw_image(pixels[0]), raw_image(pixels[1, :3])]),
        "pixels of one size": fixed_images(pixels, "RGB"),
        "tensors of one shape": fixed_tensors(np.arange(12, dtype=np.float32).reshape(2, 2, 3)),
        "tensors of any shape": tensors(shapes),
    }


def outcome(one: Format, column: pa.Array) -> str:
    """Write a column, read it back, and say what became of it."""
    if one.writer is None:
        return ""
    with tempfile.TemporaryDirectory() as folder:
        dataset = ld.from_arrow(pa.table({"x": column}))
        before = dataset.to_arrow()["x"].combine_chunks()
        try:
            one.writer(dataset, folder, **one.arguments)
        except (ld.PlanError, ld.RowError):
            return "refused"
        found = one.reader(folder).to_arrow()
        (name,) = (name for name in found.schema.names if name != "__key__")
        after = found[name].combine_chunks()
        return "kept" if _same(before, after) else _told(before, after)


def _told(before: pa.Array, after: pa.Array) -> str:
    kind = describe(after.type)
    if before.type == after.type:
        return f"other {kind}"
    return f"as {kind}" if _values(before) == _values(after) or _casts_back(before, after) else f"as {kind}, changed"


def _casts_back(before: pa.Array, after: pa.Array) -> bool:
    """Whether another type holds the same values."""
    if isinstance(before.type, pa.BaseExtensionType) or pa.types.is_nested(before.type):
        return False
    try:
        return bool(_values(after.cast(before.type)) == _values(before))
    except pa.ArrowException:
        return False


def _same(before: pa.Array, after: pa.Array) -> bool:
    return bool(before.type == after.type) and _values(before) == _values(after)


def _values(array: pa.Array) -> str:
    """Write values out, images as their pixels: NaN is like itself there."""
    rows = ld.from_arrow(pa.table({"x": array})).iter_rows()
    return repr([np.asarray(row["x"]).tolist() if hasattr(row["x"], "__array__") else row["x"] for row in rows])


def options(function: Callable[..., Any]) -> str:
    """List the arguments of a reader or writer that are particular to it."""
    common = {"self", "path", "paths", "files", "filesystem", "options", "column", *FileOptions.__annotations__}
    common |= {"mode", "resume"} if function.__name__.startswith("write_") else set()
    names = [name for name in inspect.signature(function).parameters if name not in common]
    return ", ".join(f"`{name}`" for name in names)


def table(header: list[str], rows: list[list[str]]) -> Iterator[str]:
    """Write a table of Markdown."""
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def page() -> str:
    """Write the page."""
    doors = [
        [
            one.name,
            f"`{one.reader.__name__}`",
            options(one.reader),
            "" if one.writer is None else f"`{one.writer.__name__}`",
            "" if one.writer is None else options(one.writer),
            ", ".join(dict.fromkeys(ending.lstrip(".").partition(".")[0] for ending in one.endings)),
        ]
        for one in FORMATS
    ]
    written = [one for one in FORMATS if one.writer is not None]
    kept = [[kind, *(outcome(one, column) for one in written)] for kind, column in samples().items()]
    lines = [
        "# Formats",
        "",
        "Made by `python docs/make_formats.py` from the code and from round trips; do not edit.",
        "",
        "## Doors",
        "",
        f"Every reader also takes {', '.join(f'`{name}`' for name in FileOptions.__annotations__)}; "
        "every writer `mode`, `resume` and `filesystem`. CSV, JSON and text are also read compressed (gz, bz2, zst, "
        "lz4), TFRecord as GZIP and ZLIB, WebDataset as tar.gz.",
        "",
        *table(["format", "read", "its options", "written", "its options", "endings"], doors),
        "",
        "## What is kept",
        "",
        "A column is written and read back with the defaults of both. *kept*: same type, same values, images pixel by "
        "pixel; *as*: in another type; *changed*: and written in another way, or rounded; *refused*: an error that "
        "says what to do instead, before or while writing, and nothing is written.",
        "",
        *table(["column of", *(one.name for one in written)], kept),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with executed_by(lambda _, log: InlineExecutor(log)):
        PAGE.write_text(page())
