"""The features of many ``tf.train.Example`` messages at once: found by NumPy, in step, one feature of each at a time.

Only the usual layout is known here, the one that every writer of today makes. A message of another layout, or a
malformed one, is *odd*: it is left to Protocol Buffers, which tells what it means and lays it out as usual.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lightdata.io.formats.tfrecord.checksum import Bytes
from lightdata.types.plain_array import plain_array

Ints = NDArray[np.int64]

KINDS = ("not set", "bytes_list", "float_list", "int64_list")
"""What a feature may hold, by the numbers they have here and in the message."""

UNSET, BYTES, FLOAT, INT64 = range(4)

_TAGS = (0x0A, 0x12, 0x1A)
"""Bytes that begin fields 1, 2 and 3 where they have a length."""

_LENGTH_VARINT_BYTES = 5
_VARINT_BYTES = 10
_CONTINUES = 0x80
_FLOAT_BYTES = 4
_NAMES_AT_ONCE = 16
_FEW = 32
"""So few records are faster walked one by one than in step."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of those records that have it, in order."""

    rows: Ints
    kinds: NDArray[np.uint8]
    starts: Ints
    """Where the list of values starts in the content."""

    ends: Ints

    def take(self, chosen: NDArray[np.bool_]) -> Feature:
        """Keep some records."""
        return Feature(self.rows[chosen], self.kinds[chosen], self.starts[chosen], self.ends[chosen])


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one kind of one feature, of those records that have some."""

    rows: Ints
    counts: Ints
    """How many values each of these records has, at least one."""

    flat: pa.Array
    """All values behind one another: large_binary, float32 or int64."""

    empty: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """Records that have the feature, and no value in it."""


def find_features(content: bytes, starts: Ints, ends: Ints) -> tuple[dict[str, Feature], NDArray[np.bool_]]:
    """Find every feature of many messages, and tell which messages are odd.

    Parameters
    ----------
    starts, ends : int64 [N]
        Where each message lies in ``content``, in order.

    Returns
    -------
    The features by name, and bool [N]

    Examples
    --------
    >>> label = bytes.fromhex("0a100a0e0a056c6162656c12051a030a0107")
    >>> features, odd = find_features(label, np.array([0]), np.array([len(label)]))
    >>> {name: (KINDS[feature.kinds[0]], feature.starts[0]) for name, feature in features.items()}, odd.tolist()
    ({'label': ('int64_list', np.int64(15))}, [False])
    """
    whole = np.frombuffer(content, np.uint8)
    found: dict[bytes, list[Feature]] = {}
    rows = np.flatnonzero(ends > starts)
    at, limits, is_right = _part(whole, starts[rows], _TAGS[0])
    odd = np.zeros(len(starts), np.bool_)
    odd[rows] = ~is_right | (limits != ends[rows])
    while True:
        live = ~odd[rows] & (at < limits)
        rows, at, limits = rows[live], at[live], limits[live]
        if not len(rows):
            break
        entries = _entries(whole, at, limits)
        odd[rows] = ~entries.is_usual
        for name, chosen in _by_name(content, entries):
            feature = Feature(rows[chosen], entries.kinds[chosen], entries.starts[chosen], entries.ends[chosen])
            found.setdefault(name, []).append(feature)
        at = entries.ends
    named: dict[str, Feature] = {}
    for name, pieces in found.items():
        feature = _in_order(pieces)
        odd[feature.rows[1:][feature.rows[1:] == feature.rows[:-1]]] = True  # the last of two would count
        try:
            named[name.decode()] = feature
        except UnicodeDecodeError:
            odd[feature.rows] = True
    return named, odd


def read_values(
    content: bytes, feature: Feature, kind: int, odd: NDArray[np.bool_], *, is_wanted: bool = True
) -> Values:
    """Read the values of one kind; messages where they cannot be read are marked as odd.

    Bytes that are not wanted are null: they are counted, and not copied.
    """
    feature = feature.take(feature.kinds == kind)
    has = feature.ends > feature.starts
    filled = feature.take(has)
    match kind:
        case 1:
            values = _read_bytes(content, filled, odd, is_wanted=is_wanted)
        case 2:
            values = _read_floats(content, filled, odd)
        case _:
            values = _read_ints(content, filled, odd)
    return replace(values, empty=feature.rows[~has])


def gather(content: bytes, starts: Ints, ends: Ints) -> pa.Array:
    """Copy stretches that lie behind one another into a column of bytes.

    >>> gather(b"abcdef", np.array([0, 3]), np.array([2, 6])).to_pylist()
    [b'ab', b'def']
    """
    count = len(starts)
    if not count:
        return plain_array([], pa.large_binary())
    # Arrow's own copying is the fastest: of values and the gaps between them, it takes the values.
    offsets = np.empty(2 * count, np.int64)
    offsets[0::2], offsets[1::2] = starts, ends
    pieces = pa.Array.from_buffers(
        pa.large_binary(), 2 * count - 1, [None, pa.py_buffer(offsets), pa.py_buffer(content)]
    )
    return pieces.take(int64_array(np.arange(0, 2 * count, 2)))


def int64_array(numbers: Ints, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Wrap numbers as a column without a copy; ``pa.array`` would import pandas.

    >>> int64_array(np.array([1, 2]), np.array([True, False])).to_pylist()
    [None, 2]
    """
    is_valid = None if missing is None or not missing.any() else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(pa.int64(), len(numbers), [is_valid, pa.py_buffer(np.ascontiguousarray(numbers))])


