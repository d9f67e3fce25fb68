"""What every legal plan satisfies; broken rules are the user's errors, raised before any work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from lightdata.errors import ColumnNotFoundError, ExpressionError, ModelError, SchemaError
from lightdata.expr.deferred import MARK
from lightdata.expr.expression import result_schema
from lightdata.expr.remembered import remembered
from lightdata.plan.effect import keeps_rows, writes
from lightdata.plan.node import (
    DecodeImages,
    Drop,
    Filter,
    Infer,
    MapBatches,
    Plan,
    ReadFiles,
    Rename,
    Scan,
    Select,
    SplitFrames,
    WithColumns,
    Write,
)
from lightdata.plan.relational import Concat, Explode, JoinAsof, Pivot, Unpivot, Zip
from lightdata.plan.schema import expressions_of, schema_of
from lightdata.plan.words import step_name
from lightdata.types.image import ImageType
from lightdata.types.result_type import image_known
from lightdata.types.schema import Schema, describe
from lightdata.types.tensor import is_tensor

if TYPE_CHECKING:
    from lightdata.inference.model import ImageInput  # only for queries with a model


def verify(plan: Plan) -> None:
    """Check a whole plan.

    Raises
    ------
    PlanError
        For the first step, from the source on, that cannot work.
    """
    for step in reversed(list(plan.walk())):
        verify_step(step)


@remembered
def verify_step(plan: Plan) -> None:
    """Check one step against the schema of its input; names are not checked where the schema is unknown.

    A step that was found right is not checked again: it never changes, and rules leave most steps as they are.
    """
    if isinstance(plan, Scan):
        _refuse_mark(plan.source.schema)
        return
    for before, read in zip(map(schema_of, plan.inputs), _columns_read(plan), strict=True):
        if before is not None:
            _check_columns(plan, before, read)
            _check_types(plan, before)
    if writes(plan):
        _check_writing(plan)
    match plan:
        case Concat(parts=parts):
            _check_alike([schema_of(part) for part in parts])
        case Zip(parts=parts):
            _check_apart([schema_of(part) for part in parts])
    schema_of(plan)


def _check_writing(plan: Plan) -> None:
    """Let files be written only where each row surely comes by once: not for a condition, a key or a sum."""
    expressions = [
        one for group in expressions_of(plan) for one in group if any(chain.is_write for chain in one.chains)
    ]
    alone = all(one.source == one.chains[0].name for one in expressions)
    if not (isinstance(plan, Select | WithColumns) and alone and keeps_rows(plan)):
        raise ExpressionError(
            f"{step_name(plan)}: {expressions[0]} writes files, and must stand alone as a column of a select or "
            "with_columns that treats each row by itself; do it in a step of its own"
        )


def _check_alike(schemas: Sequence[Schema | None]) -> None:
    known = [schema for schema in schemas if schema is not None]
    for schema in known[1:]:
        if list(schema.items()) != list(known[0].items()):
            raise SchemaError(f"concat: inputs differ in their columns: {known[0]!r} and {schema!r}")


def _check_apart(schemas: Sequence[Schema | None]) -> None:
    names = [name for schema in schemas for name in schema or ()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SchemaError(f"zip: two inputs have a column {twice[0]!r}; rename it in one of them")


def _refuse_mark(schema: Schema | None) -> None:
    for name in schema or ():
        if MARK in name:
            raise SchemaError(f"column {name!r} contains the invisible separator U+2063, which is reserved; rename it")


def _check_columns(plan: Plan, before: Schema, read: Iterable[str]) -> None:
    for name in read:
        if name not in before:
            raise ColumnNotFoundError.for_step(name, step=step_name(plan), available=before.names)


def _columns_read(plan: Plan) -> Sequence[Iterable[str]]:
    """Name the columns that a step needs beside those in its expressions, for each of its inputs."""
    match plan:
        case ReadFiles(path=column) | DecodeImages(column=column) | SplitFrames(column=column):
            return ((column,),)
        case Drop(columns=columns) | Explode(columns=columns) | Infer(columns=columns):
            return (columns,)
        case Rename(names=names):
            return ([old for old, _ in names],)
        case MapBatches(input_columns=columns):
            return (columns or (),)
        case Write(sink=sink):
            return (sink.columns() or (),)
        case JoinAsof(by_left=left, by_right=right):
            return (left, right)
        case Unpivot(on=on, index=index):
            return ((*on, *index),)
        case Pivot(on=on, index=index, values=values):
            return ((on, *index, *values),)
    return tuple(() for _ in plan.inputs)


def _check_types(plan: Plan, before: Schema) -> None:
    match plan:
        case Filter():
            _check_predicate(plan, before)
        case DecodeImages() | SplitFrames():
            _check_encoded(plan, before)
        case Rename(names=names):
            after = [dict(names).get(name, name) for name in before]
            if len(set(after)) < len(after):
                raise SchemaError(f"rename would give two columns one name: {', '.join(sorted(after))}")
        case Explode():
            _check_lists(plan, before)
        case Unpivot():
            _check_one_kind(plan, before)
        case Infer():
            _check_model(plan, before)
        case Write(sink=sink):
            sink.check(before)


def _check_encoded(plan: DecodeImages | SplitFrames, before: Schema) -> None:
    kind = before[plan.column]
    is_image = isinstance(plan, DecodeImages) and isinstance(kind, ImageType)
    if not (is_image or pa.types.is_large_binary(kind)):
        found = describe(kind)
        raise SchemaError(f"{step_name(plan)}: column {plan.column!r} is {found}, not encoded bytes")
    if isinstance(plan, SplitFrames) and plan.frame in before:
        raise SchemaError(f"split_frames: there is a column {plan.frame!r} already; rename it, or the folders it is of")


def _check_predicate(plan: Filter, before: Schema) -> None:
    kind = next(iter(result_schema([plan.predicate], before, step="filter", keep=False).values()))
    if not pa.types.is_boolean(kind):
        raise SchemaError(f"filter needs a condition, and {plan.predicate} is {describe(kind)}")


def _check_lists(plan: Explode, before: Schema) -> None:
    for name in plan.columns:
        kind = before[name]
        if not pa.types.is_nested(kind) or pa.types.is_struct(kind):
            raise SchemaError(f"explode: column {name!r} is {describe(kind)}, not lists")


def _check_one_kind(plan: Unpivot, before: Schema) -> None:
    kinds = {name: before[name] for name in plan.on}
    if len(set(kinds.values())) > 1 and any(isinstance(kind, pa.BaseExtensionType) for kind in kinds.values()):
        told = ", ".join(f"{name!r} is {describe(kind)}" for name, kind in kinds.items())
        raise SchemaError(f"unpivot: {told}; they cannot stand in one column: name those of one kind in on")


def _check_model(plan: Infer, before: Schema) -> None:
    from lightdata.inference.model import ImageInput  # noqa: PLC0415 - only for queries with a model

    verb = step_name(plan)
    for name, given in zip(plan.columns, plan.model.inputs, strict=True):
        kind = before[name]
        if isinstance(given, ImageInput):
            _check_images(verb, name, kind, given)
        elif not (is_tensor(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or kind == pa.bool_()):
            raise SchemaError(f"{verb}: column {name!r} is {describe(kind)}, and input {given.port} takes numbers")
    if taken := [name for name in plan.model.output_types() if name in before]:
        how = f"outputs={{{taken[0]!r}: 'other_name'}}" if plan.model.detection is None else "name='other_name'"
        raise ModelError(f"{verb} would replace column {taken[0]!r}; name its result with {how}")


def _check_images(verb: str, name: str, kind: pa.DataType, given: ImageInput) -> None:
    known = image_known(kind)
    if known is None:
        raise SchemaError(f"{verb}: column {name!r} is {describe(kind)}, not images")
    if given.fit is not None or known.height is None or known.width is None:
        return
    if not given.fits(known.height, known.width):
        raise ModelError(
            f"{verb}: column {name!r} is {describe(kind)} and the model takes images of "
            f"{given.size[0]}x{given.size[1]}; resize it first"
        )
