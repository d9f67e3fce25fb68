"""GroupBy(first(image))(Decode(Read(x))) -> Decode(Read(GroupBy(first(path))(x)))."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from lightdata.expr.expression import Expression
from lightdata.optimize.hoisting import applied, hoist
from lightdata.plan.node import DecodeImages, Plan, ReadFiles
from lightdata.plan.relational import GroupBy


def late_pixels_in_group_by(plan: Plan) -> Plan | None:
    """Read and decode only the images that a grouping keeps, after it.

    Legal only if the grouping looks at a column of images in no way but to keep the first or last of each group.
    """
    if not isinstance(plan, GroupBy):
        return None
    for place, agg in enumerate(plan.aggs):
        others = (*plan.keys, *plan.aggs[:place], *plan.aggs[place + 1 :])
        for column in agg.inputs if _picks_one(agg) else ():
            read = frozenset().union(*(one.inputs for one in others))
            if column not in read and (found := _reading(plan, column, read)):
                return _late(plan, place, *found)
    return None


def _picks_one(agg: Expression) -> bool:
    plain = agg.expr.meta.undo_aliases()
    return not agg.chains and any(
        plain.meta.eq(pick) for name in agg.inputs for pick in (pl.col(name).first(), pl.col(name).last())
    )


def _reading(plan: GroupBy, column: str, read: frozenset[str]) -> tuple[list[Plan], ReadFiles, Plan] | None:
    """Find the steps that read and decode a column, if there is nothing else to do later."""
    taken = hoist(plan.input, read)
    match taken.after:
        case (*decodes, ReadFiles(column=made) as reader) if made == column:
            if all(isinstance(one, DecodeImages) and one.column == column for one in decodes):
                return list(decodes), reader, taken.before
    return None


def _late(plan: GroupBy, place: int, decodes: list[Plan], reader: ReadFiles, before: Plan) -> Plan:
    agg = plan.aggs[place]
    picked = agg.reading({reader.column: reader.path})
    grouped = replace(plan, input=before, aggs=(*plan.aggs[:place], picked, *plan.aggs[place + 1 :]))
    late = [replace(one, column=agg.name) for one in decodes if isinstance(one, DecodeImages)]
    # The path stands where the image will be, and is replaced by it.
    return applied([*late, replace(reader, path=agg.name, column=agg.name)], grouped)
