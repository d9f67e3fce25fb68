"""Write WebDataset shards: tar files in which the members ``{key}.{extension}`` of one key are a row."""

from __future__ import annotations

import io
import json
import os
import tarfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lightdata.errors import ArgumentError, EncodeError, RowError, SchemaError
from lightdata.io.sinks.durable import sync_to_disk
from lightdata.io.sinks.part_sizes import PartSizes
from lightdata.io.sinks.sink import StagedFile, left_out
from lightdata.kernels.encode import codec_of, image_file
from lightdata.kernels.tally import row_in_hand
from lightdata.types.file_name import checked_name
from lightdata.types.image import EncodedImage, ImageType, iter_images
from lightdata.types.schema import Schema
from lightdata.types.tensor import is_tensor, tensor_rows

KEYS = ("__key__", "key")
"""Columns that name rows; the first that is there does."""

_NO_MEMBERS = ("__url__", "__local_path__")
"""What readers of WebDataset add to a row."""

_TEXT = {"txt", "text", "transcript", "xml", "html", "cls", "cls2", "class", "count", "index", "inx", "id"}
"""Endings of values that are written as text; readers make integers of ``cls`` and those after it."""

_KNOWN = _TEXT | {"json", "jsn", "npy", "bin", "jpg", "jpeg", "png", "webp", "bmp", "tiff", "tif"}
"""Endings that say what they hold."""

_ROW_DIGITS = 9
"""Of a key that is the row's number; of one width, so that it can be filled in where it stands."""

_NUMBERED = "numbered-"
"""Begins the name of a staged shard whose keys are to be filled in."""

_MAX_ENDING = 80
"""Characters of an ending; with the number of a row it still is a name that every tar header holds."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WebDatasetSink:
    """Shards of rows; the order of members is that of the columns, and headers tell no time or owner."""

    extensions: Mapping[str, str] = field(default_factory=dict)
    """The ending of each column's members, where its name and type are not to say it."""

    image_format: str = "png"
    """The format of images that are pixels; files keep their bytes."""

    sizes: PartSizes = field(default_factory=PartSizes)
    on_error: str = "raise"
    needs_keys: bool = False
    """Whether there are other shards, whose rows may be numbered too."""

    @property
    def is_numbered(self) -> bool:
        """Shards are numbered."""
        return True

    @property
    def task_rows(self) -> int:
        """One shard a task, or a little more."""
        return self.sizes.task_rows

    def columns(self) -> None:
        """All columns are written."""

    def check(self, schema: Schema) -> None:
        """Refuse columns whose members would have one name."""
        endings = self._endings(schema)
        if not endings:
            raise SchemaError("write_webdataset: there is no column but the key; nothing would be written")
        if self.needs_keys and not any(name in schema for name in KEYS):
            raise ArgumentError(
                "write_webdataset: mode='append' needs a column '__key__', with names that differ from those there: "
                "rows are numbered from 0 otherwise"
            )
        for name, ending in endings.items():
            if len(ending) > _MAX_ENDING or any(mark in ending for mark in "/\\\0"):
                raise SchemaError(f"write_webdataset: {ending!r} of column {name!r} cannot be a file's extension")
            if isinstance(schema[name], ImageType) and not ending.endswith("*"):
                codec_of(ending.rpartition(".")[2])
        for ending, names in groupby(sorted(endings, key=lambda name: endings[name]), key=lambda name: endings[name]):
            if len(same := list(names)) > 1:
                raise SchemaError(
                    f"write_webdataset: the columns {', '.join(same)} would all be written as {ending!r}; "
                    f"name them apart, e.g. with extensions={{{same[0]!r}: 'first.{ending}'}}"
                )

    def write(self, batches: Iterator[pa.RecordBatch], staging: Path) -> Iterator[StagedFile]:
        """Write one shard, or more, if there are rows."""
        shard: _Shard | None = None
        row = 0
        for batch in batches:
            schema = Schema.of(batch)
            self.check(schema)
            endings = self._endings(schema)
            columns = {name: _values(batch.column(name)) for name in endings}
            keys = next((batch.column(name).to_pylist() for name in KEYS if name in batch.schema.names), None)
            for number in range(batch.num_rows):
                row_in_hand(number)
                try:
                    members = self._members({name: column[number] for name, column in columns.items()}, endings)
                    key = None if keys is None else _checked_key(keys[number])
                    shard = shard or _Shard(staging, is_numbered=keys is None)
                    shard.add(key, members)
                except RowError as error:
                    if self.on_error == "raise":
                        raise error.at(row=number) from error.__cause__
                    yield left_out(error, row=row, name="")
                row += 1
                if shard is not None and self.sizes.is_full(shard.rows, shard.size_bytes):
                    yield shard.close()
                    shard = None
        if shard is not None:
            yield shard.close()

    def check_files(self, files: Sequence[StagedFile]) -> None:
        """Number the rows that have no key of their own."""
        rows = 0
        for file in files:
            _fill_in_keys(Path(file.path), rows)
            rows += file.rows

    def final_name(self, number: int) -> str:
        """Number the shards."""
        return f"shard-{number:06d}.tar"

    def __str__(self) -> str:
        return "webdataset"

    def _endings(self, schema: Schema) -> dict[str, str]:
        """Give each column its ending; that of an image ends with the format, which only its rows tell."""
        names = [name for name in schema if name not in (*KEYS, *_NO_MEMBERS)]
        images = [name for name in names if isinstance(schema[name], ImageType)]
        return {name: self._ending(name, schema[name], is_only=images == [name]) for name in names}

    def _ending(self, name: str, kind: pa.DataType, *, is_only: bool) -> str:
        if name in self.extensions:
            return self.extensions[name].lstrip(".")
        if name.rpartition(".")[2].lower() in _KNOWN:
            return name
        if isinstance(kind, ImageType):
            return "*" if is_only else f"{name}.*"
        return f"{name}.{_natural_ending(kind)}"

    def _members(self, values: Mapping[str, Any], endings: Mapping[str, str]) -> list[tuple[str, bytes]]:
        members = []
        for name, value in values.items():
            if value is None:
                continue
            try:
                members.append(self._member(value, endings[name]))
            except RowError as error:
                raise type(error)(f"column {name!r}: {error.message}", uri=error.uri) from error.__cause__
        if not members:
            raise EncodeError("every value is null, so there is nothing to write")
        return members

    def _member(self, value: Any, ending: str) -> tuple[str, bytes]:
        if not isinstance(value, EncodedImage):
            return ending, _content(value, ending.rpartition(".")[2].lower())
        if ending.endswith("*"):
            payload, suffix = image_file(value, None if value.encoding != "raw" else codec_of(self.image_format))
            return ending[:-1] + suffix, bytes(payload)
        return ending, bytes(image_file(value, codec_of(ending.rpartition(".")[2]))[0])


