"""Steps that look at all rows together, or at several inputs: Polars runs them.

Their words, arguments and results are Polars'; what each means is in :mod:`lightdata.plan.polars_query`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from lightdata.expr.expression import Expression
from lightdata.plan.node import Plan

JoinKind = Literal["inner", "left", "right", "full", "semi", "anti", "cross"]
JoinOrder = Literal["none", "left", "right", "left_right", "right_left"]
Keep = Literal["first", "last", "any", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relational(Plan):
    """A step that Polars runs over all rows of its inputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort(Relational):
    """Order the rows."""

    input: Plan
    by: tuple[Expression, ...]
    descending: tuple[bool, ...]
    nulls_last: tuple[bool, ...]
    maintain_order: bool = True
    """Whether rows of equal keys stay in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Relational):
    """Keep the rows from ``offset`` on, counted from the end if it is negative."""

    input: Plan
    offset: int
    length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WithRowIndex(Relational):
    """Number the rows in a first column, uint32."""

    input: Plan
    name: str
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Relational):
    """Draw ``n`` rows, or a fraction of them."""

    input: Plan
    n: int | None = None
    fraction: float | None = None
    with_replacement: bool = False
    shuffle: bool = False
    """Whether the drawn rows are mixed; else they keep their order."""

    seed: int | None = None
    """``None`` draws anew in each run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomShuffle(Relational):
    """Mix the rows."""

    input: Plan
    seed: int | None = None
    """``None`` mixes anew in each run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unique(Relational):
    """Keep one of the rows that are equal in some columns."""

    input: Plan
    subset: tuple[Expression, ...] | None = None
    keep: Keep = "any"
    maintain_order: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupBy(Relational):
    """Aggregate the rows of each group."""

    input: Plan
    keys: tuple[Expression, ...]
    aggs: tuple[Expression, ...]
    maintain_order: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Join(Relational):
    """Bring rows of two inputs together whose keys are equal."""

    left: Plan
    right: Plan
    how: JoinKind
    left_on: tuple[Expression, ...] = ()
    right_on: tuple[Expression, ...] = ()
    suffix: str = "_right"
    validate: Literal["m:m", "m:1", "1:m", "1:1"] = "m:m"
    nulls_equal: bool = False
    coalesce: bool | None = None
    maintain_order: JoinOrder = "left_right"


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinAsof(Relational):
    """Bring each row of the left together with the nearest one of the right; both are sorted by their key."""

    left: Plan
    right: Plan
    left_on: Expression
    right_on: Expression
    by_left: tuple[str, ...] = ()
    by_right: tuple[str, ...] = ()
    strategy: Literal["backward", "forward", "nearest"] = "backward"
    suffix: str = "_right"
    tolerance: str | int | float | timedelta | None = None
    coalesce: bool = True
    allow_exact_matches: bool = True
    check_sortedness: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Explode(Relational):
    """Give each value of a list a row of its own."""

    input: Plan
    columns: tuple[str, ...]
    empty_as_null: bool = False
    keep_nulls: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpivot(Relational):
    """Turn columns into rows of name and value."""

    input: Plan
    on: tuple[str, ...]
    index: tuple[str, ...]
    variable_name: str = "variable"
    value_name: str = "value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pivot(Relational):
    """Turn the values of a column, which are listed beforehand, into columns."""

    input: Plan
    on: str
    on_columns: tuple[Any, ...]
    index: tuple[str, ...]
    values: tuple[str, ...]
    aggregate_function: str | None = None
    maintain_order: bool = True
    separator: str = "_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concat(Plan):
    """The rows of several inputs of one schema, one input after another."""

    parts: tuple[Plan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Zip(Plan):
    """The columns of several inputs side by side; no two have one name."""

    parts: tuple[Plan, ...]
    pads: bool = False
    """Whether inputs with fewer rows are filled with nulls; else they are an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache(Plan):
    """Rows that several places of a plan read: made once."""

    input: Plan
    number: int
    """Which one; all places that read the same rows have the same number."""
