"""Step(f(c))(WithColumns(c=g(i))(x)) -> Step(f(g(i)))(x), where g is a chain of image operations.

A later ``with_columns`` becomes one step with the earlier; a ``select`` takes the place of both.
"""

from __future__ import annotations

from collections import Counter

from lightdata.expr.expression import Expression
from lightdata.optimize.substitution import is_rowwise, made_by, merged, substituted
from lightdata.plan.effect import writes
from lightdata.plan.node import Drop, Plan, Select, WithColumns
from lightdata.plan.schema import schema_of


def fuse_chains(plan: Plan) -> Plan | None:
    """Carry an image through several operations at once instead of storing it between them.

    Legal only where both steps treat each row by itself, and all that the later one reads of the earlier are columns or
    chains of image operations, whose types stay what they were. What two chains of one step have in common is computed
    once, so a column that others still read costs nothing more. A step that writes files is left as it is. A drop
    between the two waits until after them. A ``select`` may also take over what it only passes on, and needs one chain
    to be worth it.
    """
    match plan:
        case WithColumns(input=WithColumns() as earlier):
            return _added(plan, earlier)
        case WithColumns(input=Drop(input=WithColumns() as earlier, columns=columns) as drop):
            fused = _added(plan, earlier)
            if fused is None or {one.name for one in plan.expressions} & set(columns):
                return None
            return drop.map_inputs(lambda _: fused)
        case Select(input=WithColumns() as earlier) | Select(input=Drop(input=WithColumns() as earlier)):
            return _selected(plan, earlier)
    return None


def _added(plan: WithColumns, earlier: WithColumns) -> WithColumns | None:
    if schema_of(earlier.input) is None or writes(earlier):
        return None
    read = frozenset().union(*(one.inputs for one in plan.expressions))
    if not read & made_by(earlier).keys() or not (is_rowwise(plan) and is_rowwise(earlier)):
        return None
    later = [substituted(one, earlier) for one in plan.expressions]
    known = tuple(one for one in later if one is not None)
    return merged(earlier, known) if len(known) == len(later) else None


def _selected(plan: Select, earlier: WithColumns) -> Select | None:
    if schema_of(earlier.input) is None or writes(earlier) or not any(one.chains for one in earlier.expressions):
        return None
    if not is_rowwise(earlier) or not all(one.is_elementwise for one in plan.expressions):
        return None
    reads = Counter(name for one in plan.expressions for name in one.inputs)
    results = [_passed_on(one, earlier, reads) or substituted(one, earlier) for one in plan.expressions]
    known = tuple(one for one in results if one is not None)
    return Select(input=earlier.input, expressions=known) if len(known) == len(results) else None


def _passed_on(expression: Expression, earlier: WithColumns, reads: Counter[str]) -> Expression | None:
    """Take over a result that only this expression reads, as it is."""
    made = made_by(earlier).get(expression.source or "")
    if made is None or made.is_constant or reads[made.name] > 1:
        return None  # a constant alone would be one row
    return made if made.name == expression.name else Expression(made.expr.alias(expression.name))
