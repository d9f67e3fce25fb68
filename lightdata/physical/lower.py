"""From what to compute to how: a plan becomes a source, stages for workers and steps between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from lightdata.expr.deferred import Chain
from lightdata.expr.expression import Expression
from lightdata.inference.device import resolve_device
from lightdata.physical.driver_steps import Conform, LimitRows, Rebatch
from lightdata.physical.operators.decode_images import DecodeImagesOperator, ToPixelsOperator
from lightdata.physical.operators.evaluate import ComputeChainsOperator, EvaluateOperator
from lightdata.physical.operators.infer import InferOperator
from lightdata.physical.operators.map_batches import MapBatchesOperator
from lightdata.physical.operators.map_rows import MapRowsOperator
from lightdata.physical.operators.project import DropOperator, RenameOperator
from lightdata.physical.operators.read_files import ReadFilesOperator
from lightdata.physical.operators.write import WriteOperator
from lightdata.physical.polars_segment import PolarsSegment
from lightdata.physical.stage import DriverStep, Operator, Pipeline, WorkStage
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
from lightdata.plan.schema import decoded_type, schema_of
from lightdata.plan.words import describe_step, step_name
from lightdata.types.image import ImageType
from lightdata.types.operation import AsImage, Attribute
from lightdata.types.schema import Schema

TASK_ROWS = 32
"""Rows of a task of files, images or tensors: enough to make a task's cost small, few enough to share out evenly."""

PLAIN_TASK_ROWS = 4096
"""Rows of a task of numbers and text that a user's function sees."""

LIGHT_TASK_ROWS = 65_536
"""Rows of a task that only Arrow and Polars see."""

MAX_TASK_ROWS = 1024
"""Rows above which tasks are not made larger only so that batches fit them."""


@dataclass(slots=True)
class _Builder:
    """What has been lowered so far, from the source on."""

    workers: int
    steps: list[WorkStage | DriverStep] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    is_heavy: bool = False
    task_rows: int = TASK_ROWS
    batch_rows: int = 1
    """What the rows of a task must be a multiple of, so that batches never span tasks."""

    rows_are_listed: bool = True
    """Whether tasks still hold the source's rows one for one, so that cutting the source cuts batches."""

    def add(self, operator: Operator, name: str, *, is_heavy: bool = True) -> None:
        self.is_heavy |= is_heavy
        self.operators.append(operator)
        self.names.append(name)

    def cut(self, *between: DriverStep, max_workers: int | None = None) -> None:
        """End the stage, and add steps of the calling process after it."""
        if self.operators:
            name = " > ".join(self.names)
            self.steps.append(
                WorkStage(
                    operators=tuple(self.operators),
                    name=name,
                    is_heavy=self.is_heavy,
                    max_workers=max_workers,
                )
            )
            self.operators, self.names, self.is_heavy = [], [], False
        self.steps.extend(between)

    def limited(self, workers: int | None) -> int | None:
        """Give a limit on workers, or ``None`` where it is none."""
        return workers if workers is not None and workers < self.workers else None


def lower(plan: Plan, *, workers: int, pixels: bool = False) -> Pipeline:
    """Lower a plan.

    Parameters
    ----------
    plan : Plan
        Verified, and optimized or not.
    workers : int
        Worker processes there will be; only tells which limits on workers matter.
    pixels : bool
        Decode image columns in the workers, for a consumer that asks for pixels.
    """
    order = list(plan.walk())[::-1]
    scan = order[0]
    if not isinstance(scan, Scan):
        raise TypeError(f"a plan must start with a scan, not {type(scan).__name__}")
    builder = _Builder(
        workers=workers, rows_are_listed=scan.source.rows_are_listed, task_rows=_first_task_rows(scan, order)
    )
    for place, step in enumerate(order[1:], start=1):
        _lower_step(step, order[place + 1 :], builder, pixels=pixels)
    if pixels and _may_hold_images(schema_of(plan)):
        builder.add(ToPixelsOperator(), "decode")
    builder.cut(Conform(stage="result", schema=schema_of(plan)))
    return Pipeline(
        source=scan.source,
        pushdowns=scan.pushdowns,
        task_rows=_task_rows(plan, builder),
        steps=tuple(builder.steps),
    )


def _first_task_rows(scan: Scan, order: Sequence[Plan]) -> int:
    schema = scan.source.schema
    if schema is None or any(isinstance(step, ReadFiles) for step in order) or any(map(_is_large, schema.values())):
        return TASK_ROWS
    if any(isinstance(step, MapRows | MapBatches) for step in order):
        return PLAIN_TASK_ROWS
    return LIGHT_TASK_ROWS


def _is_large(kind: pa.DataType) -> bool:
    return pa.types.is_nested(kind) or pa.types.is_large_binary(kind) or isinstance(kind, pa.BaseExtensionType)


def _may_hold_images(schema: Schema | None) -> bool:
    return schema is None or any(isinstance(kind, ImageType) for kind in schema.values())


