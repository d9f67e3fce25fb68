"""Step(x) -> Step(Drop(unread)(x)) down to the source, which then never makes what nobody reads."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pyarrow as pa

from lightdata.expr.expression import Expression
from lightdata.plan.effect import columns_made, columns_read, keeps_rows, writes
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
    SplitFrames,
    WithColumns,
    Write,
)
from lightdata.plan.relational import (
    Concat,
    Explode,
    GroupBy,
    Join,
    JoinAsof,
    Pivot,
    RandomShuffle,
    Relational,
    Sample,
    Slice,
    Sort,
    Unique,
    Unpivot,
    WithRowIndex,
    Zip,
)
from lightdata.plan.schema import schema_of
from lightdata.types.schema import Schema


def push_down_projection(plan: Plan) -> Plan | None:
    """Never compute a column that is not read, nor open a file for one.

    Legal only where the schema is known, and where a step or result that is left out could not have changed the number
    of rows; what writes files is never left out. The rule starts at a step that reads few columns (select, drop,
    group_by, write), inserts a drop below it, and moves drops towards the source. Where rows are counted or chosen, one
    column stays, for a table without columns forgets how many rows it has.
    """
    match plan:
        case Drop(input=step, columns=columns):
            return _move(step, frozenset(columns))
        case Select(expressions=expressions):
            return _drop_below(plan, frozenset().union(*(one.inputs for one in expressions)))
        case GroupBy(keys=keys, aggs=aggs):
            return _drop_below(plan, frozenset().union(*(one.inputs for one in (*keys, *aggs))))
        case Unpivot(on=on, index=index):
            return _drop_below(plan, frozenset((*on, *index)))
        case Pivot(on=on, index=index, values=values):
            return _drop_below(plan, frozenset((on, *index, *values)))
        case Write(sink=sink) if (read := sink.columns()) is not None:
            return _drop_below(plan, frozenset(read))
    return None


def _drop_below(plan: Plan, read: frozenset[str]) -> Plan | None:
    before = plan.inputs[0]
    schema = schema_of(before)
    if schema is None or isinstance(before, Drop):
        return None
    unread = frozenset(schema) - read
    if isinstance(plan, Relational):
        unread = _all_but_one(unread, schema)
    if not unread or _move(before, unread) is None:
        return None
    return plan.map_inputs(lambda step: _dropped(step, unread))


def _move(step: Plan, dropped: frozenset[str]) -> Plan | None:
    """Give what ``Drop(step)`` becomes when the drop goes below, or ``None`` if none of it can."""
    match step:
        case Scan():
            return _scan_less(step, dropped)
        case Drop(input=before, columns=columns):
            return Drop(input=before, columns=(*columns, *sorted(dropped)))
        case WithColumns() | Select() if writes(step):
            return None
        case WithColumns():
            return _prune(step, dropped)
        case Select():
            return _prune_select(step, dropped)
        case Rename():
            return _rename_less(step, dropped)
        case ReadFiles() | DecodeImages() | Infer() if keeps_rows(step):
            return _below(step, dropped)
        case Filter() | Limit() | SplitFrames():
            return _below(step, dropped, keeps_one=True)
    return _move_past_tables(step, dropped)


def _move_past_tables(step: Plan, dropped: frozenset[str]) -> Plan | None:
    match step:
        case GroupBy():
            return _prune_aggs(step, dropped)
        case Join() | JoinAsof():
            return _into_sides(step, dropped)
        case Concat():
            return _into_parts(step, dropped)
        case Zip():
            return _into_zipped(step, dropped)
        case Slice() | Sample() | RandomShuffle() | Sort() | Unique() | Explode() | WithRowIndex():
            return _below(step, dropped, keeps_one=True)
    return None


def _scan_less(step: Scan, dropped: frozenset[str]) -> Plan | None:
    schema = schema_of(step)
    if schema is None:
        return None
    gone = _all_but_one(dropped, schema)  # rows without columns cannot be cut or counted by every source
    kept = tuple(name for name in schema if name not in gone)
    if len(kept) == len(schema):
        return None
    return _dropped(replace(step, pushdowns=replace(step.pushdowns, columns=kept)), dropped - gone)


def _rename_less(step: Rename, dropped: frozenset[str]) -> Plan:
    kept = tuple((old, new) for old, new in step.names if new not in dropped)
    old_names = {new: old for old, new in step.names}
    below = _dropped(step.input, frozenset(old_names.get(name, name) for name in dropped))
    return replace(step, input=below, names=kept) if kept else below


def _below(step: Plan, dropped: frozenset[str], *, keeps_one: bool = False) -> Plan | None:
    """Move the part of a drop that a step neither reads nor makes; leave the step out if all it makes is dropped."""
    before, read, made = schema_of(step.inputs[0]), columns_read(step), columns_made(step) or frozenset()
    if before is None or read is None:
        return None
    if made and made <= dropped and not isinstance(step, Explode | SplitFrames):  # these make rows too
        return _dropped(step.inputs[0], dropped & before.keys())
    below = (dropped & before.keys()) - read - made
    below = _all_but_one(below, before) if keeps_one else below
    if not below:
        return None
    moved = step.map_inputs(lambda source: _dropped(source, below))
    return _dropped(moved, dropped - below)


def _all_but_one(dropped: frozenset[str], schema: Schema) -> frozenset[str]:
    """Keep a column if none would be left: numbers rather than text, text rather than images."""
    if dropped < schema.keys():
        return dropped
    return dropped - {min(schema, key=lambda name: _weight(schema[name]))}


def _weight(kind: pa.DataType) -> int:
    if pa.types.is_primitive(kind):
        return 0
    return 1 if pa.types.is_large_string(kind) else 2


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
    return _below(step, dropped, keeps_one=not keeps_rows(step))


def _prune_select(step: Select, dropped: frozenset[str]) -> Plan | None:
    """Leave out the results that nobody reads, as long as what is left still tells how many rows there are."""
    kept = tuple(one for one in step.expressions if one.name not in dropped)
    if len(kept) == len(step.expressions) or not keeps_rows(step):
        return None
    if not kept:
        before = schema_of(step.input)
        return None if before is None else _dropped(step.input, frozenset(before))
    pruned = replace(step, expressions=kept)
    return pruned if keeps_rows(pruned) else None


def _prune_aggs(step: GroupBy, dropped: frozenset[str]) -> Plan | None:
    kept = tuple(one for one in step.aggs if one.name not in dropped)
    if len(kept) == len(step.aggs):
        return None
    keys = dropped & {key.name for key in step.keys}
    return _dropped(replace(step, aggs=kept), keys)


def _into_sides(step: Join | JoinAsof, dropped: frozenset[str]) -> Plan | None:
    """Drop from each side what only it gives; keys stay, and so does what decides over suffixes."""
    left, right = schema_of(step.left), schema_of(step.right)
    if left is None or right is None:
        return None
    read_left, read_right = _key_columns(step)
    shared = left.keys() & right.keys()
    gone_left = _all_but_one((dropped & left.keys()) - read_left - shared, left)
    gives_right = isinstance(step, JoinAsof) or step.how not in ("semi", "anti")
    unread = (
        frozenset(right)
        if not gives_right
        else frozenset(name for name in right if (f"{name}{step.suffix}" if name in left else name) in dropped)
    )
    gone_right = _all_but_one(unread - read_right, right)
    if not gone_left and not gone_right:
        return None
    moved = replace(step, left=_dropped(step.left, gone_left), right=_dropped(step.right, gone_right))
    return _dropped(moved, dropped & schema_names(moved))


def _key_columns(step: Join | JoinAsof) -> tuple[frozenset[str], frozenset[str]]:
    match step:
        case Join(left_on=left, right_on=right):
            by_left: tuple[str, ...] = ()
            by_right: tuple[str, ...] = ()
        case JoinAsof(left_on=one, right_on=other, by_left=by_left, by_right=by_right):
            left, right = (one,), (other,)
    return _inputs(left) | frozenset(by_left), _inputs(right) | frozenset(by_right)


def _inputs(expressions: tuple[Expression, ...]) -> frozenset[str]:
    return frozenset[str]().union(*(one.inputs for one in expressions))


def _into_parts(step: Concat, dropped: frozenset[str]) -> Plan | None:
    schema = schema_of(step)
    below = frozenset[str]() if schema is None else _all_but_one(dropped, schema)
    if not below:
        return None
    return _dropped(replace(step, parts=tuple(map(partial(_dropped, columns=below), step.parts))), dropped - below)


def _into_zipped(step: Zip, dropped: frozenset[str]) -> Plan | None:
    schemas = [schema_of(part) for part in step.parts]
    below = [_all_but_one(dropped & schema.keys(), schema) for schema in schemas if schema is not None]
    if len(below) < len(schemas) or not any(below):
        return None
    parts = tuple(map(_dropped, step.parts, below))
    return _dropped(replace(step, parts=parts), dropped.difference(*below))


def _dropped(plan: Plan, columns: frozenset[str]) -> Plan:
    return Drop(input=plan, columns=tuple(sorted(columns))) if columns else plan


def schema_names(plan: Plan) -> frozenset[str]:
    """Name the columns of a plan whose schema is known."""
    return frozenset(schema_of(plan) or ())
