"""Rows twice: as a dataset, and as an eager Polars frame in which an image is the text of its mode, size and pixels.

Columns of images, and of lists of images, are those whose names start with ``im``.
"""

import atexit
import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from hypothesis import strategies as st
from PIL import Image
from polars.testing import assert_frame_equal

import lightdata as ld
from lightdata.io.memory import MemorySource
from lightdata.plan.node import DecodeImages, ReadFiles, Scan
from lightdata.types.image import ImageType, iter_images


def as_text(image):
    """Write a Pillow image as text that is equal if mode, size and pixels are."""
    return f"{image.mode} {image.height} {image.width} {image.tobytes().hex()}"


def as_picture(text):
    """Read the text back."""
    mode, height, width, pixels = text.split(" ")
    return Image.frombytes(mode, (int(width), int(height)), bytes.fromhex(pixels))


def opened(content, mode=None):
    """Open a file with Pillow alone; 1-bit images become grey."""
    image = Image.open(io.BytesIO(content))
    image.load()
    wanted = mode or {"1": "L"}.get(image.mode, image.mode)
    return image if image.mode == wanted else image.convert(wanted)


def _file(mode, height, width, form, seed):
    bits = np.random.default_rng(seed)
    if mode == "I;16":
        image = Image.fromarray(bits.integers(0, 65536, (height, width), dtype=np.uint16))
    else:
        image = Image.fromarray(bits.integers(0, 256, (height, width, 4), dtype=np.uint8)).convert(mode)
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


KINDS = (
    ("L", 1, 1, "PNG"),
    ("RGB", 2, 3, "PNG"),
    ("RGB", 6, 5, "JPEG"),
    ("RGBA", 3, 2, "PNG"),
    ("1", 4, 4, "PNG"),
    ("LA", 2, 2, "PNG"),
    ("I;16", 3, 4, "PNG"),
    ("L", 5, 1, "JPEG"),
)
FILES = tuple(_file(*kind, seed) for seed, kind in enumerate(KINDS))
TEXTS = tuple(as_text(opened(content)) for content in FILES)

_FOLDER = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
PATHS = tuple(str(_FOLDER / f"{number}.img") for number in range(len(FILES)))
for _path, _content in zip(PATHS, FILES, strict=True):
    Path(_path).write_bytes(_content)


@dataclass(frozen=True)
class Both:
    """A query, and the rows that it should give."""

    query: ld.Dataset
    frame: pl.DataFrame

    def then(self, verb: Callable[[Any], Any]) -> "Both":
        """Apply a verb that datasets and frames share."""
        return self.apart(verb, verb)

    def apart(self, on_query: Callable[[Any], Any], on_frame: Callable[[Any], Any]) -> "Both":
        """Apply a verb as it is written for each."""
        return replace(self, query=on_query(self.query), frame=on_frame(self.frame))

    def names(self, *dtypes: Any) -> list[str]:
        """Name the columns of these types that hold no images."""
        return [name for name, kind in self.frame.schema.items() if not name.startswith("im") and kind in dtypes]

    def images(self) -> list[str]:
        """Name the columns of images."""
        return [name for name, kind in self.frame.schema.items() if name.startswith("im") and kind == pl.String]

    def fresh(self, stem: str) -> str:
        """Make up a name that no column has."""
        names = [stem, *(f"{stem}{number}" for number in range(99))]
        return next(name for name in names if name not in self.frame.columns)


LABELS = st.sampled_from(["a", "b", "c", None])
NUMBERS = st.sampled_from([None, -1.5, 0.25, 2.0, 8.0, float("nan")])


@st.composite
def rows(draw: Any, max_rows: int = 12) -> Both:
    """Draw rows: a number of their own, a label, a number that may be missing, and an image that may be."""
    count = draw(st.integers(0, max_rows))
    one_each = {"min_size": count, "max_size": count}
    plain = pl.DataFrame(
        {
            "id": range(count),
            "label": draw(st.lists(LABELS, **one_each)),
            "value": draw(st.lists(NUMBERS, **one_each)),
        },
        schema={"id": pl.Int64, "label": pl.String, "value": pl.Float64},
    )
    kinds = draw(st.lists(st.sampled_from([None, *range(len(FILES))]), **one_each))
    texts = pl.Series("image", [None if kind is None else TEXTS[kind] for kind in kinds], dtype=pl.String)
    are_files = draw(st.booleans())
    payloads = [None if kind is None else (PATHS if are_files else FILES)[kind] for kind in kinds]
    column = pa.array(payloads, pa.large_string() if are_files else pa.large_binary())
    table = in_chunks(
        plain.to_arrow().append_column("image", column), draw(st.lists(st.integers(0, count), max_size=3))
    )
    return Both(_dataset(table, are_files=are_files), plain.with_columns(texts))


def _dataset(table: pa.Table, *, are_files: bool) -> ld.Dataset:
    """Make the query that reads and decodes a table's images."""
    if not are_files:
        return ld.Dataset(DecodeImages(input=Scan(source=MemorySource(table)), column="image"))
    named = table.rename_columns(["id", "label", "value", "path"])
    read = ReadFiles(input=Scan(source=MemorySource(named)), path="path", column="image", on_error="null")
    return ld.Dataset(DecodeImages(input=read, column="image", on_error="null")).drop("path")


def in_chunks(table: pa.Table, cuts: list[int]) -> pa.Table:
    """Cut a table in chunks, empty ones among them."""
    places = [0, *sorted(cuts), table.num_rows]
    parts = [table.slice(start, stop - start) for start, stop in pairwise(places)]
    return pa.concat_tables(parts) if parts else table


def found(table: pa.Table) -> pl.DataFrame:
    """Give the rows of a result as the oracle writes them."""
    plain = [name for name in table.column_names if not name.startswith("im")]
    frame = pl.DataFrame(pl.from_arrow(table.select(plain))) if plain else pl.DataFrame(height=table.num_rows)
    texts = [_texts(table.column(name)).alias(name) for name in table.column_names if name not in plain]
    return frame.with_columns(texts).select(table.column_names)


def _texts(column: pa.ChunkedArray) -> pl.Series:
    if isinstance(column.type, ImageType):
        images = [image for chunk in column.chunks for image in iter_images(chunk)]
        return pl.Series([None if image is None else _text(image) for image in images], dtype=pl.String)
    lists = []
    for chunk in column.chunks:
        for row in range(len(chunk)):
            values = chunk[row].values
            lists.append(None if values is None else _texts(pa.chunked_array([values])).to_list())
    return pl.Series(lists, dtype=pl.List(pl.String))


def _text(image: Any) -> str:
    if image.encoding != "raw":
        return as_text(opened(image.payload, image.mode))
    return as_text(Image.frombytes(image.mode, (image.width, image.height), bytes(image.payload)))


def assert_same(table: pa.Table, frame: pl.DataFrame) -> None:
    """Compare a result with what it should be: names, types, rows, their order, and every pixel."""
    result = found(table)
    assert result.schema == frame.schema
    assert_frame_equal(result, frame, check_exact=True)
