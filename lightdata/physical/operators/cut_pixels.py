"""Batches of encoded images, cut by what their pixels will take."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from lightdata.config import batch_limit
from lightdata.kernels.columns import are_pixels
from lightdata.kernels.decode_column import cut_by_bytes
from lightdata.types.image import ImageType, iter_images


def encoded_columns(batch: pa.RecordBatch) -> list[str]:
    """Name the image columns that are not pixels."""
    columns = zip(batch.schema.names, batch.columns, strict=True)
    return [
        name
        for name, column in columns
        if isinstance(column.type, ImageType) and not column.type.spec.is_fixed and not are_pixels(column)
    ]


def cut_for_pixels(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut batches so that the pixels of each take no more than a batch may, or one row."""
    for batch in batches:
        images = [iter_images(batch.column(name)) for name in encoded_columns(batch)]
        sizes = [sum(one.decoded_bytes for one in row if one is not None) for row in zip(*images, strict=True)]
        if sum(sizes) <= batch_limit():
            yield batch
            continue
        for rows in cut_by_bytes(sizes):
            yield batch.slice(rows.start, rows.stop - rows.start)
