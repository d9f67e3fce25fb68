"""Join(Drop(a, b)(Cache(x)), Drop(a)(Cache(x))) -> Join(Drop(b)(Cache(Drop(a)(x))), Cache(Drop(a)(x)))."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lightdata.plan.node import Drop, Plan, Select
from lightdata.plan.relational import Cache
from lightdata.plan.schema import schema_of


def narrow_shared_rows(plan: Plan) -> Plan | None:
    """Do not keep columns of shared rows that no reader wants.

    Legal only if every place that reads them leaves the columns out.
    """
    unread: dict[int, list[frozenset[str]]] = {}
    for number, columns in _unread(plan, frozenset()):
        unread.setdefault(number, []).append(columns)
    for number, sets in unread.items():
        if len(sets) > 1 and (common := sets[0].intersection(*sets)):
            return _narrowed(plan, number, common)
    return None


def _unread(plan: Plan, dropped: frozenset[str]) -> Iterator[tuple[int, frozenset[str]]]:
    """List what each place leaves out of the shared rows that it reads."""
    match plan:
        case Cache(number=number):
            schema = schema_of(plan)
            yield number, dropped if schema is None or dropped < schema.keys() else frozenset()
            return
        case Drop(columns=columns):
            below = frozenset(columns)
        case Select(expressions=expressions):
            read = frozenset[str]().union(*(one.inputs for one in expressions))
            below = frozenset(schema_of(plan.input) or ()) - read
        case _:
            below = frozenset()
    for step in plan.inputs:
        yield from _unread(step, below)


def _narrowed(plan: Plan, number: int, columns: frozenset[str]) -> Plan:
    match plan:
        case Cache(input=before) if plan.number == number:
            return replace(plan, input=Drop(input=before, columns=tuple(sorted(columns))))
        case Drop(input=Cache(number=read) as cache, columns=dropped) if read == number:
            rest = tuple(name for name in dropped if name not in columns)
            below = _narrowed(cache, number, columns)
            return Drop(input=below, columns=rest) if rest else below
    return plan.map_inputs(lambda step: _narrowed(step, number, columns))
