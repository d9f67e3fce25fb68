"""Filter(Scan) -> Filter(Scan with the predicate): files and row groups that metadata rule out are not read."""

from __future__ import annotations

from dataclasses import replace

from lightdata.expr.expression import Expression, bind
from lightdata.io.file_rows import FileRowsSource
from lightdata.io.formats.arrow_predicate import conjuncts
from lightdata.plan.node import Drop, Filter, Plan, Scan
from lightdata.plan.schema import schema_of


def skip_by_metadata(plan: Plan) -> Plan | None:
    """Leave out files and row groups of which their folders and statistics say that no row passes.

    The filter stays: metadata tell of many rows at once, and a part that may hold one that passes is read whole. Legal
    for predicates that treat each row by itself and look at no pixels, right above a scan that takes all rows.
    """
    match plan:
        case Filter(input=before, predicate=predicate) if _is_plain(predicate):
            told = _told(before, predicate)
            return None if told is None else replace(plan, input=told)
    return None


def _told(plan: Plan, predicate: Expression) -> Plan | None:
    """Tell the scan below, past other filters and columns that are left out."""
    match plan:
        case Scan(source=FileRowsSource(), pushdowns=pushdowns) if pushdowns.n_rows is None:
            schema = plan.source.schema
            known = pushdowns.predicate
            if schema is None or (known is not None and _holds(known, predicate)):
                return None
            both = predicate if known is None else bind([known.expr & predicate.expr], schema, step="filter")[0]
            return replace(plan, pushdowns=replace(pushdowns, predicate=both))
        case Filter(input=before) | Drop(input=before):
            told = _told(before, predicate) if schema_of(before) is not None else None
            return None if told is None else replace(plan, input=told)
    return None


def _is_plain(predicate: Expression) -> bool:
    return predicate.is_elementwise and not predicate.chains and bool(predicate.inputs)


def _holds(known: Expression, predicate: Expression) -> bool:
    """Whether a predicate is what is known already, or one side of it."""
    return known.expr.meta.eq(predicate.expr) or any(part.meta.eq(predicate.expr) for part in conjuncts(known.expr))
