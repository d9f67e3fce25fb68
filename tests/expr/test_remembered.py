"""What was found of a frozen value is kept as long as the value exists, and no longer."""

import gc
import sys
from dataclasses import dataclass

import pytest

import lightdata as ld
from lightdata.expr.remembered import remembered
from lightdata.optimize.stages import optimize
from lightdata.plan.verify import verify_step


@dataclass(frozen=True)
class Value:
    is_right: bool = True


def counted():
    """Make a remembered function, and the list of what it was called with."""
    asked = []

    @remembered
    def find(value):
        asked.append(value)
        return len(asked) // value.is_right

    return find, asked


def test_the_same_object_is_asked_once():
    """A second call with the same object finds what the first one found; an equal object is another."""
    find, asked = counted()
    one, other = Value(), Value()
    assert (find(one), find(one), find(other), len(asked)) == (1, 1, 2, 2)


def test_nothing_is_kept_of_what_is_gone():
    """An object that ends leaves nothing, so that one that takes its place in memory is asked anew."""
    find, asked = counted()
    for _ in range(1000):
        find(Value())
        asked.clear()
    known = next(cell.cell_contents for cell in find.__closure__ if isinstance(cell.cell_contents, dict))
    gc.collect()
    assert known == {}


def test_nothing_in_python_runs_when_a_value_goes():
    """A Ctrl-C that comes just when a value ends is not lost in a callback, where Python raises nothing."""
    find, _ = counted()
    value, ran = Value(), []
    find(value)
    sys.setprofile(lambda frame, event, _: ran.append(frame.f_code.co_name) if event == "call" else None)
    del value
    sys.setprofile(None)
    assert ran == []


def test_an_error_is_found_again():
    """What failed is asked again."""
    find, asked = counted()
    value = Value(is_right=False)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            find(value)
    assert len(asked) == 2


def test_a_plan_that_no_rule_changes_is_checked_once(monkeypatch):
    """Checking the plan after every stage asks nothing of steps that were found right."""
    plan = ld.range(3).filter(ld.col("id") > 0)._plan
    verify_step(plan)
    monkeypatch.setattr("lightdata.plan.verify._check_predicate", lambda *_: pytest.fail("checked again"))
    assert optimize(plan)[0] is plan
