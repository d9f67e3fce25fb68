"""Row-wise steps as operators: one case for each step.

Of operators that not every query of images has, each is imported where it is made: a process that runs one query pays
for what that query does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from lightdata.expr.computed import Computed
from lightdata.expr.deferred import Chain
from lightdata.physical.builder import TASK_ROWS, Builder, Work, work_of
from lightdata.physical.driver_steps import Conform, LimitRows, Rebatch
from lightdata.physical.operators.decode_images import DecodeImagesOperator
from lightdata.physical.operators.project import DropOperator, RenameOperator
from lightdata.physical.operators.read_files import ReadFilesOperator
from lightdata.physical.stage import Operator
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
    Select,
    SplitFrames,
    WithColumns,
    Write,
)
from lightdata.plan.schema import decoded_type, expressions_of, schema_of
from lightdata.plan.words import describe_step, step_name
from lightdata.types.operation import AsImage, Attribute
from lightdata.types.uri_operation import ReadUri, WriteUri

if TYPE_CHECKING:
    from lightdata.physical.operators.split_frames import SplitFramesOperator

MAX_TASK_ROWS = 1024
"""Rows above which tasks are not made larger only so that batches fit them."""


def is_rowwise(plan: Plan) -> bool:
    """Whether a step can be done batch by batch; one whose expressions look at all rows cannot."""
    if not isinstance(plan, Select | WithColumns | Filter) or schema_of(plan.input) is None:
        return True  # where the columns are not known, each batch tells whether it can be done
    expressions = expressions_of(plan)[0]
    rowwise = [one.is_elementwise for one in expressions]
    apart = all(row or one.is_constant for row, one in zip(rowwise, expressions, strict=True))
    return apart and (any(rowwise) or isinstance(plan, WithColumns))


def lower_step(step: Plan, later: Sequence[Plan], builder: Builder, *, pixels: bool) -> None:
    """Add a row-wise step to a pipeline; ``later`` are the steps that will see its rows."""
    name = step_name(step)
    match step:
        case ReadFiles():
            builder.add(_reader(step), name, Work.PIXELS)
            builder.rows_are_listed &= step.on_error != "skip"
        case DecodeImages():
            builder.add(_decode(step, later, pixels=pixels), name, Work.PIXELS)
            builder.rows_are_listed &= step.on_error != "skip"
        case SplitFrames():
            builder.add(_split(step, later, pixels=pixels), name, Work.PIXELS)
            builder.rows_are_listed = False
        case Select() | WithColumns() | Filter():
            _lower_expressions(step, builder)
        case Drop(columns=columns):
            builder.add(DropOperator(columns=columns), name, Work.LIGHT)
        case Rename(names=names):
            builder.add(RenameOperator(names=names), name, Work.LIGHT)
        case Limit(n=n):
            builder.cut(LimitRows(n=n))
        case _:
            _lower_work(step, builder)


def _reader(step: ReadFiles) -> ReadFilesOperator:
    return ReadFilesOperator(
        path=step.path,
        column=step.column,
        filesystem=step.filesystem,
        on_error=step.on_error,
        only_heads=step.only_heads,
    )


def _lower_work(step: Plan, builder: Builder) -> None:
    name = step_name(step)
    match step:
        case MapRows(function=function, kind=kind, schema=schema):
            from lightdata.physical.operators.map_rows import MapRowsOperator  # noqa: PLC0415 - only for queries with such a step

            mapper = MapRowsOperator(function=function, kind=kind, schema=schema, on_error=step.on_error)
            _add_function(mapper, step, builder)
            builder.rows_are_listed &= kind == "map" and step.on_error != "skip"
        case MapBatches():
            _lower_map_batches(step, builder)
        case Infer():
            from lightdata.physical.lower_infer import lower_infer  # noqa: PLC0415 - only for queries with such a step

            lower_infer(step, builder)
        case Write(sink=sink, directory=directory):
            from lightdata.physical.operators.write import WriteOperator  # noqa: PLC0415 - only for queries with such a step

            if schema_of(step.input) is None and sink.columns() is None:
                builder.cut(Conform(stage=f"write {sink}"))  # the parts of one table need one schema
            if step.multiple_of > 1:
                _gather(builder, multiple_of=step.multiple_of, least=sink.task_rows)
            writer = WriteOperator(sink=sink, directory=directory)
            builder.add(writer, name, Work.WRITING, columns=work_of(schema_of(step.input)))
            builder.least_rows = sink.task_rows
            builder.rows_are_listed = False
        case _:
            raise TypeError(f"no operator for {type(step).__name__}; add a case to {__name__}: {describe_step(step)}")


def _gather(builder: Builder, *, multiple_of: int, least: int) -> None:
    """See to it that the tasks of the next step have a multiple of some rows."""
    if builder.rows_are_listed and builder.is_source_cut:
        builder.batch_rows = math.lcm(builder.batch_rows, multiple_of)
    else:
        builder.cut(Rebatch(rows=-(-least // multiple_of) * multiple_of))
        builder.batch_rows = multiple_of


def _lower_map_batches(step: MapBatches, builder: Builder) -> None:
    from lightdata.physical.operators.map_batches import MapBatchesOperator  # noqa: PLC0415 - only for queries with such a step

    rows = step.batch_rows
    if rows is not None:
        fitting = math.lcm(builder.batch_rows, rows)
        is_apart = bool(builder.operators) and (
            builder.limited(step.concurrency) is not None or bool(step.function.num_gpus)
        )
        if builder.rows_are_listed and not builder.steps and not is_apart and fitting <= max(MAX_TASK_ROWS, rows):
            builder.batch_rows = fitting
        else:
            builder.rebatch(rows)  # pixels cross to the calling process once
    operator = MapBatchesOperator(
        function=step.function,
        batch_rows=rows,
        batch_format=step.batch_format,
        input_columns=step.input_columns,
        schema=step.schema,
        on_error=step.on_error,
    )
    _add_function(operator, step, builder)
    builder.rows_are_listed = False


def _add_function(operator: Operator, step: MapRows | MapBatches, builder: Builder) -> None:
    most = step.concurrency
    if step.function.num_gpus:
        from lightdata.physical.lower_infer import on_gpus  # noqa: PLC0415 - only for queries with such a step

        operator, places = on_gpus(operator, step.function)
        most = min(filter(None, (places, most)))
    builder.add_limited(operator, step, most, Work.FUNCTION)


def _lower_expressions(step: Select | WithColumns | Filter, builder: Builder) -> None:
    from lightdata.physical.operators.evaluate import EvaluateOperator  # noqa: PLC0415 - only for queries with such a step

    verb, expressions = _verb(step), expressions_of(step)[0]
    chains = tuple(dict.fromkeys(chain for one in expressions for chain in one.chains))
    lower_reads(chains, builder)
    written = tuple(chain for chain in chains if chain.is_write)
    if written:
        from lightdata.physical.operators.write_uris import WriteUrisOperator  # noqa: PLC0415 - only for queries with such a step

        builder.add(WriteUrisOperator(chains=written), "uri.write", Work.PIXELS)
    if schema_of(step.input) is None:
        operator = EvaluateOperator(verb=verb, unbound=expressions)
    else:
        operator = EvaluateOperator(verb=verb, columns=tuple(map(Computed.of, expressions)))
    asks_polars = bool(operator.unbound) or any(one.expression is not None for one in operator.columns)
    builder.add(operator, verb, Work.PIXELS if chains else Work.LIGHT, asks_polars=asks_polars)
    builder.rows_are_listed &= verb != "filter"


def lower_reads(chains: Sequence[Chain], builder: Builder) -> None:
    """Read what chains begin with in a stage of its own, so that some files are waited for while others are decoded.

    Workers and threads are so many that no more connections are open than the query allows.
    """
    reads = tuple(dict.fromkeys(read for chain in chains for read in chain.reads))
    if not reads:
        return
    from lightdata.physical.operators.read_uris import ReadUrisOperator  # noqa: PLC0415 - only for queries with such a step

    most = min(one.max_connections for read in reads for one in read.operations if isinstance(one, ReadUri))
    workers = min(builder.workers, most)
    operator = ReadUrisOperator(reads=reads, threads=most // workers, rows=TASK_ROWS)
    builder.cut()
    builder.add(operator, f"uri.read({', '.join(dict.fromkeys(read.column for read in reads))})", Work.READING)
    builder.cut(max_workers=builder.limited(workers))
    builder.gives(TASK_ROWS)


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


def _split(step: SplitFrames, later: Sequence[Plan], *, pixels: bool) -> SplitFramesOperator:
    from lightdata.physical.operators.split_frames import SplitFramesOperator  # noqa: PLC0415 - only for queries with such a step

    return SplitFramesOperator(
        column=step.column,
        frame=step.frame,
        exif_transpose=step.exif_transpose,
        on_error=step.on_error,
        keep_pixels=pixels or any(_reads_pixels(one, step.column) for one in later),
        batch_rows=TASK_ROWS,
    )


def _reads_pixels(step: Plan, column: str) -> bool:
    """Whether a step looks at the pixels of a column; one that might is taken to."""
    match step:
        case Select(expressions=expressions) | WithColumns(expressions=expressions):
            return any(_looks(chain, column) for one in expressions for chain in one.chains)
        case Filter(predicate=predicate):
            return any(_looks(chain, column) for chain in predicate.chains)
        case Infer(columns=columns):
            return column in columns
        case Write(sink=sink):
            return sink.columns() is not None
        case MapRows() | MapBatches():
            return True
    return False


def _looks(chain: Chain, column: str) -> bool:
    return column in chain.inputs and not all(
        isinstance(one, Attribute | AsImage | WriteUri) for one in chain.operations
    )
