"""Join(Pixels(x), Pixels(y)) -> Pixels(Join(x, y))."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl

from lightdata.expr.expression import Expression
from lightdata.optimize.hoisting import Hoist, applied, chosen, hoist, named, renamed
from lightdata.plan.effect import columns_made, columns_read
from lightdata.plan.node import Plan, Select, WithColumns
from lightdata.plan.relational import Join, JoinAsof
from lightdata.plan.schema import schema_of
from lightdata.types.schema import Schema


def late_pixels_in_join(plan: Plan) -> Plan | None:
    """Read files and decode images after a join, so that it holds paths, never pixels.

    Legal only if the keys are not made later. Rows of the right that a left join leaves empty have a null path, which
    gives a null image. Inference stays before: a join may give a row more than once. Columns are carried under the
    names they have in the result, so that what is made later cannot change which of them get the suffix.
    """
    if not isinstance(plan, Join | JoinAsof) or not _is_simple(plan):
        return None
    left, right, result = schema_of(plan.left), schema_of(plan.right), schema_of(plan)
    if left is None or right is None or result is None:
        return None
    sides = (
        _Side(plan.left, left, _key_columns(plan, "left"), {name: name for name in left}),
        _Side(plan.right, right, _key_columns(plan, "right"), _right_names(plan, left, right, result)),
    )
    if not any(side.hoisted.is_worth_it for side in sides):
        return None
    taken = {*result, *left, *right}
    return _joined(plan, sides[0].carried(taken), sides[1].carried(taken), result)


def _is_simple(plan: Join | JoinAsof) -> bool:
    return isinstance(plan, JoinAsof) or plan.how in ("inner", "left", "semi", "anti")


def _key_columns(plan: Join | JoinAsof, side: str) -> frozenset[str]:
    match plan:
        case Join():
            keys = plan.left_on if side == "left" else plan.right_on
            more: tuple[str, ...] = ()
        case JoinAsof():
            keys = (plan.left_on if side == "left" else plan.right_on,)
            more = plan.by_left if side == "left" else plan.by_right
    return frozenset(more).union(*(key.inputs for key in keys))


def _right_names(plan: Join | JoinAsof, left: Schema, right: Schema, result: Schema) -> dict[str, str]:
    """Give the names in the result of those columns of the right that are in it."""
    names = {name: f"{name}{plan.suffix}" if name in left else name for name in right}
    return {name: new for name, new in names.items() if new in result and plan_gives_right(plan)}


def plan_gives_right(plan: Join | JoinAsof) -> bool:
    """Whether columns of the right are in the result."""
    return isinstance(plan, JoinAsof) or plan.how not in ("semi", "anti")


@dataclass(frozen=True, slots=True)
class _Carried:
    """One side of the new join: what goes in, and what is done after it."""

    before: Plan
    after: tuple[Plan, ...]
    keys: dict[str, str]
    """New names of the columns that keys read."""


class _Side:
    """One side of the join as it was."""

    def __init__(self, plan: Plan, schema: Schema, keys: frozenset[str], names: dict[str, str]) -> None:
        self._plan = plan
        self._schema = schema
        self._keys = keys
        self._names = names
        hoisted = hoist(plan, keys, may_repeat=True)
        if not all(map(_gives_null_for_null, hoisted.after)) or schema_of(hoisted.before) is None:
            hoisted = Hoist((), plan)
        self.hoisted = hoisted

    def carried(self, taken: set[str]) -> _Carried:
        """Carry the columns of the result, and those that hoisted steps start from, under names that do not clash."""
        before = schema_of(self.hoisted.before) or Schema({})
        made = frozenset().union(*(columns_made(step) or frozenset() for step in self.hoisted.after))
        read = frozenset().union(*(columns_read(step) or frozenset() for step in self.hoisted.after))
        visible = {name: new for name, new in self._names.items() if name in before and name not in made - read}
        keys = {name: visible.get(name, name) for name in self._keys}
        started = {name: _fresh(name, taken) for name in before if name in read and name not in visible}
        pairs = dict.fromkeys([*visible.items(), *keys.items(), *started.items()])
        exprs = [named(Expression(pl.col(name)), new) for name, new in pairs]
        is_same = {name for name, _ in pairs} == before.keys() and all(name == new for name, new in pairs)
        plan = self.hoisted.before if is_same else Select(input=self.hoisted.before, expressions=tuple(exprs))
        names = {**{name: self._names.get(name, name) for name in made}, **visible, **started}
        return _Carried(plan, tuple(renamed(step, names) for step in self.hoisted.after), keys)


def _fresh(name: str, taken: set[str]) -> str:
    new, number = name, 0
    while new in taken:
        number += 1
        new = f"{name}_{number}"
    taken.add(new)
    return new


def _gives_null_for_null(step: Plan) -> bool:
    return not isinstance(step, WithColumns) or all(one.source is not None for one in step.expressions)


def _joined(plan: Join | JoinAsof, left: _Carried, right: _Carried, result: Schema) -> Plan:
    def moved(key: Expression) -> Expression:
        return Expression(key.reading(right.keys).expr.meta.undo_aliases())  # Polars takes no alias in a key

    new: Callable[[str], str] = lambda name: right.keys.get(name, name)  # noqa: E731 - one word in two places
    match plan:
        case Join():
            joined: Plan = replace(
                plan, left=left.before, right=right.before, right_on=tuple(map(moved, plan.right_on))
            )
        case JoinAsof():
            joined = replace(
                plan,
                left=left.before,
                right=right.before,
                right_on=moved(plan.right_on),
                by_right=tuple(map(new, plan.by_right)),
            )
    after = left.after if isinstance(plan, Join) and plan.how in ("semi", "anti") else (*left.after, *right.after)
    return chosen(applied(after, joined), result.names)