def bool_array(flags: NDArray[np.bool_]) -> pa.Array:
    """Copy flags into a column, without pandas too.

    >>> bool_array(np.array([True, False])).to_pylist()
    [True, False]
    """
    bits = pa.py_buffer(np.packbits(flags, bitorder="little"))
    return pa.Array.from_buffers(pa.bool_(), len(flags), [None, bits])


@dataclass(frozen=True, slots=True)
class _Entries:
    """One entry of the map of features in each of some messages."""

    names: Ints
    names_end: Ints
    kinds: NDArray[np.uint8]
    starts: Ints
    ends: Ints
    """Of the list of values; also the end of the entry."""

    is_usual: NDArray[np.bool_]


def _entries(whole: Bytes, at: Ints, limits: Ints) -> _Entries:
    inside, end, is_entry = _part(whole, at, _TAGS[0])
    name, name_end, is_name = _part(whole, inside, _TAGS[0])
    feature, feature_end, is_value = _part(whole, name_end, _TAGS[1])
    is_set = feature_end > feature
    tags = whole.take(feature, mode="clip")
    values, values_end, is_list = _part(whole, feature)
    is_list &= (values_end == end) & ((tags == _TAGS[0]) | (tags == _TAGS[1]) | (tags == _TAGS[2]))
    is_usual = is_entry & is_name & is_value & (end <= limits) & (feature_end == end) & (is_list | ~is_set)
    kinds = np.where(is_set, tags >> 3, UNSET).astype(np.uint8)
    return _Entries(name, name_end, kinds, np.where(is_set, values, end), end, is_usual)


