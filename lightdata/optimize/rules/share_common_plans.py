"""Join(x, x) -> Join(Cache(x), Cache(x)), where making x costs more than keeping its rows."""

from __future__ import annotations

from collections.abc import Iterator

from lightdata.plan.effect import looks_at_pixels
from lightdata.plan.node import DecodeImages, Infer, MapBatches, MapRows, Plan, ReadFiles, SplitFrames
from lightdata.plan.relational import Cache


def share_common_plans(plan: Plan) -> Plan | None:
    """Make rows once that several places of a query read.

    Always legal; done where a user's function, a model or pixels are at work. Reading alone is not shared: each place
    may then read less, and paths travel more lightly than bytes.
    """
    steps = list(_places(plan, set()))
    for step in steps[1:]:
        if _is_costly(step) and sum(step is other or step == other for other in steps) > 1:
            number = 1 + max((one.number for one in plan.walk() if isinstance(one, Cache)), default=0)
            return _replaced(plan, step, Cache(input=step, number=number))
    return None


def _places(plan: Plan, seen: set[int]) -> Iterator[Plan]:
    """List the steps that run, the last first: what is inside shared rows runs once."""
    yield plan
    if isinstance(plan, Cache):
        if plan.number in seen:
            return
        seen.add(plan.number)
    for step in plan.inputs:
        yield from _places(step, seen)


def _is_costly(plan: Plan) -> bool:
    return not isinstance(plan, Cache) and any(
        isinstance(step, MapRows | MapBatches | Infer)
        or (looks_at_pixels(step) and not isinstance(step, ReadFiles | DecodeImages | SplitFrames))
        for step in _not_shared(plan)
    )


def _not_shared(plan: Plan) -> Iterator[Plan]:
    yield plan
    if not isinstance(plan, Cache):
        for step in plan.inputs:
            yield from _not_shared(step)


def _replaced(plan: Plan, step: Plan, cache: Cache) -> Plan:
    if plan is step or plan == step:
        return cache
    return plan.map_inputs(lambda one: _replaced(one, step, cache))
