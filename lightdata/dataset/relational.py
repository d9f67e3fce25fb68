"""The verbs that look at all rows; their names, arguments and results are Polars'."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import polars as pl
import polars.selectors as cs

from lightdata.dataset.inferring import Inferring
from lightdata.dataset.verbs import IntoExpr, as_exprs, checked_count
from lightdata.errors import ArgumentError, ColumnNotFoundError, ExpressionError
from lightdata.expr.expression import Expression, bind
from lightdata.plan.node import Limit
from lightdata.plan.relational import (
    Explode,
    Keep,
    Pivot,
    RandomShuffle,
    Sample,
    Slice,
    Sort,
    Unique,
    Unpivot,
    WithRowIndex,
)
from lightdata.plan.schema import schema_of

if TYPE_CHECKING:
    from typing import Self

ColumnNames = Any
"""A name, a selector, or several of them."""

_FILLS = ("forward", "backward", "min", "max", "mean", "zero", "one")


class RelationalVerbs(Inferring):
    """A query that can be ordered, thinned out, reshaped and counted.

    Order is kept unless a verb is told otherwise; nothing runs until rows are asked for.
    """

    def cast(self, dtypes: Mapping[Any, Any] | Any, *, strict: bool = True) -> Self:
        """Change the types of columns: of those in a mapping of name, selector or type to type, or of all.

        >>> import lightdata as ld, polars as pl
        >>> ld.range(1).cast({"id": pl.String}).take_all()
        [{'id': '0'}]
        """
        pairs = dtypes.items() if isinstance(dtypes, Mapping) else [(cs.all(), dtypes)]
        wanted = {name: dtype for columns, dtype in pairs for name in self._names("cast", columns)}
        exprs = [pl.col(name).cast(dtype, strict=strict) for name, dtype in wanted.items()]
        return self.with_columns(exprs) if exprs else self

    def with_row_index(self, name: str = "index", offset: int = 0) -> Self:
        """Number the rows in a first column.

        >>> import lightdata as ld
        >>> ld.from_items(["a", "b"]).with_row_index().take_all()
        [{'index': 0, 'item': 'a'}, {'index': 1, 'item': 'b'}]
        """
        return type(self)(WithRowIndex(input=self._plan, name=name, offset=checked_count("offset", offset)))

    def sort(
        self,
        by: IntoExpr | Iterable[IntoExpr],
        *more_by: IntoExpr,
        descending: bool | Sequence[bool] = False,
        nulls_last: bool | Sequence[bool] = False,
        maintain_order: bool = True,
    ) -> Self:
        """Order the rows by columns or expressions; rows of equal keys stay in their order.

        >>> import lightdata as ld
        >>> ld.from_items([2, 3, 1]).sort("item", descending=True).take_all()
        [{'item': 3}, {'item': 2}, {'item': 1}]
        """
        keys = self._keys("sort", [by, *more_by])
        plan = Sort(
            input=self._plan,
            by=keys,
            descending=_each("descending", descending, keys),
            nulls_last=_each("nulls_last", nulls_last, keys),
            maintain_order=maintain_order,
        )
        return type(self)(plan)

    def top_k(self, k: int, *, by: IntoExpr | Iterable[IntoExpr], reverse: bool | Sequence[bool] = False) -> Self:
        """Keep the ``k`` rows with the largest keys, largest first; nulls come last.

        >>> import lightdata as ld
        >>> ld.range(9).top_k(2, by="id").take_all()
        [{'id': 8}, {'id': 7}]
        """
        return self._extreme("top_k", k, by, reverse, largest=True)

    def bottom_k(self, k: int, *, by: IntoExpr | Iterable[IntoExpr], reverse: bool | Sequence[bool] = False) -> Self:
        """Keep the ``k`` rows with the smallest keys, smallest first; nulls come last."""
        return self._extreme("bottom_k", k, by, reverse, largest=False)

    def _extreme(self, verb: str, k: int, by: Any, reverse: bool | Sequence[bool], *, largest: bool) -> Self:
        keys = self._keys(verb, [by])
        descending = tuple(one != largest for one in _each("reverse", reverse, keys))
        plan = Sort(input=self._plan, by=keys, descending=descending, nulls_last=(True,) * len(keys))
        return type(self)(Limit(input=plan, n=checked_count("k", k)))

    def unique(
        self,
        subset: ColumnNames | IntoExpr | Collection[IntoExpr] | None = None,
        *,
        keep: Keep = "any",
        maintain_order: bool = True,
    ) -> Self:
        """Keep one of the rows that are equal, in all columns or in some; "any" is the first, where order is kept.

        >>> import lightdata as ld
        >>> ld.from_items([2, 1, 2]).unique().take_all()
        [{'item': 2}, {'item': 1}]
        """
        if keep not in ("first", "last", "any", "none"):
            raise ArgumentError(f"unique: keep must be 'first', 'last', 'any' or 'none'; got {keep!r}")
        keys = None if subset is None else self._keys("unique", [subset])
        return type(self)(Unique(input=self._plan, subset=keys, keep=keep, maintain_order=maintain_order))

    def slice(self, offset: int, length: int | None = None) -> Self:
        """Keep ``length`` rows from ``offset`` on; a negative offset counts from the end.

        >>> import lightdata as ld
        >>> ld.range(9).slice(-3, 2).take_all()
        [{'id': 6}, {'id': 7}]
        """
        if isinstance(offset, bool) or not isinstance(offset, int):
            raise ArgumentError(f"slice takes a whole number as offset; got {offset!r}")
        rows = None if length is None else checked_count("length", length)
        if offset == 0 and rows is not None:
            return self.limit(rows)
        return type(self)(Slice(input=self._plan, offset=offset, length=rows))

    def tail(self, n: int = 5) -> Self:
        """Keep the last ``n`` rows."""
        return self.slice(-n, n) if checked_count("n", n) else self.limit(0)

    def sample(
        self,
        n: int | None = None,
        *,
        fraction: float | None = None,
        with_replacement: bool = False,
        shuffle: bool = False,
        seed: int | None = None,
    ) -> Self:
        """Draw ``n`` rows, or a fraction of them, at random; they keep their order unless ``shuffle``.

        Without replacement there are never more rows than before. Without a seed each run draws anew.

        >>> import lightdata as ld
        >>> ld.range(100).sample(fraction=0.1, seed=0).count()
        10
        """
        if (n is None) == (fraction is None):
            raise ArgumentError("sample takes either n or fraction")
        if fraction is not None and not (fraction >= 0 and (fraction <= 1 or with_replacement)):
            raise ArgumentError(f"sample: fraction must be from 0 to 1; got {fraction!r}")
        plan = Sample(
            input=self._plan,
            n=None if n is None else checked_count("n", n),
            fraction=None if fraction is None else float(fraction),
            with_replacement=with_replacement,
            shuffle=shuffle,
            seed=_checked_seed(seed),
        )
        return type(self)(plan)

    def random_shuffle(self, *, seed: int | None = None) -> Self:
        """Mix all rows; only paths or encoded bytes are held, never pixels. Without a seed each run mixes anew.

        >>> import lightdata as ld
        >>> sorted(row["id"] for row in ld.range(3).random_shuffle(seed=1))
        [0, 1, 2]
        """
        return type(self)(RandomShuffle(input=self._plan, seed=_checked_seed(seed)))

    def explode(
        self, columns: ColumnNames, *more_columns: ColumnNames, empty_as_null: bool = False, keep_nulls: bool = True
    ) -> Self:
        """Give each value of list columns a row of its own.

        >>> import lightdata as ld
        >>> ld.from_items([{"tags": ["a", "b"]}]).explode("tags").take_all()
        [{'tags': 'a'}, {'tags': 'b'}]
        """
        names = self._names("explode", [columns, *more_columns])
        plan = Explode(input=self._plan, columns=names, empty_as_null=empty_as_null, keep_nulls=keep_nulls)
        return type(self)(plan)

    def unpivot(
        self,
        on: ColumnNames | None = None,
        *,
        index: ColumnNames | None = None,
        variable_name: str | None = None,
        value_name: str | None = None,
    ) -> Self:
        """Turn columns into rows of name and value; ``index`` columns stay. By default all others are turned.

        >>> import lightdata as ld
        >>> ld.from_items([{"a": 1, "b": 2}]).unpivot().take_all()
        [{'variable': 'a', 'value': 1}, {'variable': 'b', 'value': 2}]
        """
        kept = () if index is None else self._names("unpivot", index)
        names = [
            name
            for name in self._names("unpivot", cs.all() if on is None else on)
            if on is not None or name not in kept
        ]
        plan = Unpivot(
            input=self._plan,
            on=tuple(names),
            index=kept,
            variable_name=variable_name or "variable",
            value_name=value_name or "value",
        )
        return type(self)(plan)

    def pivot(
        self,
        on: str,
        on_columns: Sequence[Any],
        *,
        index: ColumnNames | None = None,
        values: ColumnNames | None = None,
        aggregate_function: str | None = None,
        maintain_order: bool = True,
        separator: str = "_",
    ) -> Self:
        """Turn the values of a column into columns; ``on_columns`` lists them, since the rows are not read to know.

        >>> import lightdata as ld
        >>> ds = ld.from_items([{"id": 0, "key": "a", "x": 1}, {"id": 0, "key": "b", "x": 2}])
        >>> ds.pivot("key", ["a", "b"], index="id", values="x").take_all()
        [{'id': 0, 'a': 1, 'b': 2}]
        """
        listed = self._names("pivot", on)
        if index is None and values is None:
            raise ArgumentError("pivot needs index or values")
        taken = {*listed, *(() if index is None else self._names("pivot", index))}
        taken |= set(() if values is None else self._names("pivot", values))
        rest = tuple(name for name in self._names("pivot", cs.all()) if name not in taken)
        plan = Pivot(
            input=self._plan,
            on=listed[0],
            on_columns=tuple(on_columns),
            index=rest if index is None else self._names("pivot", index),
            values=rest if values is None else self._names("pivot", values),
            aggregate_function=aggregate_function,
            maintain_order=maintain_order,
            separator=separator,
        )
        return type(self)(plan)

    def fill_null(
        self,
        value: Any = None,
        strategy: str | None = None,
        limit: int | None = None,
        *,
        matches_supertype: bool = True,
    ) -> Self:
        """Put a value, or by a strategy that of a row nearby, where there is none; a value fills columns of its kind.

        >>> import lightdata as ld
        >>> ld.from_items([{"a": 1}, {"a": None}]).fill_null(0).take_all()
        [{'a': 1}, {'a': 0}]
        """
        if (value is None) == (strategy is None):
            raise ArgumentError("fill_null takes either a value or a strategy")
        if strategy is not None:
            if strategy not in _FILLS:
                raise ArgumentError(f"fill_null: strategy must be one of {', '.join(_FILLS)}; got {strategy!r}")
            return self.with_columns(pl.all().fill_null(strategy=strategy, limit=limit))  # type: ignore[arg-type]  # it is one of them
        names = self._names("fill_null", _of_kind(value, matches_supertype=matches_supertype))
        return self.with_columns(pl.col(name).fill_null(value) for name in names) if names else self

    def drop_nulls(self, subset: ColumnNames | None = None) -> Self:
        """Leave out the rows with a null in any column, or in any of ``subset``.

        >>> import lightdata as ld
        >>> ld.from_items([{"a": 1}, {"a": None}]).drop_nulls().take_all()
        [{'a': 1}]
        """
        names = self._names("drop_nulls", cs.all() if subset is None else subset)
        return self.filter(reduce(and_, (pl.col(name).is_not_null() for name in names))) if names else self

    def _keys(self, step: str, keys: Iterable[Any]) -> tuple[Expression, ...]:
        bound = bind(as_exprs(keys), schema_of(self._plan), step=step, are_columns=False)
        if not bound:
            raise ArgumentError(f"{step} needs at least one column or expression")
        return bound

    def _names(self, step: str, columns: ColumnNames) -> tuple[str, ...]:
        """Name the columns that names and selectors pick, each once."""
        many = columns if isinstance(columns, Iterable) and not isinstance(columns, str | pl.Expr) else [columns]
        if all(isinstance(one, str) for one in many):
            self._check_names(step, many)
            return tuple(dict.fromkeys(many))
        schema = schema_of(self._plan)
        if schema is None:
            raise ExpressionError(
                f"{step}: name the columns, or pass schema= to the step before: they are not known yet"
            )
        frame = pl.DataFrame(schema=schema.to_polars())
        picked = [name for one in many for name in _expanded(step, frame, one)]
        return tuple(dict.fromkeys(picked))

    def _check_names(self, step: str, names: Iterable[str]) -> None:
        schema = schema_of(self._plan)
        for name in names if schema is not None else ():
            if name not in (schema or ()):
                raise ColumnNotFoundError.for_step(name, step=step, available=(schema or {}).keys())


def _expanded(step: str, frame: pl.DataFrame, column: Any) -> Sequence[str]:
    if not isinstance(column, str | pl.Expr):  # a type picks the columns that have it
        return cs.expand_selector(frame, cs.by_dtype(column))
    try:
        selector = cs.by_name(column) if isinstance(column, str) else column.meta.as_selector()
        return cs.expand_selector(frame, selector)
    except pl.exceptions.ColumnNotFoundError:
        raise ColumnNotFoundError.for_step(str(column), step=step, available=frame.columns) from None
    except pl.exceptions.PolarsError as error:
        raise ArgumentError(f"{step} takes names and selectors; got {column!r}") from error


def _each(argument: str, value: bool | Sequence[bool], keys: Sequence[Any]) -> tuple[bool, ...]:
    many = (value,) * len(keys) if isinstance(value, bool) else tuple(value)
    if len(many) != len(keys):
        raise ArgumentError(f"{argument} has {len(many)} values for {len(keys)} keys")
    return many


def _checked_seed(seed: int | None) -> int | None:
    return None if seed is None else checked_count("seed", seed)


def _of_kind(value: Any, *, matches_supertype: bool) -> Any:
    """Select the columns that a value can fill."""
    match value:
        case bool():
            return cs.boolean()
        case int() | float() if matches_supertype:
            return cs.numeric()
        case int():
            return cs.integer()
        case float():
            return cs.float()
        case str():
            return cs.string(include_categorical=True)
        case dt.datetime():
            return cs.datetime()
        case dt.date():
            return cs.date()
        case dt.timedelta():
            return cs.duration()
        case dt.time():
            return cs.time()
        case bytes():
            return cs.binary()
    return cs.all()
