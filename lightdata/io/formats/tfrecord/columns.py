"""Features to columns: which type a feature's column has, and which records do not fit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lightdata.errors import ArgumentError
from lightdata.io.formats.tfrecord.wire import BYTES, FLOAT, INT64, KINDS, UNSET, Ints, Values, bool_array, int64_array
from lightdata.types.schema import Schema, describe

VALUE_TYPES = {UNSET: pa.null(), BYTES: pa.large_binary(), FLOAT: pa.float32(), INT64: pa.int64()}
"""The types of values where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a feature, over some records."""

    kind: int = UNSET
    longest: int = 0
    """Values of the record with the most."""

    steps: int = -1
    """The most values of one step of a feature list; less than 0 for other features."""

    def merge(self, other: Seen) -> Seen:
        """Put together what was seen here and there; the first kind holds."""
        return Seen(self.kind or other.kind, max(self.longest, other.longest), max(self.steps, other.steps))

    @property
    def type(self) -> pa.DataType:
        """The type of a column for all of it: plain where no record has more than one value."""
        value = VALUE_TYPES[self.kind]
        if self.steps >= 0:
            return pa.large_list(value if self.steps <= 1 else pa.large_list(value))
        return value if self.longest <= 1 and (self.longest or self.kind == UNSET) else pa.large_list(value)


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and what is wrong with those of its rows that do not fit."""

    array: pa.Array
    """Null where the feature is missing or does not fit, and, but for lists, where it is empty."""

    misfits: Mapping[int, str] = field(default_factory=dict)


def check_types(schema: Schema) -> None:
    """Refuse types that no feature can have.

    Raises
    ------
    ArgumentError
        Naming the column.
    """
    for name, kind in schema.items():
        inner = value_type(value_type(kind))
        if kind_of(inner) is None:
            raise ArgumentError(
                f"schema: a feature cannot be read as {describe(kind)} (column {name!r}); it holds bytes or text, "
                "floats or integers: one, a list, or a tensor of a known shape"
            )


def kind_of(value: pa.DataType) -> int | None:
    """Tell which kind of feature holds values of a type.

    >>> kind_of(pa.large_string()) == BYTES, kind_of(pa.bool_()) == INT64, kind_of(pa.date32())
    (True, True, None)
    """
    if pa.types.is_null(value):
        return UNSET
    if pa.types.is_large_binary(value) or pa.types.is_large_string(value):
        return BYTES
    if pa.types.is_floating(value):
        return FLOAT
    return INT64 if pa.types.is_integer(value) or pa.types.is_boolean(value) else None


def value_type(kind: pa.DataType) -> pa.DataType:
    """Give the type of the values of a list or tensor, or of a plain column."""
    if isinstance(kind, pa.FixedShapeTensorType) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return kind.value_type
    return kind


def build_column(values: Mapping[int, Values], kind: pa.DataType, count: int, name: str) -> Column:
    """Make the column of one feature.

    Parameters
    ----------
    values : the values of each kind that the feature has in some record
    kind : the type of the column
    count : int
        Records, with or without the feature.
    """
    wanted = kind_of(value_type(kind))
    misfits = {
        row: f"feature {name!r} is {KINDS[other]}, its column is {describe(kind)}"
        for other, found in values.items()
        if other not in (wanted, UNSET)
        for row in found.rows.tolist()
    }
    fitting = values.get(wanted or UNSET)
    if fitting is None or not (len(fitting.rows) or (len(fitting.empty) and pa.types.is_large_list(kind))):
        return Column(pa.nulls(count, kind), misfits)
    flat, wrong = _cast(fitting.flat, value_type(kind))
    if len(wrong):
        owners = np.repeat(fitting.rows, fitting.counts)
        misfits |= {int(owners[at]): f"feature {name!r} has a value that is no {value_type(kind)}" for at in wrong}
    array, sizes = _assemble(fitting, flat, kind, count)
    misfits |= {
        row: f"feature {name!r} has {size} values, its column is {describe(kind)}; if all have some, read lists: "
        f'schema={{"{name}": pl.List(pl.{Schema({name: flat.type}).to_polars()[name]})}} and the other columns'
        for row, size in sizes.items()
    }
    return Column(array, misfits)


def _cast(flat: pa.Array, kind: pa.DataType) -> tuple[pa.Array, Ints]:
    """Cast values, and list those that cannot be: they are null."""
    if flat.type.equals(kind):
        return flat, np.empty(0, np.int64)
    if pa.types.is_large_string(kind):
        is_right = _are_text(flat)
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        bounds = (0, 1) if pa.types.is_boolean(kind) else _bounds(kind)
        numbers = flat.to_numpy()
        is_right = (numbers >= bounds[0]) & (numbers <= bounds[1])
    else:
        return flat.cast(kind, safe=False), np.empty(0, np.int64)
    if not is_right.all():
        flat = pc.if_else(bool_array(is_right), flat, pa.scalar(None, flat.type))
    return flat.cast(kind), np.flatnonzero(~is_right)


def _bounds(kind: pa.DataType) -> tuple[int, int]:
    limits = np.iinfo(kind.to_pandas_dtype())
    return int(limits.min), min(int(limits.max), np.iinfo(np.int64).max)


def _are_text(flat: pa.Array) -> NDArray[np.bool_]:
    try:
        flat.cast(pa.large_string())
    except pa.ArrowInvalid:
        return np.array([_is_text(value) for value in flat.to_pylist()], np.bool_)
    return np.ones(len(flat), np.bool_)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _assemble(values: Values, flat: pa.Array, kind: pa.DataType, count: int) -> tuple[pa.Array, dict[int, int]]:
    """Put values into rows; also tells the rows that have another number of values than the type has."""
    rows, counts = values.rows, values.counts
    if pa.types.is_large_list(kind):
        sizes = np.zeros(count, np.int64)
        sizes[rows] = counts
        missing = np.ones(count, np.bool_)
        missing[rows] = missing[values.empty] = False
        offsets = int64_array(np.concatenate(([0], np.cumsum(sizes))))
        return pa.LargeListArray.from_arrays(offsets, flat, mask=_mask(missing)), {}
    size = _fixed_size(kind)
    is_right = counts == (size or 1)
    wrong = dict(zip(rows[~is_right].tolist(), counts[~is_right].tolist(), strict=True))
    places = _places(rows[is_right], (np.cumsum(counts) - counts)[is_right], count, size or 1)
    if size is None:
        is_whole = not wrong and len(rows) == count
        return (flat if is_whole else flat.take(places)), wrong
    missing = np.ones(count, np.bool_)
    missing[rows[is_right]] = False
    storage = pa.FixedSizeListArray.from_arrays(flat.take(places), size, mask=_mask(missing))
    is_tensor = isinstance(kind, pa.FixedShapeTensorType)
    return (pa.ExtensionArray.from_storage(kind, storage) if is_tensor else storage), wrong


def _places(rows: Ints, firsts: Ints, count: int, size: int) -> pa.Array:
    """Tell where in the flat values each value of each row is; null where the row has none."""
    starts = np.full(count, -1, np.int64)
    starts[rows] = firsts
    at = (starts[:, np.newaxis] + np.arange(size)).reshape(-1)
    return int64_array(at, np.repeat(starts < 0, size))


def _mask(missing: NDArray[np.bool_]) -> pa.Array | None:
    return bool_array(missing) if missing.any() else None


def _fixed_size(kind: pa.DataType) -> int | None:
    if isinstance(kind, pa.FixedShapeTensorType):
        return int(np.prod(kind.shape))
    return int(kind.list_size) if pa.types.is_fixed_size_list(kind) else None
