"""A Polars expression as a value that plans can hold, compare and ask questions of."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
import polars.selectors as cs

from lightdata.errors import ColumnNotFoundError, ExpressionError, SchemaError
from lightdata.expr.deferred import Chain, deferred_columns, in_words, is_deferred, parse
from lightdata.expr.remembered import remembered
from lightdata.interrupt import interrupts_deferred
from lightdata.types.image import ImageType
from lightdata.types.operation import AsImage
from lightdata.types.schema import Schema

Statistic = Literal["len", "count", "null_count", "min", "max"]
"""A number of all rows, or of one column, that metadata may tell."""

_CHANGES_LENGTH = ("Filter", "Explode", "DropNulls")
"""Nodes that Polars calls row-separable although they change the number of rows."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Expression:
    """One expression with one result; equal if Polars says it means the same."""

    expr: pl.Expr

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.expr.meta.eq(other.expr)

    def __hash__(self) -> int:
        return hash(self.expr.meta.serialize())

    def __str__(self) -> str:
        text = str(self.expr)
        for chain in self.chains:  # as it was written, not as the deferred column it is
            for shown in (f'col("{chain.name}").alias("{chain.column}")', f'col("{chain.name}")'):
                text = text.replace(shown, str(chain))
        return in_words(text)

    @property
    def name(self) -> str:
        """The name of the result."""
        return in_words(self.expr.meta.output_name())

    @property
    @remembered
    def chains(self) -> tuple[Chain, ...]:
        """The chains it reads, each once."""
        return tuple(dict.fromkeys(deferred_columns(self.expr)))

    @property
    @remembered
    def inputs(self) -> frozenset[str]:
        """The base columns it reads: those inside chains, never the deferred names."""
        plain = {name for name in self.expr.meta.root_names() if not is_deferred(name)}
        return frozenset(plain).union(*(chain.inputs for chain in self.chains))

    @property
    def source(self) -> str | None:
        """The column, real or deferred, that this expression is under perhaps another name; else ``None``."""
        root = self.expr.meta.undo_aliases()
        return root.meta.root_names()[0] if root.meta.is_column() else None

    @property
    def statistic(self) -> tuple[Statistic, str | None] | None:
        """Which plain number of a column this is, perhaps under another name, and of which column; else ``None``.

        >>> Expression(pl.col("x").max().alias("most")).statistic, Expression(pl.len()).statistic
        (('max', 'x'), ('len', None))
        """
        root = self.expr.meta.undo_aliases()
        if root.meta.eq(pl.len()):
            return "len", None
        names = root.meta.root_names()
        if len(names) != 1 or is_deferred(names[0]):
            return None
        column = pl.col(names[0])
        known: dict[Statistic, pl.Expr] = {"min": column.min(), "max": column.max(), "count": column.count()}
        known |= {"len": column.len(), "null_count": column.null_count()}
        return next(((one, names[0]) for one, expr in known.items() if root.meta.eq(expr)), None)

    @property
    def is_constant(self) -> bool:
        """Whether it is a literal: the same value in every row."""
        return self.expr.meta.is_literal(allow_aliasing=True) and self.expr.meta.is_row_separable()

    @property
    @remembered
    def is_elementwise(self) -> bool:
        """Whether each result depends on its own row alone, so that any batch of rows may be computed apart.

        Polars' ``is_row_separable`` looks at one node: it is true for ``a / a.max()`` and for filters. So every
        node is asked.
        """
        if self.source is not None:
            return True
        text = self.expr.meta.serialize(format="json")
        if any(f'"{node}"' in text for node in _CHANGES_LENGTH):
            return False
        try:
            nodes = list(_walk(self.expr))
            separable = all(node.meta.is_row_separable() for node in nodes)
        except pl.exceptions.PolarsError:
            return False  # Polars cannot say what it is made of, so nothing is promised of it
        return separable and any(node.meta.is_column() or node.meta.is_column_selection() for node in nodes)

    def reading(self, names: Mapping[str, str]) -> Expression:
        """Copy it reading other columns, inside chains too; its result keeps its name."""
        read = {name: names[name] for name in self.inputs if names.get(name, name) != name}
        if not read:
            return self
        deferred = {chain.name: chain.renamed(read).name for chain in self.chains}
        return Expression(self.rename_inputs({**read, **deferred}).expr.alias(self.name))

    def rename_inputs(self, names: dict[str, str]) -> Expression:
        """Copy it reading other columns."""
        text = self.expr.meta.serialize(format="json")
        return Expression(_from_json(_renamed(json.loads(text), names)))


