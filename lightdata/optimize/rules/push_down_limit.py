"""Limit(Step(x)) -> Step(Limit(x)), where Step gives one row for each row; Limit(Scan) -> Scan with n_rows."""

from __future__ import annotations

from dataclasses import replace

from lightdata.plan.node import (
    DecodeImages,
    Drop,
    Infer,
    Limit,
    MapRows,
    Plan,
    ReadFiles,
    Rename,
    Scan,
    Select,
    WithColumns,
)


def push_down_limit(plan: Plan) -> Plan | None:
    """Stop at the source instead of throwing rows away.

    Legal only past steps that give exactly one row for each row and treat it by itself; filters, and steps that
    skip failing rows, are not. A batch function may give any number of rows, so nothing passes it.
    """
    match plan:
        case Limit(input=Limit(input=before, n=inner), n=n):
            return Limit(input=before, n=min(n, inner))
        case Limit(input=Scan(source=source, pushdowns=pushdowns) as scan, n=n):
            rows = n if pushdowns.n_rows is None else min(n, pushdowns.n_rows)
            pushed = replace(scan, pushdowns=replace(pushdowns, n_rows=rows))
            if source.rows_are_listed:
                return pushed  # such a source stops exactly
            return None if pushdowns.n_rows == rows else replace(plan, input=pushed)
        case Limit(input=step) if keeps_rows(step):
            return step.map_inputs(lambda before: replace(plan, input=before))
    return None


def keeps_rows(step: Plan) -> bool:
    """Whether a step gives exactly one row for each row, made of that row alone."""
    match step:
        case ReadFiles(on_error=on_error) | DecodeImages(on_error=on_error):
            return on_error != "skip"
        case WithColumns(expressions=expressions):
            return all(one.is_elementwise or one.is_constant for one in expressions)
        case Select(expressions=expressions):
            return all(one.is_elementwise for one in expressions)
        case MapRows(kind=kind):
            return kind == "map"
        case Drop() | Rename() | Infer():
            return True
    return False
