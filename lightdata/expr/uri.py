"""The ``.uri`` namespace of Polars expressions."""

from __future__ import annotations

import math
import os
from typing import Literal

import polars as pl

from lightdata.errors import ArgumentError
from lightdata.expr.deferred import checked_on_error, extend
from lightdata.types.file_name import check_template, name_columns, names_rows
from lightdata.types.operation import Operation
from lightdata.types.uri_operation import MAX_BYTES, ReadUri, WriteUri


class UriNamespace:
    """The bytes of the files that a column of paths or URLs names, and back.

    A null gives null. Nothing is read or written until the query runs.

    >>> import polars as pl
    >>> photo = pl.col("url").uri.read().image.decode().image.resize(224, 224)
    >>> photo.meta.output_name()
    'url'
    """

    def __init__(self, expr: pl.Expr) -> None:
        self._expr = expr

    def read(
        self,
        *,
        on_error: Literal["raise", "null"] | None = None,
        max_connections: int = 32,
        timeout_s: float = 30.0,
        max_bytes: int = MAX_BYTES,
        retries: int = 7,
        allow_private: bool = False,
    ) -> pl.Expr:
        """Read whole files: of this machine, over http and https, and from wherever fsspec finds a filesystem.

        Parameters
        ----------
        on_error : {"raise", "null"}
            What becomes of a row whose file cannot be read; rows that become null are told in the run's log.
        max_connections : int
            Files that this step reads at a time, by all workers together.
        timeout_s : float
            Seconds for one try over HTTP, redirects and all; other filesystems keep their own time.
        max_bytes : int
            Size above which a file is refused.
        retries : int
            Tries after the first, if the fault may pass (lost connections, timeouts, 408, 425, 429, 5xx). With 7, of a
            million files from a server that fails three times in ten about 70 are lost. Of tries that run out of time,
            no more than four are made.
        allow_private : bool
            Ask servers in private networks and on this machine too, and filesystems whose URLs name a server. Leave
            it off where URLs come from others; who shall not choose files of this machine or of its buckets either is
            let through only with ``.str.starts_with("https://")``.

        Returns
        -------
        large binary

        Raises
        ------
        ArgumentError
            If a value cannot work.
        """
        _check_count("max_connections", max_connections, least=1)
        _check_count("max_bytes", max_bytes, least=1)
        _check_count("retries", retries, least=0)
        if isinstance(timeout_s, bool) or not (isinstance(timeout_s, int | float) and 0 < timeout_s < math.inf):
            raise ArgumentError(f"timeout_s must be a positive number of seconds; got {timeout_s!r}")
        read = ReadUri(
            on_error=checked_on_error(on_error),
            max_connections=int(max_connections),
            timeout_s=float(timeout_s),
            max_bytes=int(max_bytes),
            retries=int(retries),
            allow_private=bool(allow_private),
        )
        return self._then(read)

    def write(self, folder: str | os.PathLike[str], *, name: str, overwrite: bool = False, retries: int = 3) -> pl.Expr:
        """Write each value to a file of its own: bytes, text as UTF-8, or the bytes of an image file.

        Each row is written once in every run, also where nobody reads the result; so this stands alone as a column of
        ``select`` or ``with_columns``. On this machine a file appears when it is whole.

        Parameters
        ----------
        folder : path or URL
            Made if it is missing.
        name : str
            A column of file names, or a template such as ``{label}/{id}.png``. No name leads out of the folder.
        overwrite : bool
            Replace files that exist; else they are an error.
        retries : int
            Tries after the first, if the fault may pass.

        Returns
        -------
        text
            The path or URL of each file.

        Raises
        ------
        ArgumentError
            If a value cannot work.
        """
        target = os.fspath(folder)
        if not isinstance(target, str) or not target or target.startswith(("http://", "https://")) or "::" in target:
            raise ArgumentError(f"folder must be a folder or the URL of one in a filesystem; got {target!r}")
        check_template(name)
        if not name or not name_columns(name) or names_rows(name):
            raise ArgumentError(
                f"name={name!r}: name a column, or a template of columns, such as '{{id}}.png'; a row's number is not "
                "known here, with_row_index() makes it a column"
            )
        _check_count("retries", retries, least=0)
        return self._then(WriteUri(folder=target, name=name, overwrite=bool(overwrite), retries=int(retries)))

    def _then(self, operation: Operation) -> pl.Expr:
        return extend(self._expr, operation, "uri")


def _check_count(name: str, value: int, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(f"{name} must be a whole number of at least {least}; got {value!r}")