def _walk(expr: pl.Expr) -> Iterator[pl.Expr]:
    yield expr
    for child in expr.meta.pop():
        yield from _walk(child)


def bind(
    exprs: Iterable[pl.Expr],
    schema: Schema | None,
    *,
    step: str,
    are_columns: bool = True,
    unselected: Collection[str] = (),
) -> tuple[Expression, ...]:
    """Turn a user's expressions into single-result expressions over the columns of ``schema``.

    Selectors (``pl.all()``, ``cs.numeric()``, ``exclude``, ``nth``, patterns) are spelled out against the columns a
    user sees, so that they never pick up a deferred one. With an unknown schema they are left for the first batch.

    Parameters
    ----------
    exprs, schema, step
        What to bind, over which columns, for which verb.
    are_columns : bool
        Whether results become columns of one table, so that no two may have one name; keys to sort by do not.
    unselected : collection of str
        Columns that selectors leave out unless they name them, such as the keys of a group.

    Raises
    ------
    ExpressionError
        If an expression cannot be spelled out, or two results have one name.
    ColumnNotFoundError
        If a column does not exist.
    """
    bound = [one for expr in exprs for one in _spell_out(expr, schema, step, unselected)]
    if schema is not None:
        bound = [_unify_images(expression, schema) for expression in bound]
        for expression in bound:
            for name in sorted(expression.inputs):
                if name not in schema:
                    raise ColumnNotFoundError.for_step(name, step=step, available=schema.names)
        if are_columns:
            _refuse_duplicates([expression.name for expression in bound], step)
    return tuple(bound)


def _unify_images(expression: Expression, schema: Schema) -> Expression:
    """Let images of different modes and sizes meet in one expression (when/then, coalesce, fill_null) as plain images.

    Polars refuses to mix extension types with different metadata.
    """
    names = expression.expr.meta.root_names() if expression.source is None else []
    chains = {name: parse(name) if is_deferred(name) else Chain(name) for name in names}
    if not all(chain.inputs <= schema.keys() for chain in chains.values()):
        return expression
    images = {name: kind for name, chain in chains.items() if isinstance(kind := chain.type_in(schema), ImageType)}
    if len(set(images.values())) < 2:  # noqa: PLR2004 - nothing to unify
        return expression
    fixed = [name for name, kind in images.items() if kind.spec.is_fixed]
    unified = expression.rename_inputs({name: chains[name].then(AsImage()).name for name in fixed})
    return Expression(unified.expr.alias(expression.name))


def _refuse_duplicates(names: Sequence[str], step: str) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ExpressionError(f"{step} makes two columns named {twice[0]!r}; give one another name with .alias()")


def _spell_out(expr: pl.Expr, schema: Schema | None, step: str, unselected: Collection[str]) -> list[Expression]:
    text = expr.meta.serialize(format="json")
    if '"KeepName"' in text and any(deferred_columns(expr)):
        raise ExpressionError(
            f"{step}: .name.keep() does not work on image operations; use .alias() to name the result"
        )
    if '"Selector"' not in text or schema is None:
        return [Expression(expr)]
    tree = json.loads(text)
    frame = pl.DataFrame(schema=schema.to_polars())
    fewer = frame.drop(unselected, strict=False)
    picked = {json.dumps(node): _expand(node, frame if "ByName" in node else fewer, step) for node in _selectors(tree)}
    if not picked:
        return [Expression(expr)]  # the word stood in a literal
    results = _Results(_frame_to_ask(expr, schema, step), picked, step)
    tree = _spliced(tree, results)
    count = results.count(tree)
    return [Expression(_from_json(_replaced(tree, picked, index if count > 1 else None))) for index in range(count)]


def _frame_to_ask(expr: pl.Expr, schema: Schema, step: str) -> pl.LazyFrame:
    """Give an empty frame of the visible and the deferred columns; images of any kind may meet in it."""
    chains = set(deferred_columns(expr))
    for name in sorted(frozenset().union(*(chain.inputs for chain in chains))):
        if name not in schema:
            raise ColumnNotFoundError.for_step(name, step=step, available=schema.names)
    types = {**schema, **{chain.name: chain.type_in(schema) for chain in chains}}
    alike = {name: ImageType() if isinstance(kind, ImageType) else kind for name, kind in types.items()}
    return Schema(alike).empty_frame()


