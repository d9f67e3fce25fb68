"""Rules are applied until none applies."""

from dataclasses import replace

import polars as pl
import pytest

import lightdata as ld
from lightdata.io.memory import RangeSource
from lightdata.optimize import stages
from lightdata.optimize.rewrite import Fired, rewrite
from lightdata.optimize.stages import STAGES, Stage, optimize, optimized_stages
from lightdata.plan.node import Limit, Scan

SCAN = Scan(source=RangeSource(5))


def shrink(plan):
    """Take one row off a limit."""
    return replace(plan, n=plan.n - 1) if isinstance(plan, Limit) and plan.n else None


def grow(plan):
    """Add one row to a limit."""
    return replace(plan, n=plan.n + 1) if isinstance(plan, Limit) and plan.n < 9 else None


def test_rules_run_until_nothing_changes():
    """Each firing is counted under the name of its rule."""
    plan, fired = rewrite(Limit(input=Limit(input=SCAN, n=2), n=3), (shrink,))
    assert plan == Limit(input=Limit(input=SCAN, n=0), n=0)
    assert fired == [Fired("shrink", 5)]


def test_a_plan_that_no_rule_changes_is_the_same_object():
    """Nothing is copied where nothing fires."""
    plan = Limit(input=SCAN, n=0)
    assert rewrite(plan, (shrink,)) == (plan, [])
    assert rewrite(plan, (shrink,))[0] is plan


def test_rules_that_undo_one_another_are_named():
    """Rules that never settle are a bug that names its suspects."""
    with pytest.raises(RuntimeError, match="suspects: shrink, grow"):
        rewrite(Limit(input=SCAN, n=1), (shrink, grow))


def test_every_stage_is_checked(monkeypatch):
    """A rule that breaks a plan is found right after its stage."""

    def forget(plan):
        return SCAN if isinstance(plan, Limit) else None

    monkeypatch.setattr(stages, "STAGES", (Stage("break", (forget,)),))
    plan = ld.range(5).with_columns(a=pl.col("id")).limit(2).select("a")._plan
    with pytest.raises(ld.SchemaError, match="unable to find column"):
        optimize(plan)


def test_optimizing_twice_changes_nothing_more():
    """An optimized plan is already at rest in every stage."""
    ds = ld.range(9).with_columns(a=pl.col("id") + 1, b=pl.lit(1)).filter(pl.col("id") > 1).limit(3).select("a")
    plan, fired = optimize(ds._plan)
    assert fired
    assert optimize(plan) == (plan, [])
    assert len(list(optimized_stages(plan))) == len(STAGES)
