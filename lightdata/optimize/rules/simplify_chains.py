"""Step(f(i))(x) -> Step(f'(i))(x), where f' makes exactly the pixels of f with less work."""

from __future__ import annotations

from dataclasses import replace

from lightdata.expr.deferred import Chain
from lightdata.expr.expression import Expression
from lightdata.optimize.image_algebra import simplified
from lightdata.optimize.substitution import with_inputs
from lightdata.plan.node import Filter, Plan, Select, WithColumns
from lightdata.plan.schema import schema_of
from lightdata.types.schema import Schema


def simplify_chains(plan: Plan) -> Plan | None:
    """Leave out image operations that do nothing, and do others where images are smaller.

    Legal only where every pixel and the type of the result stay the same; see :mod:`lightdata.optimize.image_algebra`.
    """
    match plan:
        case Select(input=before, expressions=expressions) | WithColumns(input=before, expressions=expressions):
            simpler = _simpler(expressions, before)
            return None if simpler is None else replace(plan, expressions=simpler)
        case Filter(input=before, predicate=predicate):
            simpler = _simpler((predicate,), before)
            return None if simpler is None else replace(plan, predicate=simpler[0])
    return None


def _simpler(expressions: tuple[Expression, ...], before: Plan) -> tuple[Expression, ...] | None:
    if not any(one.chains for one in expressions) or (schema := schema_of(before)) is None:
        return None
    simpler = tuple(_simplified(one, schema) for one in expressions)
    return None if all(new is old for new, old in zip(simpler, expressions, strict=True)) else simpler


def _simplified(expression: Expression, schema: Schema) -> Expression:
    names = {}
    for chain in expression.chains:
        simpler = Chain(chain.column, simplified(chain.operations, schema[chain.column]))
        if simpler != chain:
            names[chain.name] = simpler.name
    return with_inputs(expression, names) or expression
