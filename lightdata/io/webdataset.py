"""WebDataset shards: tar archives in which files that share a name, but for its ending, are one row."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Self

import numpy as np
import pyarrow as pa

from lightdata.errors import DecodeError, RowError, SchemaError
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.location import FileSystem
from lightdata.io.source import URI
from lightdata.io.tar import iter_members
from lightdata.kernels.columns import column_from
from lightdata.types.canonical import canonical_array
from lightdata.types.plain_array import plain_array
from lightdata.types.schema import Schema

KEY = "__key__"
IMAGES = ("jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "webp", "avif")
"""Endings of files that are images, whatever comes before: ``mask.png`` is one."""

_TEXT = ("txt", "text", "transcript", "json", "jsn")
_WHOLE = ("cls", "cls2", "index", "count", "inx", "id")
_ARRAYS = ("npy",)
_SAMPLES_TO_LEARN = 100
_MOST_OF_ONE_KEY = 1000

Sample = Mapping[str, bytes]
"""The files of a row, by what follows the first dot of their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebDatasetFormat(FileFormat):
    """Shards with a column for each ending: text, whole numbers, arrays, and bytes; ``__key__`` names the row."""

    asked: tuple[str, ...] | None = None
    """The endings that a user asked for; others are left out."""

    endings: tuple[str, ...] | None = None
    """The endings that become columns."""

    arrays: Mapping[str, pa.DataType] | None = None
    """Types of the columns of arrays, as the first rows have them."""

    @property
    def name(self) -> str:
        """As the package is called that made it known."""
        return "webdataset"

    @property
    def extensions(self) -> tuple[str, ...]:
        """The usual ending, and compressed."""
        return ("tar", "tar.gz", "tgz")

    @property
    def schema(self) -> Schema | None:
        """The key and the columns."""
        if self.endings is None or self.arrays is None:
            return None
        return Schema({KEY: pa.large_string(), **{name: self._type(name) for name in self.endings}})

    def learned(self, path: str, filesystem: FileSystem) -> Self:
        """Take the endings of the first rows of a shard."""
        samples = [sample for _, sample in islice(_samples(path, filesystem), _SAMPLES_TO_LEARN)]
        endings = self.asked or tuple(sorted({name for sample in samples for name in sample}))
        arrays = {}
        for name in endings:
            values = [sample[name] for sample in samples if name in sample]
            if _kind(name) in _ARRAYS and values:
                arrays[name] = _arrays(values, name).type
        return replace(self, endings=endings, arrays=arrays)

    def read(
        self,
        path: str,
        filesystem: FileSystem,
        part: Part,
        request: Request,
    ) -> Iterator[pa.RecordBatch | RowError]:
        """Produce the rows of a shard."""
        schema = self.schema or Schema({KEY: pa.large_string()})
        names = list(schema) if request.columns is None else list(request.columns)
        held: list[tuple[str, dict[str, Any]]] = []
        damage: RowError | None = None
        try:
            for key, sample in _samples(path, filesystem):
                try:
                    held.append((key, self._row(key, sample, names)))
                except DecodeError as error:
                    yield from _batch(held, names, schema, path)
                    held = []
                    yield error
                if len(held) >= request.batch_rows:
                    yield from _batch(held, names, schema, path)
                    held = []
        except RowError as error:
            damage = error  # the rows before it are sound
        yield from _batch(held, names, schema, path)
        if damage is not None:
            raise damage

    def _type(self, name: str) -> pa.DataType:
        kind = _kind(name)
        if kind in _TEXT:
            return pa.large_string()
        if kind in _ARRAYS:
            return (self.arrays or {}).get(name, pa.large_binary())
        return pa.int64() if kind in _WHOLE else pa.large_binary()

    def _row(self, key: str, sample: Sample, names: list[str]) -> dict[str, Any]:
        known = self.endings or ()
        if self.asked is None and (unknown := [name for name in sample if name not in known]):
            raise DecodeError(
                f"{key} has a file .{unknown[0]}, which the first rows have not; name what to read with columns="
            )
        return {name: _value(name, sample.get(name), key) for name in names if name != KEY}


def _samples(path: str, filesystem: FileSystem) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Gather files that follow one another and share a key: the path up to the first dot of the name."""
    files = ((*_split(member.name), member.content) for member in iter_members(path, filesystem))
    for key, members in groupby(files, key=itemgetter(0)):
        sample: dict[str, bytes] = {}
        for _, ending, content in members:
            if ending in sample:
                raise DecodeError(f"{key} has two files .{ending}; the files of a row follow one another", uri=path)
            if len(sample) == _MOST_OF_ONE_KEY:
                raise DecodeError(f"{key} has more than {_MOST_OF_ONE_KEY} files; is it a shard?", uri=path)
            sample[ending] = content
        yield key, sample


def _split(name: str) -> tuple[str, str]:
    folder, slash, base = name.rpartition("/")
    stem, _, ending = base.partition(".")
    return f"{folder}{slash}{stem}".removeprefix("./"), ending.lower()


def _kind(ending: str) -> str:
    return ending.rpartition(".")[2]


def is_image(ending: str) -> bool:
    """Whether files of an ending are images.

    >>> is_image("mask.png"), is_image("json")
    (True, False)
    """
    return _kind(ending) in IMAGES


def _value(name: str, content: bytes | None, key: str) -> Any:
    if content is None:
        return None
    kind = _kind(name)
    try:
        if kind in _TEXT:
            return content.decode()
        if kind in _WHOLE:
            return int(content)
        if kind in _ARRAYS:
            return np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DecodeError(f"{key}.{name}: {error}") from error
    return content


def _arrays(values: list[bytes], name: str) -> pa.Array:
    return column_from([_value(name, value, "") for value in values], column=name)


def _batch(
    rows: list[tuple[str, dict[str, Any]]], names: list[str], schema: Schema, path: str
) -> Iterator[pa.RecordBatch]:
    if not rows:
        return
    keys = [key for key, _ in rows]
    columns = {KEY: plain_array(keys, pa.large_string())}
    columns[URI] = plain_array([f"{path}::{key}" for key in keys], pa.large_string())
    for name in names:
        if name != KEY:
            columns[name] = _column([row[name] for _, row in rows], name, schema[name])
    yield pa.RecordBatch.from_pydict(columns).select([*names, URI])


def _column(values: list[Any], name: str, kind: pa.DataType) -> pa.Array:
    if _kind(name) not in _ARRAYS:
        return plain_array(values, kind)
    if all(value is None for value in values):
        return pa.nulls(len(values), kind)
    column = column_from(values, column=name)
    if column.type != kind:
        raise SchemaError(f"arrays .{name} are {column.type} here, and {kind} in the first rows")
    return canonical_array(column, kind)
