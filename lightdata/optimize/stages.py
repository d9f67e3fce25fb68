"""Which rules run, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lightdata.optimize.rewrite import Fired, Rule, rewrite
from lightdata.optimize.rules.answer_from_metadata import answer_from_metadata
from lightdata.optimize.rules.filter_before_chains import filter_before_chains
from lightdata.optimize.rules.fuse_chains import fuse_chains
from lightdata.optimize.rules.header_only_attributes import header_only_attributes
from lightdata.optimize.rules.late_pixels import late_pixels
from lightdata.optimize.rules.late_pixels_in_group_by import late_pixels_in_group_by
from lightdata.optimize.rules.late_pixels_in_join import late_pixels_in_join
from lightdata.optimize.rules.merge_with_columns import merge_with_columns
from lightdata.optimize.rules.narrow_shared_rows import narrow_shared_rows
from lightdata.optimize.rules.push_down_filter import push_down_filter
from lightdata.optimize.rules.push_down_limit import push_down_limit
from lightdata.optimize.rules.push_down_projection import push_down_projection
from lightdata.optimize.rules.share_common_plans import share_common_plans
from lightdata.optimize.rules.simplify_chains import simplify_chains
from lightdata.optimize.rules.skip_by_metadata import skip_by_metadata
from lightdata.plan.node import Plan
from lightdata.plan.verify import verify


class Stage(NamedTuple):
    """Rules that run together until none applies."""

    name: str
    rules: tuple[Rule, ...]


STAGES = (
    # What several places read is found first: later, each place has been changed in its own way.
    Stage("shared rows", (share_common_plans,)),
    # Filters move first: every later rule then sees the smallest input.
    Stage("filters", (push_down_filter, filter_before_chains)),
    # What nobody reads is gone before pixels are moved: they would be moved for nobody.
    Stage("columns", (push_down_projection, narrow_shared_rows)),
    # Pixels are made after whatever needs all rows; filters have settled, so that nothing is left to move past them.
    Stage("pixels", (late_pixels, late_pixels_in_join, late_pixels_in_group_by)),
    # Limits move when filters have settled: a limit never passes a filter, and would only stand in its way.
    Stage("limits", (push_down_limit,)),
    # Columns once more: steps that moved read them elsewhere. Steps become one in the same stage: a result that is
    # left out may have kept two steps apart, and two steps that are one may need fewer columns. Chains are simplified
    # here too, since a longer chain says more about its images.
    Stage(
        "columns again", (push_down_projection, narrow_shared_rows, fuse_chains, merge_with_columns, simplify_chains)
    ),
    # What is read of a file is decided last: no step will ask for another part of it.
    Stage("files", (header_only_attributes, skip_by_metadata)),
    # Answers at the end: only now do aggregates stand right above the sources whose metadata may know them.
    Stage("answers", (answer_from_metadata,)),
)


def optimize(plan: Plan) -> tuple[Plan, list[Fired]]:
    """Rewrite a plan into a cheaper one with the same rows, and say which rules changed it.

    The plan is checked after every stage that changed it.
    """
    stages = list(optimized_stages(plan))
    return stages[-1][0], [one for _, fired in stages for one in fired]


def about_rule(name: str) -> str:
    """Say in a line what a rule is for."""
    docs = {rule.__name__: rule.__doc__ for stage in STAGES for rule in stage.rules}
    return (docs.get(name) or "").strip().partition("\n")[0]


def optimized_stages(plan: Plan) -> Iterator[tuple[Plan, list[Fired]]]:
    """Give the plan as it is after each stage."""
    for stage in STAGES:
        plan, fired = rewrite(plan, stage.rules)
        if fired:
            verify(plan)
        yield plan, fired
