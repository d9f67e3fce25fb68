"""What decoders warned of, as a frame: one row for each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightdata.kernels.warned import Warned

if TYPE_CHECKING:
    import polars as pl


def warning_frame(warned: Warned) -> pl.DataFrame:
    """List kinds of warnings, those of most files first.

    >>> warned = Warned()
    >>> warned.note([("UserWarning", "Corrupt EXIF data")], "a.jpg")
    >>> warning_frame(warned).row(0)
    ('UserWarning', 'Corrupt EXIF data', 1, ['a.jpg'])
    """
    import polars as pl  # noqa: PLC0415 - only for who asks for warnings

    rows = [
        (kind.source, cases.first[0].message, cases.files, [one.uri for one in cases.first if one.uri is not None])
        for kind, cases in warned
    ]
    columns = {"kind": pl.String(), "message": pl.String(), "files": pl.Int64(), "uris": pl.List(pl.String())}
    return pl.DataFrame(rows, schema=columns, orient="row")
