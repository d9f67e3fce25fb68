"""The verbs that bring datasets together, take them apart, and group them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
import pyarrow as pa

from lightdata.dataset.grouping import Grouped, grouped
from lightdata.dataset.relational import RelationalVerbs
from lightdata.dataset.verbs import IntoExpr, as_exprs, checked_count
from lightdata.errors import ArgumentError, SchemaError
from lightdata.expr.deferred import Chain
from lightdata.expr.expression import Expression, bind
from lightdata.io.lazy_frame import LazyFrameSource, held_schema
from lightdata.io.memory import MemorySource
from lightdata.plan.node import Plan, Rename, Scan, Select
from lightdata.plan.relational import Concat, Join, JoinAsof, JoinKind, JoinOrder, Zip
from lightdata.plan.schema import schema_of
from lightdata.types.canonical import canonical
from lightdata.types.image import ImageType
from lightdata.types.operation import AsImage
from lightdata.types.schema import Schema, describe

if TYPE_CHECKING:
    from datetime import timedelta
    from typing import Self

ConcatMethod = Literal[
    "vertical", "vertical_relaxed", "diagonal", "diagonal_relaxed", "horizontal", "horizontal_extend"
]
_JOINS = ("inner", "left", "right", "full", "semi", "anti", "cross")


class Combining(RelationalVerbs):
    """A query that can be joined with others, split and grouped."""

    def group_by(
        self, *by: IntoExpr | Iterable[IntoExpr], maintain_order: bool = True, **named_by: IntoExpr
    ) -> Grouped[Self]:
        """Group rows by columns or expressions; groups come in the order of their first rows.

        >>> import lightdata as ld
        >>> ld.range(5).group_by(odd=ld.col("id") % 2).agg(ld.col("id").max()).take_all()
        [{'odd': 0, 'id': 4}, {'odd': 1, 'id': 3}]
        """
        return grouped(self._plan, by, named_by, type(self), maintain_order=maintain_order)

    def join(
        self,
        other: Any,
        on: IntoExpr | Sequence[IntoExpr] | None = None,
        how: JoinKind = "inner",
        *,
        left_on: IntoExpr | Sequence[IntoExpr] | None = None,
        right_on: IntoExpr | Sequence[IntoExpr] | None = None,
        suffix: str = "_right",
        validate: Literal["m:m", "m:1", "1:m", "1:1"] = "m:m",
        nulls_equal: bool = False,
        coalesce: bool | None = None,
        maintain_order: JoinOrder | None = None,
    ) -> Self:
        """Bring rows together whose keys are equal.

        Parameters
        ----------
        other : Dataset, polars.DataFrame or LazyFrame, pyarrow.Table
        on, left_on, right_on
            Keys: columns or expressions.
        how : "inner", "left", "right", "full", "semi", "anti", "cross"
        maintain_order : "none", "left", "right", "left_right", "right_left", optional
            By default "left_right": in the order of the left, and those of one row of the left in the order of the
            right; a right join the other way round. "none" is several times faster, in an order that changes from
            run to run.
        suffix, validate, nulls_equal, coalesce
            As in Polars.

        Examples
        --------
        >>> import lightdata as ld, polars as pl
        >>> names = pl.DataFrame({"id": [1], "name": ["one"]})
        >>> ld.range(2).join(names, on="id", how="left").take_all()
        [{'id': 0, 'name': None}, {'id': 1, 'name': 'one'}]
        """
        if how not in _JOINS:
            raise ArgumentError(f"join: how must be one of {', '.join(_JOINS)}; got {how!r}")
        right = plan_of("join", other)
        left_keys, right_keys = _key_pairs("join", on, left_on, right_on)
        if (how == "cross") != (not left_keys):
            raise ArgumentError(
                "join: a cross join takes no keys" if left_keys else "join needs on, or left_on and right_on"
            )
        plan = Join(
            left=self._plan,
            right=right,
            how=how,
            left_on=_bound_keys("join", left_keys, self._plan),
            right_on=_bound_keys("join", right_keys, right),
            suffix=suffix,
            validate=validate,
            nulls_equal=nulls_equal,
            coalesce=coalesce,
            maintain_order=_join_order(how) if maintain_order is None else maintain_order,
        )
        return type(self)(plan)

    def join_asof(
        self,
        other: Any,
        *,
        left_on: IntoExpr | None = None,
        right_on: IntoExpr | None = None,
        on: IntoExpr | None = None,
        by_left: str | Sequence[str] | None = None,
        by_right: str | Sequence[str] | None = None,
        by: str | Sequence[str] | None = None,
        strategy: Literal["backward", "forward", "nearest"] = "backward",
        suffix: str = "_right",
        tolerance: str | float | timedelta | None = None,
        coalesce: bool = True,
        allow_exact_matches: bool = True,
        check_sortedness: bool = True,
    ) -> Self:
        """Bring each row together with the nearest row of another dataset; both are sorted by the key.

        >>> import lightdata as ld, polars as pl
        >>> events = pl.DataFrame({"id": [0, 2], "event": ["on", "off"]})
        >>> [row["event"] for row in ld.range(4).join_asof(events, on="id").take_all()]
        ['on', 'on', 'off', 'off']
        """
        right = plan_of("join_asof", other)
        left_keys, right_keys = _key_pairs("join_asof", on, left_on, right_on)
        if len(left_keys) != 1:
            raise ArgumentError("join_asof takes one key, as on, or as left_on and right_on")
        plan = JoinAsof(
            left=self._plan,
            right=right,
            left_on=_bound_keys("join_asof", left_keys, self._plan)[0],
            right_on=_bound_keys("join_asof", right_keys, right)[0],
            by_left=_names(by if by_left is None else by_left),
            by_right=_names(by if by_right is None else by_right),
            strategy=strategy,
            suffix=suffix,
            tolerance=tolerance,
            coalesce=coalesce,
            allow_exact_matches=allow_exact_matches,
            check_sortedness=check_sortedness,
        )
        return type(self)(plan)

    def union(self, *others: Any) -> Self:
        """Put the rows of other datasets of the same columns after those of this one.

        >>> import lightdata as ld
        >>> ld.range(2).union(ld.range(1)).take_all()
        [{'id': 0}, {'id': 1}, {'id': 0}]
        """
        return type(self)(concat_plans([self._plan, *(plan_of("union", other) for other in others)], "vertical"))

    def zip(self, *others: Any) -> Self:
        """Put the columns of other datasets of as many rows beside those of this one; names that exist get ``_1``.

        >>> import lightdata as ld
        >>> ld.range(2).zip(ld.range(2)).take_all()
        [{'id': 0, 'id_1': 0}, {'id': 1, 'id_1': 1}]
        """
        parts = [self._plan]
        for other in others:
            parts.append(_renamed_apart(parts, plan_of("zip", other)))
        return type(self)(Zip(parts=tuple(parts)))

    def value_counts(self, column: str, *, sort: bool = False, name: str = "count", normalize: bool = False) -> Self:
        """Count how often each value of a column occurs; in the order they first occur, or the most frequent first.

        >>> import lightdata as ld
        >>> ld.from_items(["a", "b", "b"]).value_counts("item", sort=True).take_all()
        [{'item': 'b', 'count': 2}, {'item': 'a', 'count': 1}]
        """
        counted = self.group_by(column).agg(pl.len().alias(name))
        counted = counted.with_columns(pl.col(name) / pl.col(name).sum()) if normalize else counted
        return counted.sort(name, descending=True) if sort else counted

    def train_test_split(
        self,
        test_size: float,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        stratify: str | None = None,
    ) -> tuple[Self, Self]:
        """Split into rows for training and for testing; the last rows, or those of a random order, are for testing.

        Parameters
        ----------
        test_size : int or float
            Rows, or the part of all rows (of each class, if stratified), for testing.
        shuffle : bool
            Mix rows first.
        seed : int, optional
            Makes the mixing repeatable.
        stratify : str, optional
            A column whose values are to be as frequent in both parts as in the whole.

        Examples
        --------
        >>> import lightdata as ld
        >>> train, test = ld.range(8).train_test_split(0.25)
        >>> train.count(), test.count()
        (6, 2)
        """
        if isinstance(test_size, bool) or not (0 < test_size < 1 or (isinstance(test_size, int) and test_size > 0)):
            raise ArgumentError(f"test_size must be a part between 0 and 1, or a number of rows; got {test_size!r}")
        if stratify is not None and isinstance(test_size, int):
            raise ArgumentError("a stratified split takes test_size as a part between 0 and 1")
        # Both parts must see one order: a seed drawn when they run would differ.
        base = self.random_shuffle(seed=secrets.randbelow(2**32) if seed is None else seed) if shuffle else self
        place, rows = pl.int_range(pl.len()), pl.len().cast(pl.Int64)
        if stratify is not None:
            place, rows = place.over(stratify), rows.over(stratify)
        for_test = test_size if isinstance(test_size, int) else rows - (rows * (1 - test_size)).floor().cast(pl.Int64)
        return base.filter(place < rows - for_test), base.filter(place >= rows - for_test)

    def split(self, n: int, *, equal: bool = False) -> list[Self]:
        """Cut into ``n`` datasets of consecutive rows, as equal as can be; ``equal`` leaves out what is left over.

        >>> import lightdata as ld
        >>> [part.count() for part in ld.range(10).split(3)]
        [3, 3, 4]
        """
        if checked_count("n", n) < 1:
            raise ArgumentError("split needs at least one part")
        rows, place = pl.len().cast(pl.Int64), pl.int_range(pl.len())
        cuts = [rows // n * k if equal else rows * k // n for k in range(n + 1)]
        return [self.filter((place >= start) & (place < stop)) for start, stop in pairwise(cuts)]

    def split_at_indices(self, indices: Sequence[int]) -> list[Self]:
        """Cut before the rows of these numbers.

        >>> import lightdata as ld
        >>> [part.count() for part in ld.range(10).split_at_indices([2, 5])]
        [2, 3, 5]
        """
        cuts = [0, *(checked_count("an index", index) for index in indices)]
        if cuts != sorted(cuts):
            raise ArgumentError(f"split_at_indices takes indices in ascending order; got {list(indices)}")
        parts = [self.slice(start, stop - start) for start, stop in pairwise(cuts)]
        return [*parts, self.slice(cuts[-1])]


def _join_order(how: JoinKind) -> JoinOrder:
    """Choose the order in which the rows of a join are the same in every run."""
    match how:
        case "right":
            return "right_left"
        case "semi" | "anti":
            return "left"
    return "left_right"


def plan_of(verb: str, other: Any) -> Plan:
    """Take a dataset, a Polars frame, lazy or not, or an Arrow table as a plan.

    Raises
    ------
    ArgumentError
        For anything else.
    """
    match other:
        case Combining():
            return other._plan  # noqa: SLF001 - the same class
        case pl.LazyFrame():
            return Scan(source=LazyFrameSource.open(other))
        case pl.DataFrame():
            held_schema(other.schema)
            return Scan(source=MemorySource(canonical(other.to_arrow())))
        case pa.Table():
            return Scan(source=MemorySource(canonical(other)))
    raise ArgumentError(f"{verb} takes a Dataset, a Polars frame or an Arrow table; got {type(other).__name__}")


def concat_plans(plans: Sequence[Plan], how: ConcatMethod) -> Plan:
    """Put plans one after another, with the columns and types that Polars' ``concat`` would give.

    Raises
    ------
    SchemaError
        If their columns do not fit together.
    """
    if how in ("horizontal", "horizontal_extend"):
        return Zip(parts=tuple(plans), pads=how == "horizontal_extend")
    known = [schema for plan in plans if (schema := schema_of(plan)) is not None]
    if len(known) < len(plans) or len(plans) == 1:
        return plans[0] if len(plans) == 1 else Concat(parts=tuple(plans))
    alike = [_with_like_images(schema, known) for schema in known]
    try:
        frames = [pl.LazyFrame(schema=schema.to_polars()) for schema in alike]
        wanted = Schema.from_polars(pl.concat(frames, how=how).collect_schema())
    except pl.exceptions.PolarsError as error:
        raise SchemaError(f"concat: {_what_differs(known) or str(error).splitlines()[0]}") from error
    return Concat(
        parts=tuple(_with_columns_of(plan, schema, wanted) for plan, schema in zip(plans, known, strict=True))
    )


def _what_differs(schemas: Sequence[Schema]) -> str | None:
    """Say which columns the first two schemas do not have in common, which Polars says in many lines."""
    first = schemas[0]
    for number, other in enumerate(schemas[1:], start=2):
        pairs = [(name, _kind_in(first, name), _kind_in(other, name)) for name in {**first, **other}]
        differing = [
            f"{name} is {one} in input 1 and {two} in input {number}" for name, one, two in pairs if one != two
        ]
        if differing:
            advice = "cast or select them, or see how='vertical_relaxed' and how='diagonal_relaxed'"
            return f"inputs have different columns: {'; '.join(differing)}; {advice}"
    return None


def _kind_in(schema: Schema, name: str) -> str:
    return describe(schema[name]) if name in schema else "missing"


def _with_like_images(schema: Schema, schemas: Sequence[Schema]) -> Schema:
    """Make images of different kinds in one column plain images."""

    def kind_of(name: str) -> pa.DataType:
        kinds = {one[name] for one in schemas if name in one}
        mixed = len(kinds) > 1 and all(isinstance(kind, ImageType) for kind in kinds)
        return ImageType() if mixed else schema[name]

    return Schema({name: kind_of(name) for name in schema})


def _with_columns_of(plan: Plan, schema: Schema, wanted: Schema) -> Plan:
    if list(schema.items()) == list(wanted.items()):
        return plan
    types = wanted.to_polars()

    def column(name: str, kind: pa.DataType) -> pl.Expr:
        if name not in schema:
            return pl.lit(None, dtype=types[name]).alias(name)
        if schema[name] == kind:
            return pl.col(name)
        if isinstance(kind, ImageType):
            return pl.col(Chain(name).then(AsImage()).name).alias(name)
        return pl.col(name).cast(types[name])

    exprs = [column(name, kind) for name, kind in wanted.items()]
    return Select(input=plan, expressions=bind(exprs, schema, step="concat"))


def _renamed_apart(parts: Sequence[Plan], plan: Plan) -> Plan:
    """Give columns other names where a plan before has them, as Ray does."""
    schema = schema_of(plan)
    taken = {name for part in parts for name in schema_of(part) or ()}
    clashing = [name for name in schema or () if name in taken]
    if not clashing:
        return plan
    taken |= set(schema or ())
    names: list[tuple[str, str]] = []
    for name in clashing:
        new = next(f"{name}_{number}" for number in range(1, len(taken) + 2) if f"{name}_{number}" not in taken)
        taken.add(new)
        names.append((name, new))
    return Rename(input=plan, names=tuple(names))


def _key_pairs(verb: str, on: Any, left_on: Any, right_on: Any) -> tuple[list[pl.Expr], list[pl.Expr]]:
    if on is not None and (left_on is not None or right_on is not None):
        raise ArgumentError(f"{verb} takes on, or left_on and right_on; not both")
    left = as_exprs([on if left_on is None else left_on]) if on is not None or left_on is not None else []
    right = as_exprs([on if right_on is None else right_on]) if on is not None or right_on is not None else []
    if len(left) != len(right):
        raise ArgumentError(f"{verb} needs as many keys on the right as on the left; got {len(left)} and {len(right)}")
    return left, right


def _bound_keys(verb: str, keys: Sequence[pl.Expr], plan: Plan) -> tuple[Expression, ...]:
    return bind(keys, schema_of(plan), step=verb, are_columns=False)


def _names(by: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if by is None else (by,) if isinstance(by, str) else tuple(by)
