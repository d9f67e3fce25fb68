"""Filter(Step(x)) -> Step(Filter(x)), where Step makes nothing that the predicate reads; into inputs of joins too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from lightdata.expr.expression import Expression
from lightdata.plan.effect import columns_made, keeps_rows, writes
from lightdata.plan.node import Drop, Filter, MapRows, Plan, Rename, Select, SplitFrames, WithColumns
from lightdata.plan.relational import Concat, Explode, GroupBy, Join, JoinAsof, Sort, Unique
from lightdata.plan.schema import schema_of


def push_down_filter(plan: Plan) -> Plan | None:
    """Drop rows before paying for what is made of them.

    Legal only if the predicate reads nothing that the step makes, under the names it has below. A predicate that
    treats each row by itself passes every step that does so too, and sorts; of a join it goes to the side it reads,
    unless rows without a partner stay on that side; it passes a grouping or ``unique`` only if it reads nothing but
    their keys, so that groups go whole. A predicate that looks at all rows passes only steps that keep every row.
    A filter may pass a step that fails on bad rows: that removes errors, never values; but none that writes files,
    which sees every row that was there when it was asked to. A step that drops failing rows (``skip``) stays before
    what was written after it.
    """
    match plan:
        case Filter(input=Filter(predicate=other) as step, predicate=predicate):
            is_cheaper = bool(other.chains) and not predicate.chains
            if not (is_cheaper and predicate.is_elementwise and other.is_elementwise):
                return None
            return step.map_inputs(lambda before: replace(plan, input=before))  # what needs no file comes first
        case Filter(input=step, predicate=predicate) if predicate.is_elementwise:
            return _into_inputs(plan, step) if isinstance(step, Join | JoinAsof) else _below(plan, step)
        case Filter(input=step, predicate=predicate) if keeps_rows(step) and not isinstance(step, MapRows):
            return _below(plan, step)
        case Filter(input=MapRows(kind="map") as step, predicate=predicate) if not predicate.inputs:
            return step.map_inputs(lambda before: replace(plan, input=before))
    return None


def _below(plan: Filter, step: Plan) -> Plan | None:
    names = _names_below(step, plan.predicate.inputs)
    if names is None:
        return None
    moved = plan.predicate.reading(names)
    return step.map_inputs(lambda before: Filter(input=before, predicate=moved))


def _names_below(step: Plan, read: frozenset[str]) -> Mapping[str, str] | None:
    """Give the names that columns have below a step, or ``None`` if a filter that reads them must not pass it."""
    match step:
        case Rename(names=names):
            return {new: old for old, new in names}
        case Select() | WithColumns() if writes(step):
            return None
        case Select(expressions=expressions) if keeps_rows(step):
            return _sources(expressions, read)
        case GroupBy(keys=keys):
            return _sources(keys, read) if all(key.is_elementwise for key in keys) else None
        case Unique(subset=subset):
            return {} if subset is None or read <= {key.source for key in subset} else None
        case Sort() | Concat() | Drop() | MapRows(kind="filter"):
            return {}
        case WithColumns() if not keeps_rows(step):
            return None
        case SplitFrames(on_error="skip"):
            return None
        case Explode() | SplitFrames() | WithColumns():
            return {} if not (columns_made(step) or frozenset()) & read else None
    made = columns_made(step) if keeps_rows(step) else None
    return None if made is None or made & read else {}


def _sources(expressions: tuple[Expression, ...], read: frozenset[str]) -> Mapping[str, str] | None:
    plain = {one.name: one.source for one in expressions if one.source is not None and not one.chains}
    return {name: plain[name] for name in read} if read <= plain.keys() else None


def _into_inputs(plan: Filter, step: Join | JoinAsof) -> Plan | None:
    left, right = schema_of(step.left), schema_of(step.right)
    read = plan.predicate.inputs
    if left is None or right is None or not read:
        return None
    if read <= left.keys() and _keeps_left(step):
        return replace(step, left=Filter(input=step.left, predicate=plan.predicate))
    names = {_name_in_result(step, name, left.keys()): name for name in right}
    if read <= names.keys() - left.keys() and _keeps_right(step):
        moved = plan.predicate.reading({name: names[name] for name in read})
        return replace(step, right=Filter(input=step.right, predicate=moved))
    return None


def _keeps_left(step: Join | JoinAsof) -> bool:
    """Whether every row of the result has a row of the left, so that a filter on the left may come first."""
    return isinstance(step, JoinAsof) or step.how in ("inner", "left", "semi", "anti", "cross")


def _keeps_right(step: Join | JoinAsof) -> bool:
    return isinstance(step, Join) and step.how in ("inner", "right", "cross")


def _name_in_result(step: Join | JoinAsof, name: str, left: object) -> str:
    return f"{name}{step.suffix}" if name in left else name  # type: ignore[operator]  # keys of a schema
