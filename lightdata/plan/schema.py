"""The schema of every step, from the plan alone."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from lightdata.errors import SchemaError
from lightdata.expr.deferred import Chain, in_words, is_deferred
from lightdata.expr.expression import Expression, result_schema
from lightdata.expr.remembered import remembered
from lightdata.interrupt import interrupts_deferred
from lightdata.io.sinks.sink import WRITTEN
from lightdata.plan.node import (
    DecodeImages,
    Drop,
    Filter,
    Infer,
    Limit,
    MapBatches,
    MapRows,
    Plan,
    ReadFiles,
    Rename,
    Scan,
    Select,
    SplitFrames,
    WithColumns,
    Write,
)
from lightdata.plan.polars_query import apply_step
from lightdata.plan.relational import Cache, Concat, GroupBy, Join, JoinAsof, Relational, Sort, Unique, Zip
from lightdata.plan.words import step_name
from lightdata.types.image import ImageType
from lightdata.types.image_spec import ImageSpec
from lightdata.types.schema import Schema


@remembered
def schema_of(plan: Plan) -> Schema | None:
    """Give the names and types of a step's columns, or ``None`` where only running it would tell.

    >>> from lightdata.io.memory import RangeSource
    >>> schema_of(Limit(input=Scan(source=RangeSource(3)), n=2))
    id: int64
    """
    match plan:
        case Scan(source=source, pushdowns=pushdowns):
            schema = source.schema
            if schema is None or pushdowns.columns is None:
                return schema
            return Schema({name: schema[name] for name in pushdowns.columns})
        case MapBatches(schema=declared):
            return declared
        case MapRows(kind=kind, schema=declared) if kind != "filter":
            return declared
        case Write():
            return WRITTEN
    before = [schema_of(step) for step in plan.inputs]
    known = [schema for schema in before if schema is not None]
    if len(known) < len(before):
        return None
    match plan:
        case Relational():
            return relational_schema(plan, known)
        case Zip():
            return Schema({name: kind for schema in known for name, kind in schema.items()})
    return _from_input(plan, known[0])


def _from_input(plan: Plan, before: Schema) -> Schema:
    match plan:
        case Filter() | Limit() | MapRows() | Concat() | Cache():
            return before
        case ReadFiles(column=column):
            return Schema({**before, column: pa.large_binary()})
        case DecodeImages(column=column):
            return Schema({**before, column: decoded_type(plan)})
        case SplitFrames(column=column, frame=frame):
            return Schema({**before, column: ImageType(), frame: pa.int64()})
        case Select(expressions=expressions):
            return result_schema(expressions, before, step="select", keep=False)
        case WithColumns(expressions=expressions):
            return result_schema(expressions, before, step="with_columns", keep=True)
        case Drop(columns=columns):
            return Schema({name: kind for name, kind in before.items() if name not in columns})
        case Rename(names=names):
            new = dict(names)
            return Schema({new.get(name, name): kind for name, kind in before.items()})
        case Infer(model=model):
            return Schema({**before, **model.output_types()})
        case _:
            raise TypeError(f"no schema rule for {type(plan).__name__}; add a case to {__name__}")


def expressions_of(plan: Plan) -> tuple[tuple[Expression, ...], ...]:
    """List the expressions of a step, for each of its inputs."""
    match plan:
        case Select(expressions=expressions) | WithColumns(expressions=expressions):
            return (expressions,)
        case Filter(predicate=predicate):
            return ((predicate,),)
        case Sort(by=by):
            return (by,)
        case Unique(subset=subset):
            return (subset or (),)
        case GroupBy(keys=keys, aggs=aggs):
            return ((*keys, *aggs),)
        case Join(left_on=left_on, right_on=right_on):
            return (left_on, right_on)
        case JoinAsof(left_on=left, right_on=right):
            return ((left,), (right,))
    return tuple(() for _ in plan.inputs)


def chains_of(plan: Plan) -> tuple[tuple[Chain, ...], ...]:
    """List the chains that a step reads, each once, for each of its inputs."""
    return tuple(
        tuple(dict.fromkeys(chain for expression in expressions for chain in expression.chains))
        for expressions in expressions_of(plan)
    )


def relational_schema(plan: Plan, before: Sequence[Schema]) -> Schema:
    """Ask Polars for the schema of a step, over empty frames of the visible and the deferred columns of its inputs.

    Raises
    ------
    SchemaError
        If the step does not fit these columns, in Polars' words.
    """
    frames = [
        schema.widened({chain.name: chain.type_in(schema) for chain in chains}).empty_frame()
        for schema, chains in zip(before, chains_of(plan), strict=True)
    ]
    try:
        with interrupts_deferred():  # Polars asks extension types in Python
            found = apply_step(plan, frames).collect_schema()
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise SchemaError(f"{step_name(plan)}: {in_words(str(error)).splitlines()[0]}") from error
    return Schema.from_polars({name: dtype for name, dtype in found.items() if not is_deferred(name)})


def decoded_type(plan: DecodeImages) -> ImageType:
    """Give the type of decoded images: fixed only where the step fixes mode and size."""
    if plan.mode is None or plan.size is None:
        return ImageType()
    return ImageType(ImageSpec(plan.mode, *plan.size))
