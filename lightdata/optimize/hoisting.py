"""Pixel work under a step, taken apart into what can be done after it and what must come before.

Under a step that needs all its rows, the plan is a chain of row-wise steps. Each is either *hoisted*, to be done after
that step, or *stays* before it. Column choices (drop, select) are hoisted too, since what they leave out is needed by
hoisted steps: the columns are chosen at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from lightdata.expr.expression import Expression
from lightdata.plan.effect import columns_made, columns_read, keeps_rows, looks_at_pixels, writes
from lightdata.plan.node import (
    DecodeImages,
    Drop,
    Filter,
    Infer,
    Limit,
    Plan,
    ReadFiles,
    Rename,
    Select,
    WithColumns,
)
from lightdata.plan.relational import RandomShuffle, Sample, Slice, Sort, WithRowIndex
from lightdata.plan.schema import schema_of

_PASSED = (Filter, Sort, Limit, Slice, Sample, RandomShuffle, WithRowIndex, WithColumns, Rename)
"""Steps that leave the values of other columns alone: work below them may be done above them."""


@dataclass(frozen=True, slots=True)
class Hoist:
    """Steps that can be done after another, those that stay before it, and what those start from."""

    after: tuple[Plan, ...]
    """Hoisted steps, the last first; their inputs mean nothing."""

    before: Plan

    @property
    def is_worth_it(self) -> bool:
        """Whether pixels or files are among what is hoisted."""
        return any(map(looks_at_pixels, self.after))


def hoist(plan: Plan, read: frozenset[str], made: frozenset[str] = frozenset(), *, may_repeat: bool = False) -> Hoist:
    """Take apart the steps down from ``plan``, for a step above it that reads and makes some columns.

    ``may_repeat`` says that rows may come more than once afterwards, so that costly work stays before.
    """
    after: list[Plan] = []
    stays: list[Plan] = []
    while True:
        if isinstance(plan, Rename) and (sunk := _sunk(plan)) is not None:
            plan = sunk
            continue
        if _left_out(plan) & made:
            return Hoist(tuple(after), applied(stays, plan))
        steps = _taken_apart(plan)
        for step in steps:
            if _may_rise(step, read, made, may_repeat=may_repeat):
                after.append(step)
            elif isinstance(step, _PASSED):
                stays.append(step)
                read |= columns_read(step) or frozenset()
                made |= columns_made(step) or frozenset()
            else:
                return Hoist(tuple(after), applied(stays, plan))
        plan = plan.inputs[0]


def _left_out(plan: Plan) -> frozenset[str]:
    """Name the columns that a step leaves out; one of them cannot live on where a later step makes it anew."""
    if not isinstance(plan, Drop | Select):
        return frozenset()
    return frozenset(schema_of(plan.inputs[0]) or ()) - frozenset(schema_of(plan) or ())


def _taken_apart(plan: Plan) -> list[Plan]:
    """Take a step as what it computes, pixels apart from the rest, the last first, without its choice of columns."""
    match plan:
        case Drop():
            return []
        case Select(input=before, expressions=expressions) if keeps_rows(plan):
            computed = tuple(one for one in expressions if not _is_kept(one))
            return _split(WithColumns(input=before, expressions=computed)) if computed else []
        case WithColumns() if keeps_rows(plan):
            return _split(plan)
    return [plan]


def _split(step: WithColumns) -> list[Plan]:
    """Split a step into work on pixels and the rest, which comes first; not if the rest changes what that reads."""
    parts = [replace(step, expressions=(one,)) for one in step.expressions]
    pixels = replace(step, expressions=tuple(one.expressions[0] for one in parts if looks_at_pixels(one)))
    rest = replace(step, expressions=tuple(one.expressions[0] for one in parts if not looks_at_pixels(one)))
    if not pixels.expressions or not rest.expressions:
        return [step]
    is_apart = not (columns_made(rest) or frozenset()) & (columns_read(pixels) or frozenset())
    return [pixels, rest] if is_apart else [step]


def _sunk(plan: Rename) -> Plan | None:
    """Give columns their names before a step that makes or drops some."""
    match plan.input:
        case ReadFiles(input=before) | DecodeImages(input=before) | WithColumns(input=before):
            step = renamed(plan.input, dict(plan.names))
        case Drop(input=before, columns=columns) if not {new for _, new in plan.names} & set(columns):
            step = plan.input
        case _:
            return None
    schema = schema_of(before)
    if schema is None:
        return None
    names = tuple((old, new) for old, new in plan.names if old in schema)
    below = Rename(input=before, names=names) if names else before
    return step.map_inputs(lambda _: below)


def _is_kept(expression: Expression) -> bool:
    return expression.source == expression.name and not expression.chains


def _may_rise(step: Plan, read: frozenset[str], made: frozenset[str], *, may_repeat: bool) -> bool:
    """Whether a step can come after those that read and make these columns."""
    match step:
        case ReadFiles() | DecodeImages():
            is_work = keeps_rows(step)
        case WithColumns():
            is_repeated = may_repeat and any(chain.reads for one in step.expressions for chain in one.chains)
            is_work = keeps_rows(step) and looks_at_pixels(step) and not (is_repeated or writes(step))
        case Infer():
            is_work = not may_repeat and keeps_rows(step)
        case _:
            return False
    makes, reads = columns_made(step), columns_read(step)
    if not is_work or makes is None or reads is None:
        return False
    return not makes & read and not (makes | reads) & made


def applied(steps: Sequence[Plan], plan: Plan) -> Plan:
    """Do steps, of which the last comes first, after ``plan``."""
    for step in reversed(steps):
        before = plan
        plan = step.map_inputs(lambda _, before=before: before)  # type: ignore[misc]  # bound at once
    return plan


def renamed(step: Plan, names: dict[str, str]) -> Plan:
    """Copy a hoisted step for columns of other names."""

    def new(name: str) -> str:
        return names.get(name, name)

    match step:
        case ReadFiles(path=path, column=column):
            return replace(step, path=new(path), column=new(column))
        case DecodeImages(column=column):
            return replace(step, column=new(column))
        case WithColumns(expressions=expressions):
            return replace(step, expressions=tuple(named(one.reading(names), new(one.name)) for one in expressions))
    raise TypeError(f"no names for {type(step).__name__}; add a case to {__name__}")


def named(expression: Expression, name: str) -> Expression:
    """Give the result of an expression a name."""
    return expression if expression.name == name else Expression(expression.expr.alias(name))


def chosen(plan: Plan, names: Sequence[str]) -> Plan:
    """Choose columns, in this order; does nothing where they are all there are."""
    schema = schema_of(plan)
    if schema is not None and schema.names == list(names):
        return plan
    return Select(input=plan, expressions=tuple(Expression(pl.col(name)) for name in names))
