"""A plan in words."""

from __future__ import annotations

from lightdata.plan.node import Plan
from lightdata.plan.words import describe_step


def explain_plan(plan: Plan) -> str:
    """Write a plan with its last step first, each step above the ones it reads from.

    >>> from lightdata.io.memory import RangeSource
    >>> from lightdata.plan.node import Limit, Scan
    >>> print(explain_plan(Limit(input=Scan(source=RangeSource(3)), n=2)))
    limit 2
      scan range[3]
    """
    return "\n".join(_lines(plan, 0))


def _lines(plan: Plan, depth: int) -> list[str]:
    return [f"{'  ' * depth}{describe_step(plan)}", *(line for step in plan.inputs for line in _lines(step, depth + 1))]
