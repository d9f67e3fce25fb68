"""Rows that failed, as a frame: one row for each, safe to show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lightdata.errors import MAX_MESSAGE, RowError
from lightdata.io.uris.redaction import safe_text, safe_url, visible

if TYPE_CHECKING:
    import polars as pl


def error_frame(errors: Iterable[RowError]) -> pl.DataFrame:
    r"""List errors with where they happened; names and messages are escaped, and URLs without their secrets.

    >>> from lightdata.errors import DecodeError
    >>> error_frame([DecodeError("no\x1bimage", uri="http://me:pw@host/a.jpg?key=1")]).row(0)
    ('http://…@host/a.jpg?…', None, None, 'decode_failed', None, 'no\\x1bimage', 1)
    """
    import polars as pl  # noqa: PLC0415 - only for who asks for errors

    rows = [
        (
            None if error.uri is None else safe_url(str(error.uri)),
            error.row,
            None if error.stage is None else visible(error.stage),
            error.code,
            error.cause,
            safe_text(error.message)[:MAX_MESSAGE],
            error.attempts,
        )
        for error in errors
    ]
    text, number = pl.String(), pl.Int64()
    columns = {"uri": text, "row": number, "stage": text, "code": text, "cause": text, "message": text}
    return pl.DataFrame(rows, schema={**columns, "attempts": number}, orient="row")
