"""The lazy verbs: each adds a step to the plan, and checks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
import polars.selectors as cs

from lightdata.dataset.function_arguments import checked_concurrency, checked_on_error, constructor_arguments
from lightdata.errors import ArgumentError, ExpressionError
from lightdata.expr.expression import Expression, bind
from lightdata.io.source import OnError
from lightdata.plan.function import user_function
from lightdata.plan.node import (
    BatchFormat,
    Drop,
    Filter,
    Limit,
    MapBatches,
    MapRows,
    Plan,
    Rename,
    Select,
    WithColumns,
)
from lightdata.plan.schema import schema_of
from lightdata.plan.verify import verify_step
from lightdata.types.declare import declared_schema

if TYPE_CHECKING:
    from typing import Self

IntoExpr = Any
"""What Polars takes for an expression: an expression, a column name, or a value."""


class Verbs:
    """A query that can be added to."""

    _plan: Plan

    def __init__(self, plan: Plan) -> None:
        verify_step(plan)
        self._plan = plan

    def select(self, *exprs: IntoExpr | Iterable[IntoExpr], **named: IntoExpr) -> Self:
        """Keep only these columns and expressions.

        >>> import lightdata as ld
        >>> ld.range(3).select((ld.col("id") * 2).alias("twice")).take_all()
        [{'twice': 0}, {'twice': 2}, {'twice': 4}]
        """
        return type(self)(Select(input=self._plan, expressions=self._bound("select", exprs, named)))

    def with_columns(self, *exprs: IntoExpr | Iterable[IntoExpr], **named: IntoExpr) -> Self:
        """Add columns, or replace those of the same name.

        >>> import lightdata as ld
        >>> ld.range(2).with_columns(half=ld.col("id") / 2).take_all()
        [{'id': 0, 'half': 0.0}, {'id': 1, 'half': 0.5}]
        """
        return type(self)(WithColumns(input=self._plan, expressions=self._bound("with_columns", exprs, named)))

    def filter(self, *conditions: IntoExpr | Callable[[Any], Any], **constraints: Any) -> Self:
        """Keep the rows for which every predicate is true: expressions, or one function of a row.

        >>> import lightdata as ld
        >>> ld.range(4).filter(ld.col("id") > 2).take_all()
        [{'id': 3}]
        >>> ld.range(4).filter(lambda row: row["id"] % 2 == 0).take_all()
        [{'id': 0}, {'id': 2}]
        """
        if len(conditions) == 1 and callable(conditions[0]) and not isinstance(conditions[0], pl.Expr):
            function = user_function("filter", conditions[0])
            return type(self)(MapRows(input=self._plan, function=function, kind="filter"))
        exprs = [*_flat(conditions), *(pl.col(name) == value for name, value in constraints.items())]
        if not exprs:
            raise ArgumentError("filter needs a predicate")
        if wrong := [expr for expr in exprs if not isinstance(expr, pl.Expr | str)]:
            raise ArgumentError(f"filter takes expressions, or one function of a row; got {wrong[0]!r}")
        plan, schema = self._plan, schema_of(self._plan)
        predicates = [one for expr in exprs for one in bind([_as_expr(expr)], schema, step="filter")]
        if not all(one.is_elementwise for one in predicates):  # one that looks at all rows looks at those of the input
            predicates = [Expression(reduce(and_, (one.expr for one in predicates)))]
        for predicate in predicates:
            plan = Filter(input=plan, predicate=predicate)
            verify_step(plan)
        return type(self)(plan)

    def drop(self, *columns: str | Iterable[str] | pl.Expr) -> Self:
        """Leave columns out; selectors work too.

        >>> import lightdata as ld
        >>> ld.from_items([{"a": 1, "b": 2}]).drop("a").take_all()
        [{'b': 2}]
        """
        names: list[str] = []
        for column in _flat(columns):
            names.extend([column] if isinstance(column, str) else self._selected(column))
        return type(self)(Drop(input=self._plan, columns=tuple(dict.fromkeys(names))))

    def rename(self, mapping: Mapping[str, str] | Callable[[str], str]) -> Self:
        """Give columns other names: those of a mapping, or of a function of each name.

        >>> import lightdata as ld
        >>> ld.range(1).rename({"id": "number"}).columns
        ['number']
        """
        if callable(mapping):
            schema = schema_of(self._plan)
            if schema is None:
                raise ExpressionError("rename: a function needs to know the columns; pass schema= to the step before")
            mapping = {name: mapping(name) for name in schema}
        if wrong := [name for pair in mapping.items() for name in pair if not isinstance(name, str)]:
            raise ArgumentError(f"rename takes a mapping of names to names; got {wrong[0]!r}")
        return type(self)(Rename(input=self._plan, names=tuple(mapping.items())))

    def limit(self, n: int = 10) -> Self:
        """Keep the first ``n`` rows; what comes before reads no more than it must.

        >>> import lightdata as ld
        >>> ld.range(1_000_000).limit(2).take_all()
        [{'id': 0}, {'id': 1}]
        """
        return type(self)(Limit(input=self._plan, n=checked_count("n", n)))

    def head(self, n: int = 5) -> Self:
        """Keep the first ``n`` rows, as :meth:`limit` does."""
        return self.limit(n)

    def map(
        self,
        fn: Callable[..., Any],
        *,
        schema: Any = None,
        fn_args: Iterable[Any] = (),
        fn_kwargs: Mapping[str, Any] | None = None,
        concurrency: int | tuple[int, int] | None = None,
        on_error: OnError | None = None,
        **constructor: Any,
    ) -> Self:
        """Call a function, or a class built once for each worker, on each row; it returns the new row.

        The row is a mapping that decodes an image when it is asked for. A returned array becomes a tensor, a
        returned Pillow image an image.

        Parameters
        ----------
        fn : callable
            From a row to a mapping of column to value.
        schema : mapping of column to type, optional
            What ``fn`` returns, such as ``{"label": str, "pixels": ld.tensor_type("uint8", (32, 32, 3))}``. Without
            it, the first rows tell, and steps after this one are only checked when they run.
        fn_args, fn_kwargs
            Passed to ``fn`` after the row.
        concurrency : int or (int, int), optional
            Workers that may run it at most; by default all.
        on_error : "raise", "null" or "skip"
            What becomes of a row for which ``fn`` raises: the run ends with its exception, the row is null in all
            columns of ``schema``, or it is left out; :meth:`errors` lists such rows. By default as configured.
        constructor : fn_constructor_args, fn_constructor_kwargs, num_gpus
            For a class. ``num_gpus`` gives each of its processes so many GPUs, or a part of one, for itself:
            CUDA_VISIBLE_DEVICES names no others; there are no more processes than the GPUs allow.

        Examples
        --------
        >>> import lightdata as ld
        >>> ld.range(2).map(lambda row: {"square": row["id"] ** 2}).take_all()
        [{'square': 0}, {'square': 1}]
        """
        arguments = {"args": tuple(fn_args), "kwargs": fn_kwargs, **constructor_arguments("map", constructor)}
        return self._map_rows("map", fn, arguments, schema, (concurrency, on_error))

    def flat_map(
        self,
        fn: Callable[..., Any],
        *,
        schema: Any = None,
        fn_args: Iterable[Any] = (),
        fn_kwargs: Mapping[str, Any] | None = None,
        concurrency: int | tuple[int, int] | None = None,
        on_error: OnError | None = None,
        **constructor: Any,
    ) -> Self:
        """Call a function on each row that returns any number of rows; arguments are those of :meth:`map`.

        >>> import lightdata as ld
        >>> ld.range(3).flat_map(lambda row: [row] * row["id"]).take_all()
        [{'id': 1}, {'id': 2}, {'id': 2}]
        """
        arguments = {"args": tuple(fn_args), "kwargs": fn_kwargs, **constructor_arguments("flat_map", constructor)}
        return self._map_rows("flat_map", fn, arguments, schema, (concurrency, on_error))

    def map_batches(
        self,
        fn: Callable[..., Any],
        *,
        batch_size: int | None = None,
        batch_format: BatchFormat | Literal["default"] | None = "numpy",
        input_columns: Sequence[str] | None = None,
        schema: Any = None,
        fn_args: Iterable[Any] = (),
        fn_kwargs: Mapping[str, Any] | None = None,
        concurrency: int | tuple[int, int] | None = None,
        on_error: OnError | None = None,
        **constructor: Any,
    ) -> Self:
        """Call a function, or a class built once for each worker, on batches of rows.

        Parameters
        ----------
        fn : callable
            From a batch to a batch: a mapping of column to array, or a pandas, Polars or Arrow table; or a
            generator of batches.
        batch_size : int, optional
            Rows of every batch but the last, whatever the files were; by default what is at hand.
        batch_format : "numpy", "pandas", "pyarrow", "polars"
            What ``fn`` gets. NumPy and pandas get pixels, ``uint8 [N, H, W, C]`` where all images have one size and
            an array of arrays where not; Polars and pyarrow get columns as they are stored.
        input_columns : sequence of str, optional
            The only columns that are decoded and handed over.
        on_error : "raise", "null" or "skip"
            As for :meth:`map`. A batch that fails is halved, and ``fn`` called again, until the rows are found.
        schema, fn_args, fn_kwargs, concurrency, constructor
            As for :meth:`map`.

        Examples
        --------
        >>> import lightdata as ld
        >>> ld.range(3).map_batches(lambda batch: {"id": batch["id"] + 1}, batch_size=2).take_all()
        [{'id': 1}, {'id': 2}, {'id': 3}]
        """
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise ArgumentError(f"batch_size must be a positive number of rows or None; got {batch_size!r}")
        arguments = {"args": tuple(fn_args), "kwargs": fn_kwargs, **constructor_arguments("map_batches", constructor)}
        plan = MapBatches(
            input=self._plan,
            function=user_function("map_batches", fn, **arguments),
            batch_rows=batch_size,
            batch_format=checked_format(batch_format),
            input_columns=None if input_columns is None else tuple(input_columns),
            schema=(declared := declared_schema(schema)),
            concurrency=checked_concurrency(concurrency),
            on_error=checked_on_error("map_batches", on_error, declared),
        )
        return type(self)(plan)

    def pipe(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function on this dataset."""
        return function(self, *args, **kwargs)

    def _map_rows(
        self,
        kind: Literal["map", "flat_map"],
        fn: Any,
        arguments: Mapping[str, Any],
        schema: Any,
        running: tuple[Any, OnError | None],
    ) -> Self:
        """Add a step; ``running`` is concurrency and what becomes of rows that fail."""
        declared = declared_schema(schema)
        plan = MapRows(
            input=self._plan,
            function=user_function(kind, fn, **arguments),
            kind=kind,
            schema=declared,
            concurrency=checked_concurrency(running[0]),
            on_error=checked_on_error(kind, running[1], declared),
        )
        return type(self)(plan)

    def _bound(self, step: str, exprs: Iterable[Any], named: Mapping[str, Any]) -> tuple[Expression, ...]:
        listed = as_exprs(exprs)
        listed += [_as_expr(expr).alias(name) for name, expr in named.items()]
        if not listed:
            raise ArgumentError(f"{step} needs at least one column or expression")
        return bind(listed, schema_of(self._plan), step=step)

    def _selected(self, selector: Any) -> Sequence[str]:
        schema = schema_of(self._plan)
        if schema is None:
            raise ExpressionError("drop: a selector needs to know the columns; pass schema= to the step before")
        if not isinstance(selector, pl.Expr):
            raise ArgumentError(f"drop takes names and selectors; got {selector!r}")
        return cs.expand_selector(pl.DataFrame(schema=schema.to_polars()), selector.meta.as_selector())


