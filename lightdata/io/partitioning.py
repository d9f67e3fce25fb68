"""Columns that the folders of a file name: ``label=cat/1.jpg`` or ``cat/1.jpg``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa

from lightdata.errors import ArgumentError, EncodeError

_TYPES: dict[type, pa.DataType] = {
    str: pa.large_string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}
_HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"
_MAX_FOLDER_BYTES = 200
"""Of one folder's name; file systems stop at 255."""

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Partitioning:
    """How folders name values: ``hive`` is ``label=cat/``, ``dir`` is ``cat/`` with names given here.

    >>> Partitioning("dir", base_dir="photos", field_names=["label"]).partition_values("photos/cat/1.jpg")
    {'label': 'cat'}
    """

    style: str = "hive"
    """``hive`` or ``dir``."""

    base_dir: str | None = None
    """The folder whose subfolders are meant; by default the folder that is read."""

    field_names: Sequence[str | None] | None = None
    """Names of the folders, outermost first; for ``dir``, ``None`` leaves one out."""

    field_types: Mapping[str, type] | None = field(default=None, hash=False)
    """``int``, ``float``, ``bool`` or ``str`` (the default) for each name."""

    def __post_init__(self) -> None:
        style = str(getattr(self.style, "value", self.style))
        if style not in ("hive", "dir"):
            raise ArgumentError(f"partitioning style is 'hive' or 'dir'; got {self.style!r}")
        if style == "dir" and not self.field_names:
            raise ArgumentError("partitioning by dir needs field_names, one for each folder")
        for name, kind in (self.field_types or {}).items():
            if kind not in _TYPES:
                raise ArgumentError(f"field_types of {name!r} is int, float, bool or str; got {kind!r}")
        object.__setattr__(self, "style", style)
        if self.field_names is not None:
            object.__setattr__(self, "field_names", tuple(self.field_names))

    def partition_values(self, path: str) -> dict[str, str]:
        """Read the values that the folders of a path name.

        Raises
        ------
        ArgumentError
            If the folders are not those that ``field_names`` say.
        """
        folders = self._folders(path)
        names = self.field_names
        if self.style == "dir":
            if len(folders) != len(names or ()):
                raise ArgumentError(f"{path}: partitioning names {_words(names)}, the folders are {_words(folders)}")
            return {name: value for name, value in zip(names or (), folders, strict=True) if name is not None}
        pairs = [folder.partition("=") for folder in folders if "=" in folder]
        values = {unquote(key): unquote(value) for key, _, value in pairs}
        if names is not None and values.keys() != set(names):
            raise ArgumentError(f"{path}: partitioning names {_words(names)}, the folders name {_words(list(values))}")
        return values

    def column_type(self, name: str) -> pa.DataType:
        """Give the Arrow type of a partition column."""
        return _TYPES[(self.field_types or {}).get(name, str)]

    def typed(self, name: str, value: str) -> Any:
        """Convert a folder's text to the type of its column."""
        if value == _HIVE_NULL:
            return None
        kind = (self.field_types or {}).get(name, str)
        try:
            return _BOOLEANS[value.lower()] if kind is bool else kind(value)
        except (KeyError, ValueError) as error:
            raise ArgumentError(f"partition {name}={value} is not {kind.__name__}") from error

    def _folders(self, path: str) -> list[str]:
        if self.base_dir is None:
            return _parts(path)[:-1]
        base, parts = _parts(self.base_dir, absolute=True), _parts(path, absolute=True)
        if parts[: len(base)] != base:
            raise ArgumentError(f"{path} does not lie below the partitioning's base_dir {self.base_dir}")
        return parts[len(base) : -1]


def hive_folder(values: Mapping[str, Any]) -> str:
    """Name the folder of some values, so that no value can lead out of it.

    >>> hive_folder({"label": "a/b", "year": None})
    'label=a%2Fb/year=__HIVE_DEFAULT_PARTITION__'

    Raises
    ------
    EncodeError
        If a value is too long, or is the word for null.
    """
    return "/".join(_hive_part(name, value) for name, value in values.items())


def _hive_part(name: str, value: Any) -> str:
    if value == _HIVE_NULL:
        raise EncodeError(f"the {name} {value!r} would be read as null")
    text = _HIVE_NULL if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    part = f"{quote(name, safe='')}={quote(text, safe='')}"
    if len(part) > _MAX_FOLDER_BYTES:
        raise EncodeError(f"{name} {text[:40]!r}… is too long to name a folder")
    return part


def _parts(path: str, *, absolute: bool = False) -> list[str]:
    _, is_url, rest = path.partition("://")
    if is_url:
        return [part for part in rest.split("/") if part]
    pure = PurePath(os.path.abspath(path) if absolute else path)
    return [part for part in pure.parts if part != pure.anchor]


def _words(names: Iterable[str | None] | None) -> str:
    return "/".join(str(name) for name in names or ()) or "(none)"
