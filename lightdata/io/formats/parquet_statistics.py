"""What the footers of Parquet files say of values, where it is exact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lightdata.io.source import ColumnBounds

Footer = tuple[Any, pa.Schema]
"""The metadata of a file, and its columns as Arrow reads them."""


def bounds_of(footers: Sequence[Footer], columns: Mapping[str, pa.DataType]) -> dict[str, ColumnBounds]:
    """Tell the bounds of those columns that every row group of every file has exact ones of, which could be true.

    Whole numbers, dates, times of day and date, and truth values have. Floats have not: a NaN is in no statistics. Nor
    have text and bytes, which writers cut short.
    """
    found = {name: _bounds(footers, name, kind) for name, kind in columns.items() if _is_exact(kind)}
    return {name: bounds for name, bounds in found.items() if bounds is not None}


def footer_widths(footers: Sequence[Any]) -> dict[str, float]:
    """Give the mean bytes of a value of each column, before compression; those of its fields are counted in."""
    sizes: dict[str, int] = {}
    for metadata in footers:
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            for chunk in map(group.column, range(group.num_columns)):
                name = chunk.path_in_schema.partition(".")[0]
                sizes[name] = sizes.get(name, 0) + chunk.total_uncompressed_size
    rows = sum(metadata.num_rows for metadata in footers)
    return {name: size / rows for name, size in sizes.items()} if rows else {}


def _is_exact(kind: pa.DataType) -> bool:
    is_time = pa.types.is_date32(kind) or pa.types.is_timestamp(kind)
    return is_time or pa.types.is_integer(kind) or pa.types.is_boolean(kind)


def _bounds(footers: Sequence[Footer], name: str, kind: pa.DataType) -> ColumnBounds | None:
    lows, highs, nulls = [], [], 0
    for metadata, schema in footers:
        leaf = _leaf(metadata.schema, schema, name, kind)
        if leaf is None:
            return None
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            chunk = group.column(leaf)
            if not group.num_rows:
                continue
            statistics = chunk.statistics if chunk.is_stats_set else None
            if statistics is None or not statistics.has_null_count or not 0 <= statistics.null_count <= group.num_rows:
                return None
            nulls += statistics.null_count
            if statistics.null_count == chunk.num_values:
                continue  # no value has no bounds
            if not statistics.has_min_max:
                return None
            low, high = _values(statistics, kind)
            if low > high:
                return None
            lows.append(low)
            highs.append(high)
    try:
        least, most = (pa.scalar(value, kind) for value in (min(lows, default=None), max(highs, default=None)))
    except (pa.ArrowException, OverflowError, ValueError):  # a number that the column cannot hold
        return None
    return ColumnBounds(least=least, most=most, nulls=nulls)


def _values(statistics: Any, kind: pa.DataType) -> tuple[Any, Any]:
    # Python has no date before year 1 or after 9999, and no time of nanoseconds; stored numbers have no sign of theirs.
    if pa.types.is_date32(kind) or pa.types.is_timestamp(kind):
        return statistics.min_raw, statistics.max_raw
    return statistics.min, statistics.max


def _leaf(stored: Any, schema: pa.Schema, name: str, kind: pa.DataType) -> int | None:
    """Find the column of values behind a column of a plain type; a field ``a.b`` and a column "a.b" look alike."""
    leaves = [number for number in range(len(stored)) if stored.column(number).path == name]
    if len(leaves) != 1 or schema.field(name).type != kind:
        return None
    return leaves[0] if _has_unit_of(stored.column(leaves[0]), kind) else None


def _has_unit_of(column: Any, kind: pa.DataType) -> bool:
    if not pa.types.is_timestamp(kind):
        return True
    unit = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}.get(kind.unit, "")
    return bool(json.loads(column.logical_type.to_json()).get("timeUnit") == unit)