def as_exprs(exprs: Iterable[Any]) -> list[pl.Expr]:
    """Take names for columns, as Polars does, and anything else for literals; lists are taken apart."""
    return [_as_expr(expr) for expr in _flat(exprs)]


def checked_count(argument: str, value: Any) -> int:
    """Refuse what is not a whole number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ArgumentError(f"{argument} must be a whole number of 0 or more; got {value!r}")
    return int(value)


def _flat(exprs: Iterable[Any]) -> list[Any]:
    flat: list[Any] = []
    for expr in exprs:
        flat.extend(expr if isinstance(expr, Iterable) and not isinstance(expr, str | pl.Expr) else [expr])
    return flat


def _as_expr(value: Any) -> pl.Expr:
    """Take a name for a column, as Polars does, and anything else for a literal."""
    if isinstance(value, pl.Expr):
        return value.meta.as_expression() if hasattr(value, "exclude") and isinstance(value, cs.Selector) else value
    return pl.col(value) if isinstance(value, str) else pl.lit(value)


def checked_format(batch_format: str | None) -> BatchFormat:
    """Refuse a batch format that does not exist; "default" is numpy."""
    match batch_format:
        case None | "default":
            return "numpy"
        case "numpy" | "pandas" | "pyarrow" | "polars":
            return batch_format
    raise ArgumentError(f"batch_format must be 'numpy', 'pandas', 'pyarrow' or 'polars'; got {batch_format!r}")
