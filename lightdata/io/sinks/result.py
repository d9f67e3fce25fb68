"""What a writer gives back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lightdata.errors import RowError
from lightdata.io.error_frame import error_frame

if TYPE_CHECKING:
    import polars as pl


class WriteResult(NamedTuple):
    """What was written."""

    path: str
    files: tuple[str, ...]
    """Names relative to ``path``."""

    rows: int
    size_bytes: int
    failures: tuple[RowError, ...] = ()
    """Why each row is not in ``files`` that is not, be it that a step before let it go or that it could not be written;
    ``row`` counts those that the step was given."""

    @property
    def errors(self) -> pl.DataFrame:
        """The failures as a frame: uri, row, stage, code, cause, message and attempts of each."""
        return error_frame(self.failures)