def _task_rows(plan: Plan, builder: _Builder) -> int:
    wanted = max(builder.task_rows, plan.sink.task_rows) if isinstance(plan, Write) else builder.task_rows
    return -(-wanted // builder.batch_rows) * builder.batch_rows


def _lower_step(step: Plan, later: Sequence[Plan], builder: _Builder, *, pixels: bool) -> None:
    name = step_name(step)
    match step:
        case ReadFiles(path=path, column=column, filesystem=filesystem, on_error=on_error):
            builder.add(ReadFilesOperator(path=path, column=column, filesystem=filesystem, on_error=on_error), name)
            builder.rows_are_listed &= on_error != "skip"
        case DecodeImages():
            builder.add(_decode(step, later, pixels=pixels), name)
            builder.rows_are_listed &= step.on_error != "skip"
        case Select(expressions=expressions) | WithColumns(expressions=expressions):
            _lower_expressions(step, expressions, builder)
        case Filter(predicate=predicate):
            _lower_expressions(step, (predicate,), builder)
            builder.rows_are_listed = False
        case Drop(columns=columns):
            builder.add(DropOperator(columns=columns), name, is_heavy=False)
        case Rename(names=names):
            builder.add(RenameOperator(names=names), name, is_heavy=False)
        case Limit(n=n):
            builder.cut(LimitRows(n=n))
        case _:
            _lower_work(step, builder)


def _lower_work(step: Plan, builder: _Builder) -> None:
    name = step_name(step)
    match step:
        case MapRows(function=function, kind=kind, schema=schema):
            _lower_limited(
                MapRowsOperator(function=function, kind=kind, schema=schema), name, step.concurrency, builder
            )
            builder.rows_are_listed &= kind == "map"
        case MapBatches():
            _lower_map_batches(step, builder)
        case Infer(column=column, model=model):
            on_gpu = resolve_device(model.device) != "cpu"
            _lower_limited(InferOperator(column=column, model=model), name, 1 if on_gpu else None, builder)
        case Write(sink=sink, directory=directory):
            if schema_of(step.input) is None and sink.columns() is None:
                builder.cut(Conform(stage=f"write {sink}"))  # the parts of one table need one schema
            builder.add(WriteOperator(sink=sink, directory=directory), name)
            builder.rows_are_listed = False
        case _:
            raise TypeError(f"no operator for {type(step).__name__}; add a case to {__name__}: {describe_step(step)}")


def _lower_limited(operator: Operator, name: str, concurrency: int | None, builder: _Builder) -> None:
    """Add an operator; where fewer workers may run it than there are, in a stage of its own."""
    limit = builder.limited(concurrency)
    if limit is not None:
        builder.cut()
    builder.add(operator, name)
    if limit is not None:
        builder.cut(max_workers=limit)


def _lower_map_batches(step: MapBatches, builder: _Builder) -> None:
    rows = step.batch_rows
    if rows is not None:
        fitting = math.lcm(builder.batch_rows, rows)
        if builder.rows_are_listed and not builder.steps and fitting <= max(MAX_TASK_ROWS, rows):
            builder.batch_rows = fitting
        else:
            # Pixels cross to the calling process once: the rows of a batch may come from several tasks.
            builder.cut(Rebatch(rows=-(-TASK_ROWS // rows) * rows))
    operator = MapBatchesOperator(
        function=step.function,
        batch_rows=rows,
        batch_format=step.batch_format,
        input_columns=step.input_columns,
        schema=step.schema,
    )
    _lower_limited(operator, step_name(step), step.concurrency, builder)
    builder.rows_are_listed = False


def _lower_expressions(
    step: Select | WithColumns | Filter, expressions: tuple[Expression, ...], builder: _Builder
) -> None:
    verb = _verb(step)
    before = schema_of(step.inputs[0])
    rowwise = [one.is_elementwise for one in expressions]
    constant = [one.is_constant for one in expressions]
    apart = all(row or fixed for row, fixed in zip(rowwise, constant, strict=True)) and (
        any(rowwise) or verb == "with_columns"
    )
    if apart or before is None:
        heavy = any(one.chains for one in expressions)
        operator = EvaluateOperator(verb=verb, expressions=expressions, is_bound=before is not None)
        builder.add(operator, verb, is_heavy=heavy)
        return
    deferred = tuple(dict.fromkeys(chain for one in expressions for chain in one.chains))
    if deferred:
        builder.add(ComputeChainsOperator(chains=deferred), "compute")
    schema = Schema({**before, **{chain.name: chain.type_in(before) for chain in deferred}})
    builder.cut(PolarsSegment(verb=verb, expressions=expressions, schema=schema))
    builder.rows_are_listed = False


def _verb(step: Select | WithColumns | Filter) -> Literal["select", "with_columns", "filter"]:
    match step:
        case Select():
            return "select"
        case WithColumns():
            return "with_columns"
        case Filter():
            return "filter"


def _decode(step: DecodeImages, later: Sequence[Plan], *, pixels: bool) -> DecodeImagesOperator:
    return DecodeImagesOperator(
        column=step.column,
        output_type=decoded_type(step),
        mode=step.mode,
        size=step.size,
        exif_transpose=step.exif_transpose,
        on_error=step.on_error,
        keep_pixels=pixels or any(_reads_pixels(one, step.column) for one in later),
    )


def _reads_pixels(step: Plan, column: str) -> bool:
    """Whether a step looks at the pixels of a column; one that might is taken to."""
    match step:
        case Select(expressions=expressions) | WithColumns(expressions=expressions):
            return any(_looks(chain, column) for one in expressions for chain in one.chains)
        case Filter(predicate=predicate):
            return any(_looks(chain, column) for chain in predicate.chains)
        case Infer(column=read):
            return read == column
        case Write(sink=sink):
            return sink.columns() is not None
        case MapRows() | MapBatches():
            return True
    return False


def _looks(chain: Chain, column: str) -> bool:
    return column in chain.inputs and not all(isinstance(one, Attribute | AsImage) for one in chain.operations)
