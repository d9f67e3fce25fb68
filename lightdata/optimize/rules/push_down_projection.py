"""Step(x) -> Step(Drop(unread)(x)) down to the source, which then never makes what nobody reads."""

from __future__ import annotations

from dataclasses import replace

from lightdata.plan.node import (
    DecodeImages,
    Drop,
    Filter,
    Infer,
    Limit,
    MapRows,
    Plan,
    ReadFiles,
    Rename,
    Scan,
    Select,
    WithColumns,
    Write,
)
from lightdata.plan.schema import schema_of


def push_down_projection(plan: Plan) -> Plan | None:
    """Never compute a column that is not read, nor open a file for one.

    Legal only where the schema is known, and where a step that is left out could not have changed the number of
    rows. The rule starts at a step that reads few columns (select, drop, write), inserts a drop below it, and moves
    drops towards the source.
    """
    match plan:
        case Drop(input=step, columns=columns):
            return _move(step, frozenset(columns))
        case Select(input=before, expressions=expressions):
            return _drop_below(plan, before, frozenset().union(*(one.inputs for one in expressions)))
        case Write(input=before, sink=sink) if (read := sink.columns()) is not None:
            return _drop_below(plan, before, frozenset(read))
    return None


def _drop_below(plan: Plan, before: Plan, read: frozenset[str]) -> Plan | None:
    schema = schema_of(before)
    if schema is None or isinstance(before, Drop):
        return None
    unread = tuple(name for name in schema if name not in read)
    if not unread or _move(before, frozenset(unread)) is None:
        return None
    return plan.map_inputs(lambda step: Drop(input=step, columns=unread))


def _move(step: Plan, dropped: frozenset[str]) -> Plan | None:
    """Give what ``Drop(step)`` becomes when the drop goes below, or ``None`` if none of it can."""
    match step:
        case Scan(source=source, pushdowns=pushdowns):
            names = schema.names if (schema := schema_of(step)) is not None else None
            if names is None or source.schema is None:
                return None
            kept = tuple(name for name in names if name not in dropped)
            return replace(step, pushdowns=replace(pushdowns, columns=kept))
        case Drop(input=before, columns=columns):
            return Drop(input=before, columns=(*columns, *sorted(dropped)))
        case (
            ReadFiles(column=column, on_error="raise" | "null") | DecodeImages(column=column, on_error="raise" | "null")
        ):
            return _below(step, dropped, _reads(step), made=frozenset({column}))
        case WithColumns():
            return _prune(step, dropped)
        case Infer(model=model, column=column):
            return _below(step, dropped, frozenset({column}), made=frozenset(model.output_types()))
        case Filter(predicate=predicate):
            return _below(step, dropped, predicate.inputs)
        case Limit():
            return _below(step, dropped, frozenset())
        case MapRows() | Rename() | _:
            return None


def _reads(step: ReadFiles | DecodeImages) -> frozenset[str]:
    match step:
        case ReadFiles(path=path):
            return frozenset({path})
        case DecodeImages(column=column, uri=uri):
            return frozenset({column} if uri is None else {column, uri})


def _below(
    step: Plan, dropped: frozenset[str], read: frozenset[str], made: frozenset[str] = frozenset()
) -> Plan | None:
    """Move the part of a drop that a step neither reads nor makes; leave the step out if all it makes is dropped."""
    before = schema_of(step.inputs[0])
    if before is None:
        return None
    if made and made <= dropped:
        return _dropped(step.inputs[0], dropped & before.keys())
    below = (dropped & before.keys()) - read - made
    if not below:
        return None
    moved = step.map_inputs(lambda source: _dropped(source, below))
    return _dropped(moved, dropped - below)


def _prune(step: WithColumns, dropped: frozenset[str]) -> Plan | None:
    """Leave out the expressions that nobody reads, then move what the others do not need."""
    before = schema_of(step.input)
    if before is None:
        return None
    kept = tuple(one for one in step.expressions if one.name not in dropped)
    if len(kept) < len(step.expressions):
        rest = dropped - {one.name for one in step.expressions if one.name not in before}
        pruned = replace(step, expressions=kept) if kept else step.input
        return _dropped(pruned, rest & schema_names(pruned))
    read = frozenset().union(*(one.inputs for one in kept))
    return _below(step, dropped, read | {one.name for one in kept})


def _dropped(plan: Plan, columns: frozenset[str]) -> Plan:
    return Drop(input=plan, columns=tuple(sorted(columns))) if columns else plan


def schema_names(plan: Plan) -> frozenset[str]:
    """Name the columns of a plan whose schema is known."""
    return frozenset(schema_of(plan) or ())