class _Shard:
    """One tar file while it is written."""

    def __init__(self, staging: Path, *, is_numbered: bool) -> None:
        self.path = staging / f"{_NUMBERED if is_numbered else ''}{uuid.uuid4().hex}.tar"
        self.rows = 0
        self._keys: set[str] = set()
        self._file = pa.OSFile(str(self.path), "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.GNU_FORMAT)  # noqa: SIM115 - closed below

    @property
    def size_bytes(self) -> int:
        return int(self._file.tell())

    def add(self, key: str | None, members: Sequence[tuple[str, bytes]]) -> None:
        if key is not None and key in self._keys:
            raise EncodeError(f"two rows of one shard have the key {key!r}; use a key that differs in every row")
        self._keys.add(key or "")
        # A number is that of the row in its shard until all shards are there.
        stem = f"{self.rows:0{_ROW_DIGITS}d}" if key is None else key
        for ending, content in members:
            member = tarfile.TarInfo(f"{stem}.{ending}")
            member.size = len(content)
            self._tar.addfile(member, io.BytesIO(content))
        self.rows += 1

    def close(self) -> StagedFile:
        self._tar.close()
        self._file.close()
        return StagedFile(str(self.path), None, self.rows, self.path.stat().st_size)


def _fill_in_keys(path: Path, first: int) -> None:
    """Count the rows of a shard from those before it: headers are written anew, where they stand.

    The file has another name meanwhile: nobody takes one for whole that was left halfway.
    """
    if not first or not path.name.startswith(_NUMBERED):
        return
    halfway = path.with_name(f"halfway-{path.name}")
    os.replace(path, halfway)
    with tarfile.open(halfway) as tar:
        members = tar.getmembers()
    before = int(members[0].name.partition(".")[0]) if members else 0  # not 0 where this was done already
    with halfway.open("r+b") as file:
        for member in members:
            stem, _, ending = member.name.partition(".")
            member.name = f"{first + int(stem) - before:0{_ROW_DIGITS}d}.{ending}"
            file.seek(member.offset)
            file.write(member.tobuf(tarfile.GNU_FORMAT))
    sync_to_disk(halfway)
    os.replace(halfway, path)


def _checked_key(key: Any) -> str:
    """Take a row's key: a relative path without a dot in its last part, where readers begin the extension."""
    if key is None:
        raise EncodeError("the key is null")
    text = str(key)
    checked_name(text, "")
    if "." in text.rpartition("/")[2]:
        raise EncodeError(f"the key {text!r} has a dot, where readers of WebDataset begin the extension; replace it")
    return text


def _natural_ending(kind: pa.DataType) -> str:
    """Give the ending under which readers of WebDataset decode values of a type."""
    if is_tensor(kind):
        return "npy"
    if pa.types.is_large_string(kind):
        return "txt"
    if pa.types.is_integer(kind):
        return "cls"
    return "bin" if pa.types.is_large_binary(kind) else "json"


def _values(column: pa.Array) -> Sequence[Any]:
    if isinstance(column.type, ImageType):
        return iter_images(column)
    return tensor_rows(column) if is_tensor(column.type) else column.to_pylist()


def _content(value: Any, ending: str) -> bytes:
    """Write one value as its ending says."""
    if isinstance(value, bytes):
        return value
    if ending == "npy" or isinstance(value, np.ndarray):
        out = io.BytesIO()
        np.save(out, np.asarray(value), allow_pickle=False)
        return out.getvalue()
    if ending in ("json", "jsn"):
        return json.dumps(value, default=str, ensure_ascii=False).encode()
    if isinstance(value, str) or ending in _TEXT:
        return str(value).encode()
    raise EncodeError(f"a {type(value).__name__} cannot be written as {ending!r}; use .json or .txt")
