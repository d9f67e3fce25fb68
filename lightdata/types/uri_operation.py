"""What can be done with a path or URL: values, as in :mod:`lightdata.types.operation`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lightdata.types.file_name import name_columns
from lightdata.types.operation import Operation

MAX_BYTES = 512 << 20
"""Bytes above which a file is refused, unless more are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadUri(Operation):
    """Begins a chain with the bytes of the file that a path or URL names."""

    on_error: Literal["raise", "null"] = "raise"
    max_connections: int = 32
    """Files that are read at a time, by all workers together."""

    timeout_s: float = 30.0
    """Seconds that one try over HTTP may take, from looking the name up to the last byte."""

    max_bytes: int = MAX_BYTES
    retries: int = 7
    allow_private: bool = False
    """Whether servers may be asked that only this network can reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteUri(Operation):
    """Ends a chain by writing each value to a file, and gives its path."""

    folder: str
    name: str
    """A column of names, or a template such as ``{label}/{id}.png``."""

    columns: tuple[str, ...] | None = None
    """The columns that now hold what ``name`` speaks of, in its order, where they have other names."""

    overwrite: bool = False
    retries: int = 3

    @property
    def name_columns(self) -> tuple[str, ...]:
        """The columns that name files."""
        return self.fields if self.columns is None else self.columns

    @property
    def fields(self) -> tuple[str, ...]:
        """What ``name`` calls these columns."""
        return name_columns(self.name)
