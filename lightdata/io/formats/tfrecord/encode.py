"""Rows to ``tf.train.Example`` messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from lightdata.errors import EncodeError, SchemaError
from lightdata.io.formats.tfrecord.columns import kind_of
from lightdata.io.formats.tfrecord.wire import BYTES, FLOAT, Ints
from lightdata.kernels.encode import CODECS, encode_pixels
from lightdata.types.image import RAW, ImageType, binary_values, iter_images, raw_pixels
from lightdata.types.schema import describe
from lightdata.types.tensor import TensorType, tensor_rows

_LARGEST = np.iinfo(np.int64).max
_TAGS = (b"\x0a", b"\x12", b"\x1a")


def check_type(column: str, kind: pa.DataType) -> None:
    """Refuse a column that no feature can hold.

    Raises
    ------
    SchemaError
        With what to do.
    """
    if isinstance(kind, ImageType) or pa.types.is_null(kind):
        return
    value = _value_type(kind)
    if kind_of(value) is None or pa.types.is_null(value):
        raise SchemaError(
            f"write_tfrecords: column {column!r} is {describe(kind)}; a feature holds bytes, text, floats, integers "
            "or booleans: one, a list, or a tensor. Cast the column, or drop it"
        )


def encode_examples(batch: pa.RecordBatch) -> Iterator[bytes]:
    """Make one message of each row.

    >>> next(encode_examples(pa.record_batch({"label": pa.array([7])}))).hex()
    '0a100a0e0a056c6162656c12051a030a0107'

    Raises
    ------
    EncodeError
        Naming the row whose value no feature can hold.
    SchemaError
        If a whole column is of a type that none can.
    """
    columns = [_entries(batch.column(name), name) for name in batch.schema.names]
    for entries in zip(*columns, strict=True) if columns else iter([()] * batch.num_rows):
        features = b"".join(entries)
        yield b"\x0a" + varint(len(features)) + features


def varint(number: int) -> bytes:
    """Write a number of at least 0, seven bits a byte, the lowest first.

    >>> varint(300).hex()
    'ac02'
    """
    if number < 0x80:  # noqa: PLR2004 - one byte holds seven bits
        return bytes((number,))
    return bytes((number & 0x7F | 0x80,)) + varint(number >> 7)


def varints(numbers: Ints) -> tuple[bytes, Ints]:
    """Write many numbers behind one another; also tells where each starts, and the end.

    >>> varints(np.array([1, 300]))[0].hex(), varints(np.array([1, 300]))[1].tolist()
    ('01ac02', [0, 1, 3])
    """
    left = numbers.astype(np.int64).view(np.uint64)
    sizes = np.ones(len(left), np.int64)
    for place in range(1, 10):
        sizes += left >= np.uint64(1 << 7 * place)
    starts = np.concatenate(([0], np.cumsum(sizes)))
    written = np.empty(int(starts[-1]), np.uint8)
    live = np.arange(len(left))
    for place in range(10):
        live = live[sizes[live] > place]
        continues = (sizes[live] > place + 1).astype(np.uint8) << 7
        written[starts[live] + place] = (left[live] >> np.uint64(7 * place)).astype(np.uint8) & 0x7F | continues
    return written.tobytes(), starts


def _entries(array: pa.Array, name: str) -> list[bytes]:
    """Write the entry of one feature for each row; nothing where it is null."""
    check_type(name, array.type)
    if pa.types.is_null(array.type):
        return [b""] * len(array)
    if isinstance(array.type, ImageType):
        return _bytes_entries([None if image is None else [image] for image in _image_files(array, name)], name)
    flat, offsets = _flattened(array, name)
    present = array.is_valid().to_pylist()
    if kind_of(_value_type(array.type)) == BYTES:
        values = binary_values(flat.cast(pa.large_binary()))
        rows = [values[start:end] if ok else None for ok, (start, end) in zip(present, pairwise(offsets), strict=True)]
        return _bytes_entries(rows, name)
    content, borders = _packed(flat, name, offsets)
    at = borders[offsets].tolist()
    head = _packed_head(name, 2 if kind_of(_value_type(array.type)) == FLOAT else 3)
    return [
        head(end - start) + content[start:end] if ok else b""
        for ok, (start, end) in zip(present, pairwise(at), strict=True)
    ]


def _flattened(array: pa.Array, name: str) -> tuple[pa.Array, list[int]]:
    """Give all values of a column behind one another, and where each row's start: of tensors in the order of rows."""
    kind = array.type
    if isinstance(kind, TensorType):
        tensors = tensor_rows(array)
        deep = next((row for row, one in enumerate(tensors) if one is not None and one.ndim > 1), None)
        if deep is not None:
            raise EncodeError(
                f"column {name!r} has tensors of shape {tensors[deep].shape}, and a feature knows no shape: "  # type: ignore[union-attr]
                "give all one shape, or flatten them and write the shape as a column of its own",
                row=deep,
            )
        sizes = [0 if one is None else one.size for one in tensors]
        values = [one for one in tensors if one is not None] or [np.empty(0, kind.dtype)]
        return pl.Series(np.concatenate(values)).to_arrow(), [0, *np.cumsum(sizes).tolist()]
    if isinstance(kind, pa.FixedShapeTensorType):
        array = array.storage
    if pa.types.is_fixed_size_list(array.type) or pa.types.is_large_list(array.type):
        # flatten() leaves out what nulls hide.
        lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        flat, offsets = array.flatten(), [0, *np.cumsum(lengths).tolist()]
        if flat.null_count:
            row = int(np.searchsorted(offsets, flat.is_null().index(True).as_py(), side="right")) - 1
            raise EncodeError(f"column {name!r} has null in a list, which no feature holds; fill it first", row=row)
        return flat, offsets
    return array, list(range(len(array) + 1))


