"""Filter(Step(x)) -> Step(Filter(x)), where Step adds columns the predicate does not read."""

from __future__ import annotations

from dataclasses import replace

from lightdata.plan.node import DecodeImages, Drop, Filter, Infer, Plan, ReadFiles, Rename, WithColumns


def push_down_filter(plan: Plan) -> Plan | None:
    """Drop rows before paying for what is made of them.

    Legal only if the predicate and the step both treat each row by itself, and the predicate reads nothing that the
    step makes. A filter may pass a step that fails on bad rows: that removes errors, never values. A step that
    drops failing rows (``skip``) stays before what was written after it.
    """
    match plan:
        case Filter(input=Filter(predicate=other) as step, predicate=predicate) if (
            other.chains and not predicate.chains
        ):
            if not (predicate.is_elementwise and other.is_elementwise):
                return None
            return step.map_inputs(lambda before: replace(plan, input=before))  # what needs no file comes first
        case Filter(input=step, predicate=predicate) if predicate.is_elementwise:
            made = _made_by(step)
            if made is None or made & predicate.inputs:
                return None
            return step.map_inputs(lambda before: replace(plan, input=before))
    return None


def _made_by(step: Plan) -> frozenset[str] | None:
    """Name the columns a row-wise step makes, or ``None`` if a filter must not pass it."""
    match step:
        case (
            ReadFiles(column=column, on_error="raise" | "null") | DecodeImages(column=column, on_error="raise" | "null")
        ):
            return frozenset({column})
        case WithColumns(expressions=expressions):
            if not all(one.is_elementwise or one.is_constant for one in expressions):
                return None
            return frozenset(one.name for one in expressions)
        case Infer(model=model):
            return frozenset(model.output_types())
        case Drop():
            return frozenset()
        case Rename(names=names):
            return frozenset(name for pair in names for name in pair)
    return None
