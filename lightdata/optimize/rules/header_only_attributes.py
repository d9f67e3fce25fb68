"""Drop(image)(Filter(width(image))(Decode(Read(x)))) -> Drop(image)(Filter(width(image))(Decode(ReadHeads(x))))."""

from __future__ import annotations

from dataclasses import replace

from lightdata.plan.effect import columns_made, columns_read
from lightdata.plan.node import DecodeImages, Drop, Filter, Limit, Plan, ReadFiles, Select, WithColumns
from lightdata.plan.relational import GroupBy, RandomShuffle, Sample, Slice, Sort, WithRowIndex
from lightdata.plan.schema import expressions_of, schema_of
from lightdata.types.operation import Attribute

_IN_THE_HEAD = ("width", "height", "mode", "channels", "format")

_PASSED = (
    ReadFiles,
    DecodeImages,
    Filter,
    WithColumns,
    Sort,
    Limit,
    Slice,
    Sample,
    RandomShuffle,
    WithRowIndex,
    Drop,
)
"""Steps that leave columns alone which they do not name."""


def header_only_attributes(plan: Plan) -> Plan | None:
    """Read no more of a file than its header, where nobody asks for the rest.

    Legal only if everything between reading and the end of the column asks for its size, mode or format, and a failing
    row ends the run: where it becomes null instead, each image is decoded to know. Where the image is asked for later,
    headers are read once, from the bytes that are kept for the decode.
    """
    if not isinstance(plan, Drop | Select | GroupBy):
        return None
    for column in _ended(plan):
        if _asks_heads(plan, column) and (below := _with_heads(plan.inputs[0], column)) is not None:
            return plan.map_inputs(lambda _, below=below: below)  # type: ignore[misc]  # bound at once
    return None


def _ended(plan: Drop | Select | GroupBy) -> frozenset[str]:
    """Name the columns whose values nothing after a step can see."""
    if isinstance(plan, Drop):
        return frozenset(plan.columns)
    return frozenset(schema_of(plan.input) or ())


def _asks_heads(step: Plan, column: str) -> bool:
    """Whether a step leaves a column alone, or asks it for nothing but what is in the header."""
    expressions = expressions_of(step)[0]
    if any(column in one.expr.meta.root_names() for one in expressions):
        return False
    chains = [chain for one in expressions for chain in one.chains if column in chain.inputs]
    return all(
        chain.is_attribute and isinstance(last := chain.operations[-1], Attribute) and last.name in _IN_THE_HEAD
        for chain in chains
    )


def _with_heads(step: Plan, column: str) -> Plan | None:
    """Let the step that reads a column read heads only; ``None`` if something below looks at more."""
    match step:
        case ReadFiles(column=made, on_error="raise", only_heads=False) if made == column:
            return replace(step, only_heads=True)
        case DecodeImages(column=made, on_error="raise", size=None, exif_transpose=True) if made == column:
            below = _with_heads(step.input, column)
            return None if below is None else replace(step, input=below)
    if not isinstance(step, _PASSED) or _touches(step, column):
        return None
    below = _with_heads(step.inputs[0], column)
    return None if below is None else step.map_inputs(lambda _: below)


def _touches(step: Plan, column: str) -> bool:
    if column in (columns_made(step) or ()):
        return True
    return not _asks_heads(step, column) if expressions_of(step)[0] else column in (columns_read(step) or ())
