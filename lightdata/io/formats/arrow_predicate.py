"""Polars predicates as Arrow expressions, as far as Parquet's statistics can judge them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa

from lightdata.types.schema import Schema

_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "Eq": lambda left, right: left == right,
    "Lt": lambda left, right: left < right,
    "LtEq": lambda left, right: left <= right,
    "Gt": lambda left, right: left > right,
    "GtEq": lambda left, right: left >= right,
}
_TURNED = {"Eq": "Eq", "Lt": "Gt", "LtEq": "GtEq", "Gt": "Lt", "GtEq": "LtEq"}


def to_arrow(predicate: pl.Expr, schema: Schema) -> Any | None:
    """Give an Arrow expression that is true wherever ``predicate`` is, or ``None`` where nothing can be said.

    >>> print(to_arrow((pl.col("n") > 5) & pl.col("s").str.contains("a"), Schema({"n": pa.int64()})))
    (n > 5)
    """
    try:
        node = json.loads(predicate.meta.serialize(format="json"))
    except (pl.exceptions.PolarsError, ValueError):  # a function of Python's has no text
        return None
    return _translated(node, schema)


def conjuncts(predicate: pl.Expr) -> list[pl.Expr]:
    """List the predicates that must all be true for this one to be.

    >>> [str(one) for one in conjuncts((pl.col("a") > 1) & (pl.col("b") > 2))]
    ['[(col("a")) > (dyn int: 1)]', '[(col("b")) > (dyn int: 2)]']
    """
    try:
        is_and = json.loads(predicate.meta.serialize(format="json")).get("BinaryExpr", {}).get("op") == "And"
    except (pl.exceptions.PolarsError, ValueError, AttributeError):
        is_and = False
    return [one for side in reversed(predicate.meta.pop()) for one in conjuncts(side)] if is_and else [predicate]


def _translated(node: Any, schema: Schema) -> Any | None:
    match node:
        case {"BinaryExpr": {"left": left, "op": "And", "right": right}}:
            known = [one for side in (left, right) if (one := _translated(side, schema)) is not None]
            return None if not known else known[0] if len(known) == 1 else known[0] & known[1]
        case {"BinaryExpr": {"left": left, "op": "Or", "right": right}}:
            either, other = _translated(left, schema), _translated(right, schema)
            return None if either is None or other is None else either | other
        case {"BinaryExpr": {"left": {"Column": name}, "op": op, "right": value}}:
            return _comparison(name, op, value, schema)
        case {"BinaryExpr": {"left": value, "op": op, "right": {"Column": name}}} if op in _TURNED:
            return _comparison(name, _TURNED[op], value, schema)
        case {"Function": {"input": [{"Column": name}, *arguments], "function": {"Boolean": function}}}:
            return _tested(name, function, arguments, schema)
    return None


def _tested(name: str, function: Any, arguments: list[Any], schema: Schema) -> Any | None:
    if name not in schema:
        return None
    from pyarrow import compute as pc  # noqa: PLC0415 - only a predicate that reaches Parquet needs it

    match function, arguments:
        case "IsNull", []:
            return pc.field(name).is_null()
        case "IsNotNull", []:
            return pc.field(name).is_valid()
        case {"IsIn": {"nulls_equal": False}}, [values]:
            listed = _value(values)
            is_listed = isinstance(listed, list) and all(map(_is_plain, listed))
            if not is_listed or not listed:
                return None
            # Arrow tells the two zeros apart where it looks into statistics, which begin at -0.0 and end at 0.0.
            zeros = [-0.0, 0.0] if pa.types.is_floating(schema[name]) and 0 in listed else []
            return pc.field(name).isin([*listed, *zeros])
        case {"IsBetween": _}, [low, high]:
            # With its bounds or without: no more rows are kept than need be judged later.
            least, most = (_comparison(name, op, value, schema) for op, value in (("GtEq", low), ("LtEq", high)))
            return most if least is None else least if most is None else least & most
    return None


def _comparison(name: str, op: str, node: Any, schema: Schema) -> Any | None:
    value = _value(node)
    if name not in schema or op not in _COMPARED or not _is_plain(value):
        return None
    if pa.types.is_floating(schema[name]) and op in ("Gt", "GtEq"):
        return None  # NaN is above all numbers for Polars, and in no statistics
    from pyarrow import compute as pc  # noqa: PLC0415 - only a predicate that reaches Parquet needs it

    return _COMPARED[op](pc.field(name), value)


def _is_plain(value: Any) -> bool:
    return value is not None and value == value and not isinstance(value, list | dict)  # noqa: PLR0124 - NaN is not itself


def _value(node: Any) -> Any:
    """Compute what no column has a part in; ``None`` where one has."""
    if not (isinstance(node, dict) and "Literal" in node):
        return None
    try:
        held = pl.Expr.deserialize(io.StringIO(json.dumps(node)), format="json")
    except (pl.exceptions.PolarsError, ValueError):  # NaN has no text
        return None
    literal = pl.select(held.alias("value"))["value"]
    value = literal[0] if len(literal) == 1 else None
    return value.to_list() if isinstance(value, pl.Series) else value