def _part(whole: Bytes, at: Ints, tag: int | None = None) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Read a tag and a length: where what they announce starts and ends, and whether it is so.

    Beyond the content its last byte is read again and again; whoever calls compares the ends, which only grow.
    """
    lengths = whole.take(at + 1, mode="clip").astype(np.int64)
    starts = at + 2
    is_right = np.ones(len(at), np.bool_) if tag is None else whole.take(at, mode="clip") == tag
    longer = np.flatnonzero(lengths >= _CONTINUES)
    lengths[longer] -= _CONTINUES
    for place in range(1, _LENGTH_VARINT_BYTES):
        if not len(longer):
            break
        more = whole.take(starts[longer], mode="clip").astype(np.int64)
        starts[longer] += 1
        lengths[longer] += (more & 0x7F) << 7 * place
        longer = longer[more >= _CONTINUES]
    is_right[longer] = False
    return starts, starts + lengths, is_right


def _by_name(content: bytes, entries: _Entries) -> Iterator[tuple[bytes, NDArray[np.bool_]]]:
    """Sort messages by the name that lies in each of them."""
    starts, ends, left = entries.names, entries.names_end, entries.is_usual
    whole = np.frombuffer(content, np.uint8)
    for _ in range(_NAMES_AT_ONCE):
        if not left.any():
            return
        first = int(left.argmax())
        name = content[starts[first] : ends[first]]
        same = left & (ends - starts == len(name))
        if name:
            rows = np.flatnonzero(same)
            seen = sliding_window_view(whole, len(name))[starts[rows]]
            same[rows[(seen != np.frombuffer(name, np.uint8)).any(axis=1)]] = False
        yield name, same
        left = left & ~same
    many: dict[bytes, list[int]] = {}
    for row in np.flatnonzero(left).tolist():
        many.setdefault(content[starts[row] : ends[row]], []).append(row)
    for name, members in many.items():
        same = np.zeros(len(left), np.bool_)
        same[members] = True
        yield name, same


def _in_order(pieces: list[Feature]) -> Feature:
    if len(pieces) == 1:
        return pieces[0]
    rows = np.concatenate([piece.rows for piece in pieces])
    kinds = np.concatenate([piece.kinds for piece in pieces])
    starts = np.concatenate([piece.starts for piece in pieces])
    ends = np.concatenate([piece.ends for piece in pieces])
    order = np.argsort(rows, kind="stable")
    return Feature(rows[order], kinds[order], starts[order], ends[order])


def _read_bytes(content: bytes, feature: Feature, odd: NDArray[np.bool_], *, is_wanted: bool) -> Values:
    whole = np.frombuffer(content, np.uint8)
    found: list[tuple[Ints, Ints, Ints]] = []
    live, at = np.arange(len(feature.rows)), feature.starts
    while len(live) > _FEW or (len(live) and not found):
        inside, at, is_right = _part(whole, at, _TAGS[0])
        is_right &= at <= feature.ends[live]
        odd[feature.rows[live[~is_right]]] = True
        found.append((live[is_right], inside[is_right], at[is_right]))
        more = is_right & (at < feature.ends[live])
        live, at = live[more], at[more]
    for one, begin in zip(live.tolist(), at.tolist(), strict=True):
        inner = _walk_bytes(content, begin, int(feature.ends[one]))
        odd[feature.rows[one]] |= inner is None
        inside, end = np.array(inner or [], np.int64).reshape(-1, 2).T
        found.append((np.full(len(inside), one), inside, end))
    if not found:
        return Values(feature.rows, feature.rows, gather(content, feature.starts, feature.ends))
    owners, starts, ends = (np.concatenate(column) for column in zip(*found, strict=True))
    if len(found) > 1:
        order = np.argsort(starts, kind="stable")
        owners, starts, ends = owners[order], starts[order], ends[order]
    flat = gather(content, starts, ends) if is_wanted else pa.nulls(len(starts), pa.large_binary())
    return _present(feature, np.bincount(owners, minlength=len(feature.rows)), flat)


def _walk_bytes(content: bytes, at: int, end: int) -> list[tuple[int, int]] | None:
    """List where each of the values between ``at`` and ``end`` lies; ``None`` where they are odd."""
    found: list[tuple[int, int]] = []
    while at < end:
        length = shift = 0
        is_right, at = content[at] == _TAGS[0], at + 1
        while is_right and at < end:
            byte, at = content[at], at + 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < _CONTINUES:
                break
        else:
            return None
        if shift > 7 * _LENGTH_VARINT_BYTES or at + length > end:
            return None
        found.append((at, at + length))
        at += length
    return found


def _read_floats(content: bytes, feature: Feature, odd: NDArray[np.bool_]) -> Values:
    payload = _packed(content, feature, odd, of=_FLOAT_BYTES)
    counts = _lengths(payload) // _FLOAT_BYTES
    flat = pa.Array.from_buffers(pa.float32(), int(counts.sum()), [None, payload.buffers()[2]])
    return _present(feature, counts, flat)


def _read_ints(content: bytes, feature: Feature, odd: NDArray[np.bool_]) -> Values:
    payload = _packed(content, feature, odd)
    borders = _offsets(payload)
    values = np.frombuffer(payload.buffers()[2] or b"", np.uint8)[: borders[-1]]
    is_last = values < _CONTINUES
    if is_last.all():
        return _present(feature, np.diff(borders), int64_array(values.astype(np.int64)))
    before = np.concatenate(([0], np.cumsum(is_last)))[borders]
    lasts = np.flatnonzero(is_last)
    firsts = np.concatenate(([0], lasts[:-1] + 1))[: len(lasts)]
    lengths = lasts - firsts + 1
    is_wrong = (lengths > _VARINT_BYTES) | ((lengths == _VARINT_BYTES) & (values[lasts] > 1))
    owners = np.searchsorted(borders, firsts[is_wrong], side="right") - 1
    odd[feature.rows[owners]] = True
    is_full = borders[1:] > borders[:-1]
    odd[feature.rows[is_full][~is_last[borders[1:][is_full] - 1]]] = True
    return _present(feature, np.diff(before), int64_array(_varints(values, firsts, lengths).view(np.int64)))


def _varints(values: Bytes, firsts: Ints, lengths: Ints) -> NDArray[np.uint64]:
    """Put together numbers of which each byte holds seven bits, the lowest first."""
    numbers = (values[firsts] & 0x7F).astype(np.uint64)
    live = np.arange(len(firsts))
    for place in range(1, _VARINT_BYTES):
        live = live[lengths[live] > place]
        if not len(live):
            break
        numbers[live] |= (values[firsts[live] + place] & 0x7F).astype(np.uint64) << np.uint64(7 * place)
    return numbers


def _packed(content: bytes, feature: Feature, odd: NDArray[np.bool_], of: int = 1) -> pa.Array:
    """Copy packed values, each of ``of`` bytes; nothing where they are not packed, which is odd."""
    starts, ends, is_right = _part(np.frombuffer(content, np.uint8), feature.starts, _TAGS[0])
    is_right &= (ends == feature.ends) & ((ends - starts) % of == 0)
    odd[feature.rows[~is_right]] = True
    return gather(content, np.where(is_right, starts, feature.ends), feature.ends)


def _present(feature: Feature, counts: Ints, flat: pa.Array) -> Values:
    has = counts > 0
    return Values(feature.rows[has], counts[has], flat)


def _offsets(column: pa.Array) -> Ints:
    if not len(column):
        return np.zeros(1, np.int64)
    return np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]


def _lengths(column: pa.Array) -> Ints:
    return np.diff(_offsets(column))
