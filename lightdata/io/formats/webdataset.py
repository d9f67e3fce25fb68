"""WebDataset shards: tar archives in which files that share a name, but for its ending, are one row."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.errors import DecodeError, RowError
from lightdata.io.file_format import FileFormat, Part, Request
from lightdata.io.formats.numpy import array_in
from lightdata.io.formats.tar import iter_members
from lightdata.io.location import FileSystem, is_text
from lightdata.io.source import URI
from lightdata.types.canonical import canonical_array
from lightdata.types.plain_array import plain_array
from lightdata.types.schema import Schema
from lightdata.types.tensor import TensorType, tensors

KEY = "__key__"
IMAGES = ("jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "webp", "avif")
"""Endings of files that are images, whatever comes before: ``mask.png`` is one."""

_TEXT = ("txt", "text", "transcript", "json", "jsn")
_WHOLE = ("cls", "cls2", "index", "count", "inx", "id")
_ARRAYS = ("npy",)
_SAMPLES_TO_LEARN = 100
_LOG = logging.getLogger(__name__)
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
        """Take the endings of the first rows of a shard, and the types of their arrays."""
        samples, damage = _first_samples(path, filesystem)
        if damage is not None and not samples:
            raise damage
        endings = self.asked or tuple(sorted({name for sample in samples for name in sample} - {KEY}))
        dtypes: dict[str, np.dtype[Any]] = {}
        for sample in samples:
            for name in endings:
                if _kind(name) in _ARRAYS and name in sample:
                    with suppress(DecodeError):  # told when the row is read
                        found = array_in(sample[name], name).dtype
                        dtypes[name] = np.promote_types(dtypes.get(name, found), found)
        return replace(self, endings=endings, arrays={name: TensorType(kind) for name, kind in dtypes.items()})

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
        judged = list(schema) if request.every_column else names
        held: list[tuple[str, dict[str, Any]]] = []
        damage: RowError | None = None
        try:
            for key, sample in _samples(path, filesystem):
                try:
                    held.append((key, self._row(key, sample, judged)))
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

    def _row(self, key: str, sample: Sample | DecodeError, names: list[str]) -> dict[str, Any]:
        if isinstance(sample, DecodeError):
            raise sample
        known = self.endings or ()
        if self.asked is None and (unknown := [name for name in sample if name not in known]):
            raise DecodeError(
                f"{key} has a file .{unknown[0]}, which the first rows have not; name what to read with columns="
            )
        return {name: self._value(name, sample.get(name), key) for name in names if name != KEY}

    def _value(self, name: str, content: bytes | None, key: str) -> Any:
        if content is None:
            return None
        try:
            if _kind(name) not in _ARRAYS:
                return _value(name, content)
            kind = (self.arrays or {}).get(name)
            return content if kind is None else _cast(array_in(content, name), kind.dtype)
        except ValueError as error:
            raise DecodeError(f"{key}.{name}: {error}") from error


def _first_samples(path: str, filesystem: FileSystem) -> tuple[list[Sample], RowError | None]:
    samples: list[Sample] = []
    try:
        for _, sample in islice(_samples(path, filesystem), _SAMPLES_TO_LEARN):
            if not isinstance(sample, DecodeError):
                samples.append(sample)
    except RowError as error:
        return samples, error
    return samples, None


def _samples(path: str, filesystem: FileSystem) -> Iterator[tuple[str, Sample | DecodeError]]:
    """Gather files that follow one another and share a key: the path up to the first dot of the name."""
    files = ((*found, member.content) for member in iter_members(path, filesystem) if (found := _split(member.name)))
    for key, members in groupby(files, key=itemgetter(0)):
        sample: dict[str, bytes] = {}
        wrong: DecodeError | None = None
        for _, ending, content in members:
            if ending in sample:
                wrong = DecodeError(f"{key} has two files .{ending}; the files of a row follow one another", uri=path)
            elif not is_text(f"{key}.{ending}") or ending == KEY:
                wrong = DecodeError(f"{key!a} has a file .{ending!a}, which cannot be the name of a column", uri=path)
            elif len(sample) == _MOST_OF_ONE_KEY:
                wrong = DecodeError(f"{key} has more than {_MOST_OF_ONE_KEY} files; is it a shard?", uri=path)
            else:
                sample[ending] = content
        yield key, sample if wrong is None else wrong


def _split(name: str) -> tuple[str, str] | None:
    """Take a name apart; files without an ending or without a stem, and those of WebDataset's own, are of no row."""
    folder, slash, base = name.rpartition("/")
    stem, dot, ending = base.partition(".")
    if not stem or not dot or (base.startswith("__") and base.endswith("__")):
        _LOG.warning("skipped %r: it is of no row", name)
        return None
    return f"{folder}{slash}{stem}".removeprefix("./"), ending.lower()


def _kind(ending: str) -> str:
    return ending.rpartition(".")[2]


def is_image(ending: str) -> bool:
    """Whether files of an ending are images.

    >>> is_image("mask.png"), is_image("json")
    (True, False)
    """
    return _kind(ending) in IMAGES


def _value(name: str, content: bytes) -> Any:
    kind = _kind(name)
    if kind in _TEXT:
        return content.decode()
    if kind not in _WHOLE:
        return content
    number = int(content)
    if not -(2**63) <= number < 2**63:
        raise ValueError("a number of more than 64 bits")
    return number


def _cast(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if not np.can_cast(array.dtype, dtype, "safe"):
        raise ValueError(f"an array of {array.dtype}, in the first rows {dtype}; they do not fit")
    return array.astype(dtype)


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
            columns[name] = _column([row[name] for _, row in rows], schema[name])
    yield pa.RecordBatch.from_pydict(columns).select([*names, URI])


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if isinstance(kind, TensorType):
        return canonical_array(tensors(values, kind.dtype), kind)
    return plain_array(values, kind)
