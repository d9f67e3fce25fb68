"""The schema of every step, from the plan alone."""

from __future__ import annotations

import pyarrow as pa

from lightdata.expr.expression import result_schema
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
    WithColumns,
    Write,
)
from lightdata.types.image import ImageType
from lightdata.types.image_spec import ImageSpec
from lightdata.types.schema import Schema

WRITTEN = Schema({"path": pa.large_string(), "name": pa.large_string(), "rows": pa.int64(), "size_bytes": pa.int64()})
"""What a write gives: one row for each staged file."""


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
    before = schema_of(plan.inputs[0])
    return None if before is None else _from_input(plan, before)


def _from_input(plan: Plan, before: Schema) -> Schema:
    match plan:
        case Filter() | Limit() | MapRows():
            return before
        case ReadFiles(column=column):
            return Schema({**before, column: pa.large_binary()})
        case DecodeImages(column=column):
            return Schema({**before, column: decoded_type(plan)})
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


def decoded_type(plan: DecodeImages) -> ImageType:
    """Give the type of decoded images: fixed only where the step fixes mode and size."""
    if plan.mode is None or plan.size is None:
        return ImageType()
    return ImageType(ImageSpec(plan.mode, *plan.size))
