"""Limit(Step(x)) -> Step(Limit(x)), where Step gives one row for each row; so for slice, sample and shuffle."""

from __future__ import annotations

from dataclasses import replace

from lightdata.plan.effect import keeps_rows
from lightdata.plan.node import Limit, Plan, Scan
from lightdata.plan.relational import Concat, RandomShuffle, Sample, Slice, Zip


def push_down_limit(plan: Plan) -> Plan | None:
    """Stop at the source instead of throwing rows away, and choose and mix rows before anything is made of them.

    Legal only past steps that give exactly one row for each row and treat it by itself: which rows are kept depends
    on their number alone. Filters, and steps that skip failing rows, are not such; a batch function may give any
    number of rows, so nothing passes it. Of inputs one after another or side by side, no more is read of each than is
    kept of all; that some have fewer rows than others is then told only if it is so among the rows that are kept.
    """
    match plan:
        case Limit(input=Limit(input=before, n=inner), n=n):
            return Limit(input=before, n=min(n, inner))
        case Limit(input=Scan() as scan, n=n):
            return _into_scan(plan, scan, n)
        case Limit(input=(Concat(parts=parts) | Zip(parts=parts)) as step, n=n) if any(
            _most_rows(part, n) > n for part in parts
        ):
            return replace(plan, input=replace(step, parts=tuple(Limit(input=part, n=n) for part in parts)))
        case Limit(input=step) | Slice(input=step) | Sample(input=step) | RandomShuffle(input=step) if keeps_rows(step):
            return step.map_inputs(lambda before: plan.map_inputs(lambda _: before))
    return None


def _into_scan(plan: Limit, scan: Scan, n: int) -> Plan | None:
    rows = n if scan.pushdowns.n_rows is None else min(n, scan.pushdowns.n_rows)
    pushed = replace(scan, pushdowns=replace(scan.pushdowns, n_rows=rows))
    if scan.source.rows_are_listed:
        return pushed  # such a source stops exactly
    return None if scan.pushdowns.n_rows == rows else replace(plan, input=pushed)


def _most_rows(plan: Plan, n: int) -> int:
    """Bound the rows of a plan that was limited before; more than ``n`` where nothing bounds them."""
    match plan:
        case Limit(n=rows):
            return rows
        case Scan(pushdowns=pushdowns) if pushdowns.n_rows is not None:
            return pushdowns.n_rows
    return _most_rows(plan.inputs[0], n) if keeps_rows(plan) else n + 1
