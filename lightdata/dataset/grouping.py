"""Groups of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import polars as pl

from lightdata.dataset.verbs import IntoExpr, as_exprs
from lightdata.errors import ArgumentError, ExpressionError
from lightdata.expr.expression import Expression, bind
from lightdata.plan.node import Plan
from lightdata.plan.relational import Explode, GroupBy
from lightdata.plan.schema import schema_of

_D = TypeVar("_D")


class Grouped(Generic[_D]):
    """The groups of a dataset, waiting to be aggregated; as Polars' ``LazyGroupBy``.

    >>> import lightdata as ld
    >>> ld.from_items(["a", "b", "a"]).group_by("item").len().take_all()
    [{'item': 'a', 'len': 2}, {'item': 'b', 'len': 1}]
    """

    def __init__(
        self, plan: Plan, keys: tuple[Expression, ...], make: Callable[[Plan], _D], *, maintain_order: bool
    ) -> None:
        self._plan = plan
        self._keys = keys
        self._make = make
        self._maintain_order = maintain_order

    def agg(self, *aggs: IntoExpr | Iterable[IntoExpr], **named_aggs: IntoExpr) -> _D:
        """Compute one row for each group; an expression that does not aggregate gives the list of its values.

        >>> import lightdata as ld
        >>> ds = ld.from_items([{"k": 1, "x": 2}, {"k": 1, "x": 3}])
        >>> ds.group_by("k").agg(ld.col("x").sum(), all=ld.col("x").alias("values")).take_all()
        [{'k': 1, 'x': 5, 'all': [2, 3]}]
        """
        return self._make(self._gathered(as_exprs(aggs) + [expr.alias(name) for name, (expr,) in _named(named_aggs)]))

    def _gathered(self, listed: list[pl.Expr]) -> GroupBy:
        keys = {key.name for key in self._keys}
        bound = bind(listed, schema_of(self._plan), step="agg", unselected=keys)
        if taken := [name for name in map(_name_of, bound) if name in keys]:
            raise ExpressionError(f"agg: {taken[0]!r} is a key already; give the result another name with .alias()")
        return GroupBy(input=self._plan, keys=self._keys, aggs=bound, maintain_order=self._maintain_order)

    def _rows(self, some: pl.Expr) -> _D:
        plan = self._gathered([some])
        names = tuple(one.name for one in plan.aggs)
        return self._make(Explode(input=plan, columns=names) if names else plan)

    def len(self, name: str | None = None) -> _D:
        """Count the rows of each group."""
        return self.agg(pl.len().alias(name or "len"))

    def all(self) -> _D:
        """Gather the values of each group in lists."""
        return self.agg(pl.all())

    def first(self) -> _D:
        """Keep the first row of each group."""
        return self.agg(pl.all().first())

    def last(self) -> _D:
        """Keep the last row of each group."""
        return self.agg(pl.all().last())

    def head(self, n: int = 5) -> _D:
        """Keep the first ``n`` rows of each group."""
        return self._rows(pl.all().head(n))

    def tail(self, n: int = 5) -> _D:
        """Keep the last ``n`` rows of each group."""
        return self._rows(pl.all().tail(n))

    def max(self) -> _D:
        """Give the largest value of each column."""
        return self.agg(pl.all().max())

    def mean(self) -> _D:
        """Give the mean of each column."""
        return self.agg(pl.all().mean())

    def median(self) -> _D:
        """Give the median of each column."""
        return self.agg(pl.all().median())

    def min(self) -> _D:
        """Give the smallest value of each column."""
        return self.agg(pl.all().min())

    def n_unique(self) -> _D:
        """Count the different values of each column."""
        return self.agg(pl.all().n_unique())

    def quantile(self, quantile: float, interpolation: Any = "nearest") -> _D:
        """Give a quantile of each column."""
        return self.agg(pl.all().quantile(quantile, interpolation=interpolation))

    def sum(self) -> _D:
        """Add up each column."""
        return self.agg(pl.all().sum())


def _name_of(agg: Expression) -> str:
    try:
        return agg.name
    except pl.exceptions.PolarsError:  # a selector, over columns that only the run will tell
        raise ExpressionError(
            "agg: name the columns, or pass schema= to the step before: they are not known yet"
        ) from None


def _named(exprs: dict[str, IntoExpr]) -> Iterable[tuple[str, list[pl.Expr]]]:
    return [(name, as_exprs([expr])) for name, expr in exprs.items()]


def grouped(
    plan: Plan, by: Iterable[Any], named_by: dict[str, Any], make: Callable[[Plan], _D], *, maintain_order: bool
) -> Grouped[_D]:
    """Group by columns and expressions.

    Raises
    ------
    ArgumentError
        Without a key.
    """
    listed = as_exprs(by) + [expr.alias(name) for name, (expr,) in _named(named_by)]
    if not listed:
        raise ArgumentError("group_by needs at least one column or expression")
    return Grouped(plan, bind(listed, schema_of(plan), step="group_by"), make, maintain_order=maintain_order)
