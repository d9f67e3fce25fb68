"""Apply rules to a plan until none applies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from lightdata.plan.node import Plan

Rule = Callable[[Plan], Plan | None]
"""Rewrites one step and what is right below it; ``None`` where it does not apply."""

_MAX_ROUNDS = 200


class Fired(NamedTuple):
    """A rule that changed a plan, and how often."""

    rule: str
    times: int


def rewrite(plan: Plan, rules: Sequence[Rule]) -> tuple[Plan, list[Fired]]:
    """Apply rules to every step, from the last to the source, until nothing changes.

    Raises
    ------
    RuntimeError
        If the rules undo one another for ever: a bug, whose suspects are named.
    """
    counts: dict[str, int] = {}
    for _ in range(_MAX_ROUNDS):
        changed = _once(plan, rules, counts)
        if changed is plan:
            return plan, [Fired(rule, times) for rule, times in counts.items()]
        plan = changed
    raise RuntimeError(f"optimizer rules do not settle; suspects: {', '.join(counts)}")


def _once(plan: Plan, rules: Sequence[Rule], counts: dict[str, int]) -> Plan:
    for rule in rules:
        if (changed := rule(plan)) is not None:
            counts[rule.__name__] = counts.get(rule.__name__, 0) + 1
            return changed
    return plan.map_inputs(lambda step: _once(step, rules, counts))
