"""What a query would do, in words and drawings; nothing runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from lightdata.config import config
from lightdata.dataset.mermaid import Box, draw_mermaid
from lightdata.errors import ArgumentError
from lightdata.execute.pool import worker_count
from lightdata.optimize.rewrite import Fired
from lightdata.optimize.stages import about_rule, optimize
from lightdata.physical.builder import Places
from lightdata.physical.driver_steps import Conform
from lightdata.physical.lower import lower
from lightdata.physical.polars_segment import PolarsSegment
from lightdata.physical.stage import Pipeline, SharedRows, SourceScan, WorkStage
from lightdata.plan.estimate import Estimate, estimates
from lightdata.plan.explain import draw_tree, explain_plan, read_by
from lightdata.plan.node import Plan
from lightdata.plan.relational import Cache
from lightdata.plan.verify import verify
from lightdata.plan.words import describe_step

Format = Literal["text", "tree", "mermaid"]


class Site(NamedTuple):
    """One thing that runs: a stage of workers or of the calling process, a Polars segment, a step between stages."""

    number: int
    where: Literal["here", "workers", "polars"]
    words: str

    def __str__(self) -> str:
        return f"stage {self.number} {self.where}"


def explain(plan: Plan, *, optimized: bool | None, form: Format = "text") -> str:
    """Write what a plan does, and, optimized, which rules changed it and what runs where.

    Raises
    ------
    ArgumentError
        If there is no such format.
    """
    if form not in ("text", "tree", "mermaid"):
        raise ArgumentError(f"explain: format must be 'text', 'tree' or 'mermaid'; got {form!r}")
    verify(plan)
    is_optimized = config().optimize if optimized is None else optimized
    plan, fired = optimize(plan) if is_optimized else (plan, [])
    lowered = _lowered(plan)
    match form:
        case "tree":
            return draw_tree(lowered.plan, lowered.with_site)
        case "mermaid":
            return draw_mermaid([str(site) for site in lowered.sites.values()], lowered.boxes(), lowered.arrows())
    lines = [explain_plan(lowered.plan, lowered.with_estimate)]
    if is_optimized:
        lines += _rule_lines(fired)
        lines += [f"{site}: {site.words}" for site in lowered.sites.values()]
    return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lowered:
    """A plan, and what would run its steps."""

    plan: Plan
    estimates: dict[int, Estimate]
    places: Places
    sites: dict[int, Site]
    """By the ``id`` of what runs."""

    def with_estimate(self, step: Plan) -> str:
        """Write a step with its rows and bytes, as far as they are known."""
        known = self.estimates[id(step)]
        return describe_step(step) if known.rows is None else f"{describe_step(step)}  [{known}]"

    def with_site(self, step: Plan) -> str:
        """Write a step with its rows and bytes and what runs it."""
        site = self.site(step)
        return self.with_estimate(step) if site is None else f"{self.with_estimate(step)}  ({site})"

    def site(self, step: Plan) -> Site | None:
        """Say what runs a step; rows that are only handed on are run by nobody."""
        return self.sites.get(id(self.places.get(id(step))))

    def boxes(self) -> list[Box]:
        """Give every step once, the first of the rows first."""
        return [
            Box(_name(number), self.with_estimate(step), None if (site := self.site(step)) is None else str(site))
            for number, step in enumerate(self._steps())
        ]

    def arrows(self) -> list[tuple[str, str]]:
        """Give pairs of steps of which the second reads the first."""
        steps = self._steps()
        numbers = {id(step): number for number, step in enumerate(steps)}
        return [(_name(numbers[id(one)]), _name(number)) for number, step in enumerate(steps) for one in step.inputs]

    def _steps(self) -> Sequence[Plan]:
        steps: dict[int, Plan] = {}

        def visit(step: Plan, seen: set[int]) -> None:
            for one in read_by(step, seen):
                visit(one, seen)
            steps.setdefault(id(step), step)

        visit(self.plan, set())
        return list(steps.values())


def _name(number: int) -> str:
    return f"n{number}"


def _lowered(plan: Plan) -> _Lowered:
    plan = _apart(plan, {})
    places: Places = {}
    pipeline = lower(plan, workers=worker_count(), places=places)
    return _Lowered(plan=plan, estimates=estimates(plan), places=places, sites=_sites(pipeline))


def _apart(plan: Plan, shared: dict[int, Plan]) -> Plan:
    """Copy a plan so that a step that stands in two places is two, but rows that are made once are one."""
    if isinstance(plan, Cache) and plan.number in shared:
        return shared[plan.number]
    copy = replace(plan.map_inputs(lambda step: _apart(step, shared)))
    if isinstance(copy, Cache):
        shared[copy.number] = copy
    return copy


def _sites(pipeline: Pipeline) -> dict[int, Site]:
    """List what runs, in the order of the rows."""
    sites: dict[int, Site] = {}
    for one in pipeline.walk():
        things: list[Any] = [] if isinstance(one.start, SourceScan | SharedRows) else [one.start]
        for thing in [*things, *one.steps]:
            if not isinstance(thing, Conform):
                words = thing.name if isinstance(thing, WorkStage) else str(thing)
                sites[id(thing)] = Site(len(sites) + 1, _where(thing), words)
    return sites


def _where(thing: Any) -> Literal["here", "workers", "polars"]:
    match thing:
        case PolarsSegment():
            return "polars"
        case WorkStage(is_heavy=True) if config().workers != 0:
            return "workers"
    return "here"


def _rule_lines(fired: Sequence[Fired]) -> list[str]:
    rules = ", ".join(rule if times == 1 else f"{rule} x{times}" for rule, times in fired)
    return [
        f"optimized by: {rules or 'nothing to do'}",
        *(f"  {rule}: {about_rule(rule)}" for rule in dict.fromkeys(one.rule for one in fired)),
    ]
