"""A plan for one of several readers, each of which has a share of the rows."""

from __future__ import annotations

from dataclasses import replace

from lightdata.io.share import ShareSource
from lightdata.plan.effect import keeps_rows
from lightdata.plan.node import DecodeImages, Filter, MapRows, Plan, ReadFiles, Scan


def share_of(plan: Plan, number: int, shares: int) -> Plan | None:
    """Give a plan for share ``number`` of the rows, which reads no others; ``None`` where rows hang together.

    Legal only if each step treats each row by itself, and the source is not yet cut to its first rows.
    """
    match plan:
        case Scan(source=source, pushdowns=pushdowns) if pushdowns.n_rows is None:
            return replace(plan, source=ShareSource(source=source, number=number, shares=shares))
        case ReadFiles() | DecodeImages() | MapRows():
            is_rowwise = True
        case Filter(predicate=predicate):
            is_rowwise = predicate.is_elementwise
        case _:
            is_rowwise = keeps_rows(plan)
    if not is_rowwise or len(plan.inputs) != 1:
        return None
    below = share_of(plan.inputs[0], number, shares)
    return None if below is None else plan.map_inputs(lambda _: below)
