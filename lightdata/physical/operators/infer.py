"""A model on a column of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from lightdata.inference.batching import check_size, output_columns, run_rows
from lightdata.inference.model import Model
from lightdata.inference.session import open_session
from lightdata.kernels.rebatch import rebatch
from lightdata.physical.operators.chains import Picture, Pictures
from lightdata.physical.stage import Context, with_column
from lightdata.types.operation import Operation, ToMode


@dataclass(frozen=True, slots=True, kw_only=True)
class InferOperator:
    """Add a model's outputs; the session opens in the worker, once."""

    column: str
    model: Model

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Run the model on each batch."""
        session = context.resource(self, lambda: open_session(self.model))
        for batch in rebatch(batches, self.model.batch_rows):
            results = run_rows(self.model, session, self._pixels(batch))
            out = batch
            for name, column in output_columns(self.model, results).items():
                out = with_column(out, name, column)
            yield out

    def _pixels(self, batch: pa.RecordBatch) -> list[NDArray[Any] | None]:
        stage = f"infer({self.column})"
        pictures = Pictures(batch)
        return pictures.each(pictures.of(self.column, stage), self._prepared, stage)

    def _prepared(self, picture: Picture) -> NDArray[Any]:
        check_size(self.model, picture.header.height, picture.header.width)
        as_is: tuple[Operation, ...] = () if picture.header.mode == self.model.mode else (ToMode(mode=self.model.mode),)
        return picture.pixels(as_is)
