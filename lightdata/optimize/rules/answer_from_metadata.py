"""Select(len, min, max, count, null_count)(Scan(source)) -> Scan(one row of what the source's metadata say)."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from lightdata.errors import LightdataError
from lightdata.expr.expression import Expression
from lightdata.io.memory import MemorySource
from lightdata.io.source import Bounds, Pushdowns, Source
from lightdata.plan.node import Drop, Plan, Scan, Select
from lightdata.plan.schema import schema_of


def answer_from_metadata(plan: Plan) -> Plan | None:
    """Answer what footers and listings know without reading a row.

    Legal only if every result is such a number, the scan stops nowhere, and the source tells all of them exactly: for
    Parquet that every row group of every file has statistics that are exact, as they are for whole numbers, dates,
    times and truth values, but not for floats (a NaN is in none) and text (which writers cut short).
    """
    match plan:
        case Select(input=before, expressions=expressions):
            return _answer(plan, _below_drops(before), expressions)
    return None


def _answer(plan: Plan, below: Plan, expressions: Sequence[Expression]) -> Plan | None:
    schema = schema_of(plan)
    match below:
        case Scan(source=source, pushdowns=Pushdowns(n_rows=None, predicate=None)) if schema is not None:
            bounds = _bounds(source, expressions)
            values = [] if bounds is None else [_value(one, bounds) for one in expressions]
            if not values or any(value is None for value in values):
                return None
            row = [pa.repeat(value, 1).cast(schema[one.name]) for one, value in zip(expressions, values, strict=True)]
            return Scan(source=MemorySource(pa.table(row, names=[one.name for one in expressions])))
    return None


def _below_drops(plan: Plan) -> Plan:
    """Look through what only leaves columns out: a count needs none."""
    return _below_drops(plan.input) if isinstance(plan, Drop) else plan


def _bounds(source: Source, expressions: Sequence[Expression]) -> Bounds | None:
    statistics = [one.statistic for one in expressions]
    columns = {column: None for one in statistics if one is not None for column in one[1:] if column is not None}
    try:
        return source.bounds(tuple(columns)) if all(statistics) else None
    except LightdataError:
        return None  # the run says what is wrong with the files


def _value(expression: Expression, bounds: Bounds) -> pa.Scalar | None:
    match expression.statistic:
        case ("len", _):
            return pa.scalar(bounds.rows)
        case (which, str(column)) if column in bounds.columns:
            of = bounds.columns[column]
            return {
                "min": of.least,
                "max": of.most,
                "null_count": pa.scalar(of.nulls),
                "count": pa.scalar(bounds.rows - of.nulls),
            }[which]
    return None
