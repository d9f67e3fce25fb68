"""What an expression says once the step before it is left out: chains continue the chains that made their columns."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from lightdata.errors import ExpressionError, SchemaError
from lightdata.expr.deferred import Chain, is_deferred, parse
from lightdata.expr.expression import Expression
from lightdata.plan.node import WithColumns
from lightdata.plan.schema import schema_of
from lightdata.types.image import ImageType
from lightdata.types.operation import AsImage, ExifTranspose
from lightdata.types.schema import Schema

Made = Mapping[str, Expression]
"""The expressions of a step, by the name of the column they make."""


def made_by(step: WithColumns) -> Made:
    """Give a step's expressions by name."""
    return {one.name: one for one in step.expressions}


def is_rowwise(step: WithColumns) -> bool:
    """Whether every result of a step depends on its own row alone."""
    return all(one.is_elementwise or one.is_constant for one in step.expressions)


def merged(earlier: WithColumns, later: tuple[Expression, ...]) -> WithColumns:
    """Add expressions over the input of a step to it; one of the same name takes the place of the step's."""
    named = {one.name: one for one in later}
    kept = [named.pop(one.name, one) for one in earlier.expressions]
    return WithColumns(input=earlier.input, expressions=(*kept, *named.values()))


def substituted(expression: Expression, step: WithColumns) -> Expression | None:
    """Say over the input of ``step`` what an expression says over its output, or ``None`` where that cannot be.

    It can where all that the expression reads of the step are columns or chains of image operations, and the types of
    all that it reads stay what they were.
    """
    before, made = schema_of(step.input), made_by(step)
    if before is None:
        return None
    names = {}
    for name in expression.expr.meta.root_names():
        chain = parse(name) if is_deferred(name) else Chain(name)
        if chain.inputs & made.keys():
            longer = _continued(chain, made, before)
            if longer is None:
                return None
            names[name] = longer.name if longer.operations else longer.column
    return with_inputs(expression, names)


def with_inputs(expression: Expression, names: dict[str, str]) -> Expression | None:
    """Copy an expression reading other columns under its own name; ``None`` where Polars cannot write it down."""
    if not names:
        return expression
    if expression.source is not None:
        return Expression(pl.col(names[expression.source]).alias(expression.name))
    try:
        renamed = expression.rename_inputs(names)
    except ExpressionError:  # it holds an infinite or NaN number
        return None
    return renamed if renamed.name == expression.name else Expression(renamed.expr.alias(expression.name))


def _continued(chain: Chain, made: Made, before: Schema) -> Chain | None:
    """Put a chain behind the one that makes its column."""
    maker = made.get(chain.column)
    start = None if maker is None or maker.source is None else _chain(maker.source)
    if start is None or (chain.inputs - {chain.column}) & made.keys():
        return None  # a column that Polars computes, or compared with one that is made here
    if not start.operations:
        return Chain(start.column, chain.operations)
    if any(isinstance(step, ExifTranspose) for step in chain.operations) or _only_forgets(start):
        return None  # both would see the file where they saw pixels
    try:
        made_type = start.type_in(before)
        wanted = Chain("", chain.operations).type_in({"": made_type})
        plain = Chain(start.column, (*start.operations, *chain.operations))
        apart = Chain(start.column, (*start.operations, AsImage(), *chain.operations))
        if not isinstance(made_type, ImageType):
            return None
        return next((one for one in (plain, apart) if one.type_in(before) == wanted), None)
    except SchemaError:
        return None


def _chain(source: str) -> Chain:
    return parse(source) if is_deferred(source) else Chain(source)


def _only_forgets(chain: Chain) -> bool:
    return all(isinstance(step, AsImage) for step in chain.operations)
