"""A model on a column of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from lightdata.config import batch_limit
from lightdata.inference.batching import check_size, output_columns, run_rows
from lightdata.inference.model import Model
from lightdata.inference.session import open_session
from lightdata.kernels.decode_column import cut_by_bytes
from lightdata.kernels.rebatch import rebatch
from lightdata.physical.operators.picture import Picture, images_of, naming_row
from lightdata.physical.stage import Context, with_column
from lightdata.types.image import EncodedImage
from lightdata.types.operation import Operation, ToMode


@dataclass(frozen=True, slots=True, kw_only=True)
class InferOperator:
    """Add a model's outputs; the session opens in the worker, once."""

    column: str
    model: Model
    batch_rows: int
    """Rows of one call of the model."""

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Run the model on each batch."""
        session = context.resource(self, lambda: open_session(self.model))
        for batch in rebatch(batches, self.batch_rows, batch_limit()):
            images = images_of(batch, self.column, f"infer({self.column})")
            for rows in cut_by_bytes([0 if image is None else image.decoded_bytes for image in images]):
                out = batch.slice(rows.start, rows.stop - rows.start)
                results = run_rows(self.model, session, self._pixels(out, images[rows]), self.batch_rows)
                for name, column in output_columns(self.model, results).items():
                    out = with_column(out, name, column)
                yield out

    def _pixels(self, batch: pa.RecordBatch, images: list[EncodedImage | None]) -> list[NDArray[Any] | None]:
        pixels: list[NDArray[Any] | None] = []
        for number, image in enumerate(images):
            with naming_row(batch, number, f"infer({self.column})"):
                pixels.append(None if image is None else self._prepared(image))
        return pixels

    def _prepared(self, image: EncodedImage) -> NDArray[Any]:
        check_size(self.model, image.height, image.width)
        as_is: tuple[Operation, ...] = () if image.mode == self.model.mode else (ToMode(mode=self.model.mode),)
        return Picture(image).pixels(as_is)
