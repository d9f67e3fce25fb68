"""What a step means in Polars: asked over empty frames it gives a schema, over streams of rows it gives rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import polars as pl

from lightdata.expr.deferred import MARK
from lightdata.expr.expression import Expression
from lightdata.plan.node import Drop, Filter, Limit, Plan, Rename, Select, WithColumns
from lightdata.plan.relational import (
    Explode,
    GroupBy,
    Join,
    JoinAsof,
    Pivot,
    RandomShuffle,
    Sample,
    Slice,
    Sort,
    Unique,
    Unpivot,
    WithRowIndex,
)


def apply_step(step: Plan, frames: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
    """Apply one step to the frames of its inputs, which hold the deferred columns it reads; none is left after it.

    Raises
    ------
    PolarsError
        As Polars does, now or when the frame is asked for its schema.
    """
    frame = frames[0]
    match step:
        case Select(expressions=expressions):
            return frame.select(_exprs(expressions))
        case WithColumns(expressions=expressions):
            result = frame.with_columns(_exprs(expressions))
        case Filter(predicate=predicate):
            result = frame.filter(predicate.expr)
        case Drop(columns=columns):
            result = frame.drop(columns)
        case Rename(names=names):
            result = frame.rename(dict(names))
        case Limit(n=n):
            result = frame.head(n)
        case GroupBy(keys=keys, aggs=aggs, maintain_order=order):
            return frame.group_by(_exprs(keys), maintain_order=order).agg(_exprs(aggs))
        case Join() | JoinAsof():
            result = _join(step, frames)
        case Sort() | Slice() | Sample() | RandomShuffle() | Unique() | WithRowIndex():
            result = _choose_rows(step, frame)
        case _:
            return _reshape(step, frame)
    return _without_deferred(result) if _reads_chains(step) else result


def _exprs(expressions: Sequence[Expression]) -> list[pl.Expr]:
    return [one.expr for one in expressions]


def _keys(expressions: Sequence[Expression]) -> list[pl.Expr]:
    """Name keys by their columns alone: a chain is joined on under its deferred name."""
    return [one.expr if one.source is None else pl.col(one.source) for one in expressions]


def _reads_chains(step: Plan) -> bool:
    """Whether the frames of a step hold deferred columns: only to ask Polars for all names would take longer."""
    values = (getattr(step, one.name) for one in fields(step))
    read = (one for value in values for one in (value if isinstance(value, tuple) else (value,)))
    return any(isinstance(one, Expression) and one.chains for one in read)


def _without_deferred(result: pl.LazyFrame) -> pl.LazyFrame:
    return result.drop([name for name in result.collect_schema() if name.startswith(MARK)])


def _choose_rows(step: Plan, frame: pl.LazyFrame) -> pl.LazyFrame:
    match step:
        case Sort(by=by, descending=descending, nulls_last=nulls_last, maintain_order=order):
            return _sorted(frame, _exprs(by), descending=descending, nulls_last=nulls_last, maintain_order=order)
        case Slice(offset=offset, length=length):
            return frame.slice(offset, length)
        case WithRowIndex(name=name, offset=offset):
            return frame.with_row_index(name, offset)
        case RandomShuffle(seed=seed):
            return _mixed(frame, seed)
        case Unique(subset=subset, keep=keep, maintain_order=order):
            keys = [pl.exclude(f"^{MARK}.*$")] if subset is None else _keys(subset)
            # Past "any", Polars would move filters that change which row is kept.
            return frame.unique(keys, keep="first" if order and keep == "any" else keep, maintain_order=order)
        case Sample():
            return _sample(step, frame)
    raise TypeError(f"no query for {type(step).__name__}; add a case to {__name__}")


def _sample(step: Sample, frame: pl.LazyFrame) -> pl.LazyFrame:
    count: Any = (pl.len() * step.fraction).cast(pl.Int64) if step.n is None else step.n
    if step.with_replacement:
        drawn = pl.int_range(pl.len()).sample(count, with_replacement=True, seed=step.seed)
        return frame.select(pl.all().gather(drawn if step.shuffle else drawn.sort()))
    # The draw is a permutation of which the first rows are taken: so shuffled or not, the rows are the same.
    place = pl.int_range(pl.len()).shuffle(seed=step.seed)
    kept = frame.filter(place < count)
    return _mixed(kept, step.seed) if step.shuffle else kept


def _mixed(frame: pl.LazyFrame, seed: int | None) -> pl.LazyFrame:
    return _sorted(frame, [pl.int_range(pl.len()).shuffle(seed=seed)])


def _sorted(frame: pl.LazyFrame, keys: Sequence[pl.Expr], **order: Any) -> pl.LazyFrame:
    """Order rows; a key that reads no column becomes one, since rows that Polars sees no column of vanish in a sort."""
    if all(key.meta.root_names() for key in keys):
        return frame.sort(keys, **order)
    names = [f"{MARK}key {number}" for number in range(len(keys))]
    named = [key.alias(name) for key, name in zip(keys, names, strict=True)]
    return frame.with_columns(named).sort(names, **order).drop(names)


def _join(step: Join | JoinAsof, frames: Sequence[pl.LazyFrame]) -> pl.LazyFrame:
    left, right = frames
    match step:
        case Join(how="cross"):
            return left.join(right, how="cross", suffix=step.suffix, maintain_order=step.maintain_order)
        case Join():
            return left.join(
                right,
                how=step.how,
                left_on=_keys(step.left_on),
                right_on=_keys(step.right_on),
                suffix=step.suffix,
                validate=step.validate,
                nulls_equal=step.nulls_equal,
                coalesce=step.coalesce,
                maintain_order=step.maintain_order,
            )
        case JoinAsof():
            return left.join_asof(
                right,
                left_on=_keys([step.left_on])[0],
                right_on=_keys([step.right_on])[0],
                by_left=step.by_left or None,
                by_right=step.by_right or None,
                strategy=step.strategy,
                suffix=step.suffix,
                tolerance=step.tolerance,
                coalesce=step.coalesce,
                allow_exact_matches=step.allow_exact_matches,
                check_sortedness=step.check_sortedness,
            )


def _reshape(step: Plan, frame: pl.LazyFrame) -> pl.LazyFrame:
    match step:
        case Explode(columns=columns, empty_as_null=empty_as_null, keep_nulls=keep_nulls):
            return frame.explode(columns, empty_as_null=empty_as_null, keep_nulls=keep_nulls)
        case Unpivot():
            return _unpivot(step, frame)
        case Pivot():
            return frame.pivot(
                step.on,
                step.on_columns,
                index=list(step.index),
                values=list(step.values),
                aggregate_function=step.aggregate_function,  # type: ignore[arg-type]  # checked when the step was added
                maintain_order=step.maintain_order,
                separator=step.separator,
            )
    raise TypeError(f"no query for {type(step).__name__}; add a case to {__name__}")


def _unpivot(step: Unpivot, frame: pl.LazyFrame) -> pl.LazyFrame:
    """Give all rows of the first column, then those of the next: Polars' streams would mix them as batches come."""
    row, place = f"{MARK}row", pl.col(step.variable_name).replace_strict(step.on, range(len(step.on)))
    names: Any = {"variable_name": step.variable_name, "value_name": step.value_name}
    turned = frame.with_row_index(row).unpivot(list(step.on), index=[*step.index, row], **names)
    return turned.sort(place, row).drop(row) if step.on else turned.drop(row)
