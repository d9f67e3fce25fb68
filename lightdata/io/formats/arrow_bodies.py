"""What compressed batches of Arrow IPC expand to, read from their messages before Arrow takes the memory.

A message is a flatbuffer that says where the buffers of a batch lie in its body; a compressed buffer begins with the
bytes that it expands to, which Arrow allocates unseen (Arrow's Message.fbs and File.fbs; FlatBuffers' internals).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from lightdata.errors import DecodeError
from lightdata.kernels.limits import check_expansion

FREE_BYTES = 256 << 20
"""Bytes that a batch may expand to, whatever its size."""

_MAGIC = b"ARROW1"
_DICTIONARY, _RECORDS = 2, 3
"""Kinds of messages with a body."""

_BLOCK = struct.Struct("<qi4xq")
_BUFFER = struct.Struct("<qq")
_LENGTH = struct.Struct("<q")


class _Table(NamedTuple):
    """A table of a flatbuffer: its fields are where its list of offsets says."""

    data: bytes
    at: int

    @classmethod
    def root(cls, data: bytes) -> _Table:
        return cls(data, struct.unpack_from("<I", data)[0])

    def place(self, number: int) -> int | None:
        """Tell where a field is; ``None`` for its default."""
        offsets = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        if 4 + 2 * number >= struct.unpack_from("<H", self.data, offsets)[0]:
            return None
        offset = struct.unpack_from("<H", self.data, offsets + 4 + 2 * number)[0]
        return self.at + offset if offset else None

    def table(self, number: int) -> _Table | None:
        at = self.place(number)
        return None if at is None else _Table(self.data, at + struct.unpack_from("<I", self.data, at)[0])

    def structs(self, number: int, form: struct.Struct) -> Iterator[tuple[int, ...]]:
        at = self.place(number)
        if at is not None:
            at += struct.unpack_from("<I", self.data, at)[0]
            count = struct.unpack_from("<I", self.data, at)[0]
            yield from form.iter_unpack(self.data[at + 4 : at + 4 + count * form.size])


def check_stream(source: Any, path: str) -> Iterator[None]:
    """Check the messages of a stream up to its next batch, each time something is asked for.

    Raises
    ------
    LimitError
        If one goes beyond ``max_expansion``.
    DecodeError
        If one is damaged.
    """
    for message in pa.ipc.MessageReader.open_stream(source):
        if _is_batch(message, path):
            yield


def check_file(source: Any, path: str, number: int) -> None:
    """Check one batch of a file, and what all of them refer to, as :func:`check_stream` does."""
    size = source.size()
    with_magic = source.read_at(4 + len(_MAGIC), max(size - 4 - len(_MAGIC), 0))
    try:
        length = struct.unpack_from("<i", with_magic)[0]
        footer = _Table.root(source.read_at(length, size - len(with_magic) - length))
        blocks = [*footer.structs(2, _BLOCK), [*footer.structs(3, _BLOCK)][number]]
    except (struct.error, IndexError, ValueError) as error:
        raise DecodeError(f"its footer is damaged: {error}", uri=path) from error
    for offset, *_ in blocks:
        source.seek(offset)
        _is_batch(pa.ipc.read_message(source), path)


def _is_batch(message: pa.ipc.Message, path: str) -> bool:
    try:
        header = _Table.root(message.metadata.to_pybytes())
        kind = header.data[header.place(1) or 0]
        batch = header.table(2)
        if kind == _DICTIONARY and batch is not None:
            batch = batch.table(1)
        if kind in (_DICTIONARY, _RECORDS) and batch is not None and batch.table(3) is not None:
            check_expansion(message.body.size, _expanded(batch, message.body), free=FREE_BYTES, uri=path)
    except (struct.error, IndexError) as error:
        raise DecodeError(f"a message is damaged: {error}", uri=path) from error
    return bool(kind == _RECORDS)


def _expanded(batch: _Table, body: pa.Buffer) -> int:
    """Add up what buffers say they expand to; one that is not compressed says -1."""
    size, view = 0, memoryview(body)
    for offset, length in batch.structs(2, _BUFFER):
        if length:
            told = _LENGTH.unpack_from(view, offset)[0]
            size += length if told < 0 else told
    return size
