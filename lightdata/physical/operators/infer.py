"""A model on a column of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
from numpy.typing import NDArray

from lightdata.errors import RowError
from lightdata.inference.batching import check_size, output_columns, run_rows
from lightdata.inference.model import Model
from lightdata.inference.session import open_session
from lightdata.io.source import OnError
from lightdata.kernels.rebatch import rebatch
from lightdata.physical.operators.picture import Picture, headers_of, known, naming_row
from lightdata.physical.stage import Context, uri_of, with_column
from lightdata.types.image import EncodedImage
from lightdata.types.operation import Operation, ToMode
from lightdata.types.plain_array import plain_array


@dataclass(frozen=True, slots=True, kw_only=True)
class InferOperator:
    """Add a model's outputs; the session opens in the worker, once."""

    column: str
    model: Model
    batch_rows: int
    """Rows of one call of the model."""

    on_error: OnError = "raise"

    keeps_rows: ClassVar[bool] = True
    counts_rows: ClassVar[bool] = True

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Run the model on each batch."""
        session = context.resource(self, lambda: open_session(self.model))
        before = 0
        for batch in rebatch(batches, self.batch_rows):
            failed: list[RowError] = []
            pixels: list[NDArray[Any] | None] = [None]
            if self.on_error != "raise" and context.lost:
                failed.append(context.lost.pop().at(uri=uri_of(batch, 0), row=0, stage=f"infer({self.column})"))
            else:
                pixels = self._pixels(batch, failed)
            results = run_rows(self.model, session, pixels, self.batch_rows)
            context.failures += [error.moved(before) for error in failed]
            before += batch.num_rows
            out = batch
            for name, column in output_columns(self.model, results).items():
                out = with_column(out, name, column)
            yield out if self.on_error != "skip" or not failed else _without(out, {error.row for error in failed})

    def _pixels(self, batch: pa.RecordBatch, failed: list[RowError]) -> list[NDArray[Any] | None]:
        stage = f"infer({self.column})"
        pixels: list[NDArray[Any] | None] = []
        for number, image in enumerate(headers_of(batch.column(self.column))):
            try:
                with naming_row(batch, number, stage):
                    given = known(image)
                    pixels.append(None if given is None else self._prepared(given))
            except RowError as error:
                if self.on_error == "raise":
                    raise
                failed.append(error.at())
                pixels.append(None)
        return pixels

    def _prepared(self, image: EncodedImage) -> NDArray[Any]:
        check_size(self.model, image.height, image.width)
        as_is: tuple[Operation, ...] = () if image.mode == self.model.mode else (ToMode(mode=self.model.mode),)
        return Picture(image).pixels(as_is)


def _without(batch: pa.RecordBatch, rows: set[int | None]) -> pa.RecordBatch:
    return batch.filter(plain_array([number not in rows for number in range(batch.num_rows)], pa.bool_()))
