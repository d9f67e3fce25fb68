"""What a step does to rows and columns: the facts that decide whether it may move."""

from __future__ import annotations

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
    Select,
    SplitFrames,
    WithColumns,
    Write,
)
from lightdata.plan.relational import Explode, RandomShuffle, Sample, Slice, Sort, Unique, WithRowIndex
from lightdata.plan.schema import chains_of, expressions_of
from lightdata.types.operation import AsImage, Attribute


def keeps_rows(step: Plan) -> bool:
    """Whether a step gives exactly one row for each row, in their order, made of that row alone."""
    match step:
        case (
            ReadFiles(on_error="skip")
            | DecodeImages(on_error="skip")
            | Infer(on_error="skip")
            | MapRows(on_error="skip")
        ):
            return False
        case ReadFiles() | DecodeImages():
            return True
        case WithColumns(expressions=expressions):
            return all(one.is_elementwise or one.is_constant for one in expressions)
        case Select(expressions=expressions):
            rowwise = [one.is_elementwise for one in expressions]
            return any(rowwise) and all(row or one.is_constant for row, one in zip(rowwise, expressions, strict=True))
        case MapRows(kind=kind):
            return kind == "map"
        case Drop() | Rename() | Infer():
            return True
    return False


def writes(step: Plan) -> bool:
    """Whether a step writes a file for each of its rows: it must see every row once, and nobody may leave it out."""
    return any(chain.is_write for chains in chains_of(step) for chain in chains)


def columns_read(step: Plan) -> frozenset[str] | None:
    """Name the columns that a step of one input looks at; ``None`` where it may look at all."""
    match step:
        case ReadFiles(path=column) | DecodeImages(column=column) | SplitFrames(column=column):
            return frozenset({column})
        case Rename(names=names):
            return frozenset(old for old, _ in names)
        case Explode(columns=columns) | Infer(columns=columns):
            return frozenset(columns)
        case Unique(subset=None) | MapRows() | Write():
            return None
        case Drop() | Limit() | Slice() | Sample() | RandomShuffle() | WithRowIndex():
            return frozenset()
        case Select() | WithColumns() | Filter() | Sort() | Unique():
            return frozenset().union(*(one.inputs for one in expressions_of(step)[0]))
    return None


def columns_made(step: Plan) -> frozenset[str] | None:
    """Name the columns that a step adds, replaces or renames; ``None`` where nothing is known of the others."""
    match step:
        case ReadFiles(column=column) | DecodeImages(column=column):
            return frozenset({column})
        case SplitFrames(column=column, frame=frame):
            return frozenset({column, frame})
        case WithColumns(expressions=expressions):
            return frozenset(one.name for one in expressions)
        case Infer(model=model):
            return frozenset(model.output_types())
        case Rename(names=names):
            return frozenset(name for pair in names for name in pair)
        case Explode(columns=columns):
            return frozenset(columns)
        case WithRowIndex(name=name):
            return frozenset({name})
        case Filter() | Drop() | Limit() | Slice() | Sample() | RandomShuffle() | Sort() | Unique():
            return frozenset()
    return None


def looks_at_pixels(step: Plan) -> bool:
    """Whether a step reads files, decodes images, or computes with pixels."""
    match step:
        case ReadFiles() | DecodeImages() | SplitFrames() | Infer():
            return True
        case Select() | WithColumns() | Filter():
            chains = [chain for one in expressions_of(step)[0] for chain in one.chains]
            return any(not isinstance(one, Attribute | AsImage) for chain in chains for one in chain.operations)
    return False
