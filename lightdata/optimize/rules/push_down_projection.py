"""Step(x) -> Step(Drop(unread)(x)) down to the source, which then never makes what nobody reads."""

from __future__ import annotations

from dataclasses import replace

from lightdata.expr.expression import Expression
from lightdata.plan.node import (
    DecodeImages,
    Drop,
    Filter,
    Infer,
    Limit,
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

    Legal only where the schema is known, and where a step or result that is left out could not have changed the number
    of rows. The rule starts at a step that reads few columns (select, drop, write), inserts a drop below it, and moves
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
        case Scan():
            return _scan_less(step, dropped)
        case Drop(input=before, columns=columns):
            return Drop(input=before, columns=(*columns, *sorted(dropped)))
        case (
            ReadFiles(column=column, on_error="raise" | "null") | DecodeImages(column=column, on_error="raise" | "null")
        ):
            return _below(step, dropped, _reads(step), made=frozenset({column}))
        case WithColumns():
            return _prune(step, dropped)
        case Select():
            return _prune_select(step, dropped)
        case Infer(model=model, column=column):
            return _below(step, dropped, frozenset({column}), made=frozenset(model.output_types()))
        case Filter(predicate=predicate):
            return _below(step, dropped, predicate.inputs)
        case Limit():
            return _below(step, dropped, frozenset())
        case Rename():
            return _rename_less(step, dropped)
    return None


def _scan_less(step: Scan, dropped: frozenset[str]) -> Plan | None:
    schema = schema_of(step)
    if schema is None:
        return None
    kept = tuple(name for name in schema if name not in dropped)
    # Rows without columns cannot be cut or counted by every source.
    return replace(step, pushdowns=replace(step.pushdowns, columns=kept)) if kept else None


def _rename_less(step: Rename, dropped: frozenset[str]) -> Plan:
    kept = tuple((old, new) for old, new in step.names if new not in dropped)
    old_names = {new: old for old, new in step.names}
    below = _dropped(step.input, frozenset(old_names.get(name, name) for name in dropped))
    return replace(step, input=below, names=kept) if kept else below


def _reads(step: ReadFiles | DecodeImages) -> frozenset[str]:
    match step:
        case ReadFiles(path=path):
            return frozenset({path})
        case DecodeImages(column=column):
            return frozenset({column})


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


def _prune_select(step: Select, dropped: frozenset[str]) -> Plan | None:
    """Leave out the results that nobody reads, as long as what is left still tells how many rows there are."""
    kept = tuple(one for one in step.expressions if one.name not in dropped)
    if len(kept) == len(step.expressions) or not _keeps_rows(step.expressions):
        return None
    if not kept:
        before = schema_of(step.input)
        return None if before is None else _dropped(step.input, frozenset(before))
    return replace(step, expressions=kept) if _keeps_rows(kept) else None


def _keeps_rows(expressions: tuple[Expression, ...]) -> bool:
    rowwise = [one.is_elementwise for one in expressions]
    return any(rowwise) and all(row or one.is_constant for row, one in zip(rowwise, expressions, strict=True))


def _dropped(plan: Plan, columns: frozenset[str]) -> Plan:
    return Drop(input=plan, columns=tuple(sorted(columns))) if columns else plan


def schema_names(plan: Plan) -> frozenset[str]:
    """Name the columns of a plan whose schema is known."""
    return frozenset(schema_of(plan) or ())