@dataclass(frozen=True, slots=True)
class _Results:
    """How many results an expression with selectors has, by asking Polars."""

    frame: pl.LazyFrame
    picked: dict[str, tuple[str, ...]]
    step: str

    def count(self, tree: Any) -> int:
        """Count the results of an expression."""
        try:
            return len(self.frame.select(_from_json(_replaced(tree, self.picked, None))).collect_schema())
        except pl.exceptions.PolarsError as error:
            raise ExpressionError(f"{self.step}: {in_words(str(error)).splitlines()[0]}") from error

    def are_one_call(self, tree: Any) -> bool:
        """Whether selectors of several columns under a call give one result: all their columns are arguments."""
        if all(len(self.picked[json.dumps(selector)]) == 1 for selector in _selectors(tree)):
            return False
        try:
            return self.count(tree) == 1
        except ExpressionError:  # several results of one name: alone it is wrong, in its place it may not be
            return False

    def each(self, tree: Any) -> list[Any]:
        """List the results that one argument stands for."""
        sizes = [len(self.picked[json.dumps(selector)]) for selector in _selectors(tree)]
        return [_replaced(tree, self.picked, index) for index in range(max(sizes))] if sizes else [tree]


def _spliced(tree: Any, results: _Results) -> Any:
    """Spell selectors out where all their columns are arguments of one call, as in ``sum_horizontal``."""
    match tree:
        case {"Selector": _} if len(tree) == 1:
            return tree
        case dict():
            tree = {key: _spliced(child, results) for key, child in tree.items()}
        case list():
            tree = [_spliced(child, results) for child in tree]
    match tree:
        case {"Function": {"input": arguments}} if results.are_one_call(tree):
            each = [one for argument in arguments for one in results.each(argument)]
            return {"Function": {**tree["Function"], "input": each}}
    return tree


def _expand(selector: Any, frame: pl.DataFrame, step: str) -> tuple[str, ...]:
    try:
        return cs.expand_selector(frame, _from_json({"Selector": selector}).meta.as_selector())
    except pl.exceptions.ColumnNotFoundError:
        names = selector.get("ByName", {}).get("names", []) if isinstance(selector, dict) else []
        missing = next((name for name in names if name not in frame.columns), str(selector))
        raise ColumnNotFoundError.for_step(missing, step=step, available=frame.columns) from None


def _selectors(tree: Any) -> Iterator[Any]:
    match tree:
        case {"Selector": selector} if len(tree) == 1:
            yield selector
        case dict():
            for child in tree.values():
                yield from _selectors(child)
        case list():
            for child in tree:
                yield from _selectors(child)


def _replaced(tree: Any, picked: dict[str, tuple[str, ...]], index: int | None) -> Any:
    """Put columns where selectors were: all of them, or the ``index``-th of those that give several results."""
    match tree:
        case {"Selector": selector} if len(tree) == 1:
            names = picked[json.dumps(selector)]
            if index is None and len(names) != 1:
                return {"Selector": {"ByName": {"names": list(names), "strict": True}}}
            return {"Column": names[(index or 0) % len(names)]}
        case dict():
            return {key: _replaced(child, picked, index) for key, child in tree.items()}
        case list():
            return [_replaced(child, picked, index) for child in tree]
    return tree


def _renamed(tree: Any, names: dict[str, str]) -> Any:
    match tree:
        case {"Column": str(name)} if len(tree) == 1:
            return {"Column": names.get(name, name)}
        case dict():
            return {key: _renamed(child, names) for key, child in tree.items()}
        case list():
            return [_renamed(child, names) for child in tree]
    return tree


def _from_json(tree: Any) -> pl.Expr:
    try:
        return pl.Expr.deserialize(io.StringIO(json.dumps(tree)), format="json")
    except pl.exceptions.ComputeError as error:  # JSON has no number for them
        raise ExpressionError(
            "an infinite or NaN number cannot stand beside selectors or renamed columns; "
            'write it as pl.lit("inf").cast(pl.Float64)'
        ) from error


def result_schema(expressions: Sequence[Expression], schema: Schema, *, step: str, keep: bool) -> Schema:
    """Ask Polars for the schema of a select (``keep`` false) or of with_columns, over visible and deferred columns.

    Raises
    ------
    SchemaError
        If types do not fit.
    """
    chains = {chain for expression in expressions for chain in expression.chains}
    deferred = {chain.name: chain.type_in(schema) for chain in chains}
    frame = schema.widened(deferred).empty_frame()
    exprs = [expression.expr for expression in expressions]
    try:
        with interrupts_deferred():  # Polars asks extension types in Python
            found = (frame.with_columns(exprs) if keep else frame.select(exprs)).collect_schema()
    except pl.exceptions.PolarsError as error:
        raise SchemaError(f"{step}: {in_words(str(error)).splitlines()[0]}") from error
    return Schema.from_polars({name: dtype for name, dtype in found.items() if name not in deferred})
