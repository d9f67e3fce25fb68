"""Filter(width(image))(DecodeImages(x)) -> DecodeImages(Filter(width(bytes))(x))."""

from __future__ import annotations

from dataclasses import replace

from lightdata.expr.expression import Expression
from lightdata.plan.node import DecodeImages, Filter, Plan


def header_only_attributes(plan: Plan) -> Plan | None:
    """Answer questions about images from their headers, before they are decoded.

    Legal only if everything the predicate asks of the column is in the header, the step keeps images as their files say
    (no mode, no size), and a failing row ends the run: where it becomes null instead, a predicate would see the
    null. The bytes that were read for the header are the ones that are decoded.
    """
    match plan:
        case Filter(input=DecodeImages(column=column, on_error="raise") as decode, predicate=predicate):
            if not decode.keeps_files or not predicate.is_elementwise or not _asks_header(predicate, column):
                return None
            return replace(decode, input=replace(plan, input=decode.input))
    return None


def _asks_header(predicate: Expression, column: str) -> bool:
    chains = [chain for chain in predicate.chains if column in chain.inputs]
    plain = column in predicate.expr.meta.root_names()
    return bool(chains) and not plain and all(chain.is_attribute for chain in chains)
