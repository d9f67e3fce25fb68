"""Filter(p(c))(WithColumns(c=g(i))(x)) -> WithColumns(c=g(i))(Filter(p(g(i)))(x)), where p asks no pixel."""

from __future__ import annotations

from lightdata.expr.deferred import Chain
from lightdata.optimize.substitution import is_rowwise, made_by, substituted
from lightdata.plan.effect import writes
from lightdata.plan.node import Filter, Plan, WithColumns
from lightdata.plan.schema import schema_of
from lightdata.types.operation import Attribute, Decode, ExifTranspose, Operation
from lightdata.types.uri_operation import ReadUri


def filter_before_chains(plan: Plan) -> Plan | None:
    """Drop rows before their images are changed, by what a header tells of the changed image.

    Legal only where filter and step treat each row by itself, and what the filter reads of the step are columns under
    another name or image operations whose resulting size and mode follow from the header: nothing is decoded twice, nor
    read twice from a URL, and no row is left out of a step that writes files.
    """
    match plan:
        case Filter(input=WithColumns() as step, predicate=predicate) if predicate.is_elementwise and is_rowwise(step):
            if schema_of(step.input) is None or writes(step) or not predicate.inputs & made_by(step).keys():
                return None  # it cannot be told what is read, or needs no other words to pass
            earlier = substituted(predicate, step)
            if earlier is None or not all(_is_in_header(chain) for chain in earlier.chains):
                return None
            return step.map_inputs(lambda before: Filter(input=before, predicate=earlier))
    return None


def _is_in_header(chain: Chain) -> bool:
    *operations, last = chain.operations
    return isinstance(last, Attribute) and not any(map(_needs_more, operations))


def _needs_more(step: Operation) -> bool:
    match step:
        case ExifTranspose() | ReadUri() | Decode(exif_transpose=False) | Decode(on_error="null"):
            return True
    return False
