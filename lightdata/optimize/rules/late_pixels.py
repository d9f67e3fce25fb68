"""Sort(Pixels(x)) -> Pixels(Sort(x)); so for other steps that need all rows."""

from __future__ import annotations

from lightdata.optimize.hoisting import applied, chosen, hoist
from lightdata.plan.effect import columns_made, columns_read, keeps_rows
from lightdata.plan.node import Filter, Plan, WithColumns
from lightdata.plan.relational import RandomShuffle, Sample, Slice, Sort, Unique, WithRowIndex
from lightdata.plan.schema import schema_of


def late_pixels(plan: Plan) -> Plan | None:
    """Read files and decode images after a step that needs all rows, so that it holds paths, never pixels.

    Legal only if the step looks at nothing that is made later, and leaves the columns alone that this is made from;
    work that skips failing rows stays before it. The columns of the result, and their order, do not change.
    """
    schema = schema_of(plan) if _needs_all_rows(plan) else None
    if schema is None:
        return None
    read, made = columns_read(plan), columns_made(plan)
    if read is None or made is None:
        return None
    below = plan.inputs[0]
    taken = hoist(below, read, made)
    before = schema_of(taken.before)
    if before is None or not taken.is_worth_it:
        return None
    return chosen(applied(taken.after, plan.map_inputs(lambda _: taken.before)), schema.names)


def _needs_all_rows(plan: Plan) -> bool:
    match plan:
        case Sort() | Slice() | Sample() | RandomShuffle() | Unique() | WithRowIndex():
            return True
        case Filter(predicate=predicate):
            return not predicate.is_elementwise
        case WithColumns():
            return not keeps_rows(plan)
    return False
