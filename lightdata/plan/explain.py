"""A plan in words."""

from __future__ import annotations

from collections.abc import Callable

from lightdata.plan.node import Plan
from lightdata.plan.relational import Cache
from lightdata.plan.words import describe_step

Describe = Callable[[Plan], str]
"""Writes one step in a line."""


def explain_plan(plan: Plan, describe: Describe = describe_step) -> str:
    """Write a plan with its last step first, each step above the ones it reads from; shared steps once.

    >>> from lightdata.io.memory import RangeSource
    >>> from lightdata.plan.node import Limit, Scan
    >>> print(explain_plan(Limit(input=Scan(source=RangeSource(3)), n=2)))
    limit 2
      scan range[3]
    """
    return "\n".join(_indented(plan, 0, describe, set()))


def draw_tree(plan: Plan, describe: Describe = describe_step) -> str:
    """Draw a plan as a tree: steps stand below one another, and branch where several are read; shared steps once.

    >>> from lightdata.io.memory import RangeSource
    >>> from lightdata.plan.node import Limit, Scan
    >>> from lightdata.plan.relational import Concat
    >>> scan = Scan(source=RangeSource(3))
    >>> print(draw_tree(Concat(parts=(Limit(input=scan, n=2), scan))))
    concat of 2
    ├─ limit 2
    │  scan range[3]
    └─ scan range[3]
    """
    return "\n".join(_branches(plan, describe, set()))


def read_by(step: Plan, seen: set[int]) -> tuple[Plan, ...]:
    """List the inputs of a step that have not been shown yet: what is shared is shown where it comes first."""
    if isinstance(step, Cache):
        if step.number in seen:
            return ()
        seen.add(step.number)
    return step.inputs


def _indented(plan: Plan, depth: int, describe: Describe, seen: set[int]) -> list[str]:
    lines = [f"{'  ' * depth}{_line(plan, describe, seen)}"]
    for step in read_by(plan, seen):
        lines += _indented(step, depth + 1, describe, seen)
    return lines


def _branches(plan: Plan, describe: Describe, seen: set[int]) -> list[str]:
    lines = [_line(plan, describe, seen)]
    inputs = read_by(plan, seen)
    if len(inputs) == 1:
        return lines + _branches(inputs[0], describe, seen)
    for number, step in enumerate(inputs, start=1):
        first, rest = ("└─ ", "   ") if number == len(inputs) else ("├─ ", "│  ")
        head, *tail = _branches(step, describe, seen)
        lines += [f"{first}{head}", *(f"{rest}{line}" for line in tail)]
    return lines


def _line(plan: Plan, describe: Describe, seen: set[int]) -> str:
    is_again = isinstance(plan, Cache) and plan.number in seen
    return f"{describe(plan)}{', shown above' if is_again else ''}"