def _packed(flat: pa.Array, name: str, offsets: Sequence[int]) -> tuple[bytes, Ints]:
    """Write numbers behind one another; also tells where each starts, and the end."""
    values = flat.fill_null(False if pa.types.is_boolean(flat.type) else 0).to_numpy(zero_copy_only=False)
    if kind_of(flat.type) == FLOAT:
        with np.errstate(over="ignore"):
            floats = values.astype("<f4")
        _refuse(np.isinf(floats) & ~np.isinf(values), values, name, offsets, "float32")
        return floats.tobytes(), np.arange(len(floats) + 1) * 4
    if values.dtype == np.uint64:
        _refuse(values > _LARGEST, values, name, offsets, "int64")
    return varints(values.astype(np.int64))


def _refuse(wrong: Any, values: Any, name: str, offsets: Sequence[int], kind: str) -> None:
    if wrong.any():
        at = int(wrong.argmax())
        row = int(np.searchsorted(offsets, at, side="right")) - 1
        raise EncodeError(
            f"column {name!r} has {values[at]}, and features hold {kind}; scale it, or write it as text", row=row
        )


def _bytes_entries(rows: Sequence[Sequence[Any] | None], name: str) -> list[bytes]:
    entries = []
    for values in rows:
        if values is None:
            entries.append(b"")
            continue
        pieces = [piece for value in values for piece in (_TAGS[0], varint(len(value)), value)]
        size = sum(map(len, pieces))
        entries.append(b"".join((_head(name, 1, size), *pieces)))
    return entries


def _packed_head(name: str, field: int) -> Callable[[int], bytes]:
    """Make a function of what comes before packed values of so many bytes."""
    known: dict[int, bytes] = {}

    def head(size: int) -> bytes:
        found = known.get(size)
        if found is None:
            inner = _TAGS[0] + varint(size) if size else b""
            found = known[size] = _head(name, field, size + len(inner)) + inner
        return found

    return head


def _head(name: str, field: int, size: int) -> bytes:
    """Write what comes before a list of values of so many bytes, in an entry of the map of features."""
    before = _TAGS[field - 1] + varint(size)
    key = name.encode()
    inner = b"".join((_TAGS[0], varint(len(key)), key, _TAGS[1], varint(len(before) + size), before))
    return _TAGS[0] + varint(len(inner) + size) + inner


def _image_files(array: pa.Array, name: str) -> Iterator[Any]:
    for row, image in enumerate(iter_images(array)):
        if image is None or image.encoding != RAW:
            yield None if image is None else image.payload
            continue
        try:
            yield encode_pixels(raw_pixels(image), image.mode, CODECS["png"])
        except EncodeError as error:
            raise EncodeError(f"column {name!r}: {error.message}", row=row) from error.__cause__


def _value_type(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, TensorType):
        return pa.null() if kind.dtype.kind == "c" else pa.from_numpy_dtype(kind.dtype)
    is_many = isinstance(kind, pa.FixedShapeTensorType) or pa.types.is_large_list(kind)
    return kind.value_type if is_many or pa.types.is_fixed_size_list(kind) else kind
