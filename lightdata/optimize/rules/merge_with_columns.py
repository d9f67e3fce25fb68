"""WithColumns(B)(WithColumns(A)(x)) -> WithColumns(A + B)(x), where B reads nothing that A makes."""

from __future__ import annotations

from lightdata.optimize.substitution import is_rowwise, made_by, merged
from lightdata.plan.effect import writes
from lightdata.plan.node import Plan, WithColumns
from lightdata.plan.schema import schema_of


def merge_with_columns(plan: Plan) -> Plan | None:
    """Make of two steps one, in which an image is decoded once for all that is made of it.

    Legal only where the columns are known and both steps treat each row by itself. A result of the later step takes the
    place of the earlier one's of that name, which nobody has read; so the earlier must write no files.
    """
    match plan:
        case WithColumns(input=WithColumns() as earlier, expressions=later):
            if schema_of(earlier.input) is None or writes(earlier) or not (is_rowwise(plan) and is_rowwise(earlier)):
                return None
            if frozenset().union(*(one.inputs for one in later)) & made_by(earlier).keys():
                return None
            return merged(earlier, later)
    return None
