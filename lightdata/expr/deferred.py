"""Pixel operations as columns that do not exist yet.

``pl.col("image").image.resize(8, 8)`` is the plain Polars expression ``pl.col(NAME).alias("image")``. NAME is the
chain in words behind a reserved mark, ``image.resize(height=8, width=8)``, then a hint for whoever meets it in a frame
without that column. A small grammar reads the words back::

    chain     = column { "." operation }
    column    = identifier | JSON string
    operation = word "(" [ key "=" value { ", " key "=" value } ] ")"
    value     = JSON value | "col(" chain ")"

So chains compose with every Polars operator, and pickle, compare and hash by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from lightdata.config import config
from lightdata.errors import ArgumentError, ExpressionError, SchemaError
from lightdata.types import operation as ops
from lightdata.types import tensor_operation as tensor_ops
from lightdata.types.operation import Operation
from lightdata.types.result_type import output_type
from lightdata.types.uri_operation import ReadUri, WriteUri

if TYPE_CHECKING:
    import polars as pl

MARK = "\u2063"
"""Starts the name of every deferred column: an invisible separator, so that words print as words."""

_HINT = f"{MARK}, an operation of lightdata: do it on the Dataset, before to_lazy()"
"""Ends the name of every deferred column: what Polars shows of one in a frame that has none."""

_IDENTIFIER = re.compile(r"[^\W\d]\w*")

ATTRIBUTES = ("width", "height", "channels", "mode", "format", "n_frames", "exif")

_CONSTRUCTORS: dict[str, Callable[..., Operation]] = {
    "decode": ops.Decode,
    "resize": ops.Resize,
    "resize_shortest": ops.ResizeShortest,
    "crop": ops.Crop,
    "center_crop": ops.CenterCrop,
    "pad": ops.Pad,
    "letterbox": ops.Letterbox,
    "flip_left_right": ops.FlipLeftRight,
    "flip_up_down": ops.FlipUpDown,
    "rotate": ops.Rotate,
    "to_mode": ops.ToMode,
    "exif_transpose": ops.ExifTranspose,
    "as_image": ops.AsImage,
    "encode": ops.Encode,
    "to_tensor": ops.ToTensor,
    "cast": tensor_ops.Cast,
    "reshape": tensor_ops.Reshape,
    "transpose": tensor_ops.Transpose,
    "normalize": tensor_ops.Normalize,
    "cosine_similarity": tensor_ops.CosineSimilarity,
    "read": ReadUri,
    "write": WriteUri,
    **{name: partial(ops.Attribute, name=name) for name in ATTRIBUTES},
    **{name: partial(tensor_ops.Reduce, function=name) for name in ("argmax", "mean", "norm")},
}

_WORDS = {made: word for word, made in _CONSTRUCTORS.items() if isinstance(made, type)}


@dataclass(frozen=True, slots=True)
class Chain:
    """Operations on a base column, in order."""

    column: str
    operations: tuple[Operation, ...] = ()

    @property
    def name(self) -> str:
        """The name of the deferred column."""
        return f"{MARK}{self}{_HINT}"

    @property
    def inputs(self) -> frozenset[str]:
        """The base columns that must exist."""
        named = {name for step in self.operations if isinstance(step, WriteUri) for name in step.name_columns}
        return frozenset({self.column}).union(named, *(other.inputs for other in self._others))

    @property
    def _others(self) -> tuple[Chain, ...]:
        others = [step.other for step in self.operations if isinstance(step, tensor_ops.CosineSimilarity)]
        return tuple(other for other in others if isinstance(other, Chain))

    @property
    def reads(self) -> tuple[Chain, ...]:
        """The readings of files that it begins with, or that what it compares with does: chains of one operation."""
        first = self.operations[:1]
        mine = (Chain(self.column, first),) if first and isinstance(first[0], ReadUri) else ()
        return (*mine, *(read for other in self._others for read in other.reads))

    @property
    def is_write(self) -> bool:
        """Whether it writes files: it must run exactly once for each row."""
        return bool(self.operations) and isinstance(self.operations[-1], WriteUri)

    @property
    def is_attribute(self) -> bool:
        """Whether the answer is in the header of the file: no operation but the question."""
        return len(self.operations) == 1 and isinstance(self.operations[0], ops.Attribute)

    def then(self, operation: Operation) -> Chain:
        """Add an operation."""
        return Chain(self.column, (*self.operations, operation))

    def renamed(self, names: Mapping[str, str]) -> Chain:
        """Copy it starting at other columns, by a mapping of old to new names."""
        return Chain(names.get(self.column, self.column), tuple(_renamed(step, names) for step in self.operations))

    def type_in(self, schema: dict[str, pa.DataType] | Any) -> pa.DataType:
        """Give the type of the result.

        Raises
        ------
        SchemaError
            If an operation does not apply.
        """
        try:
            return output_type(self.operations, schema[self.column])
        except SchemaError as error:
            raise SchemaError(f"{self}: {error}") from None

    def __str__(self) -> str:
        column = self.column if _IDENTIFIER.fullmatch(self.column) else json.dumps(self.column)
        return ".".join([column, *(_operation_words(step) for step in self.operations)])


def _renamed(step: Operation, names: Mapping[str, str]) -> Operation:
    match step:
        case tensor_ops.CosineSimilarity(other=Chain() as other):
            return replace(step, other=other.renamed(names))
        case WriteUri(name_columns=columns) if names.keys() & set(columns):
            return replace(step, columns=tuple(names.get(name, name) for name in columns))
    return step


def _operation_words(operation: Operation) -> str:
    arguments = dict(operation.arguments())
    match operation:
        case ops.Attribute(name=word):
            arguments.pop("name")
        case tensor_ops.Reduce(function=word):
            arguments.pop("function")
        case _:
            word = _WORDS[type(operation)]
    return f"{word}({', '.join(f'{key}={_value_words(value)}' for key, value in arguments.items())})"


def _value_words(value: Any) -> str:
    return f"col({value})" if isinstance(value, Chain) else json.dumps(value, default=_plain_number)


def _plain_number(value: Any) -> int | float:
    if isinstance(value, np.generic):
        return value.item()
    raise ArgumentError(f"{value!r} cannot be an argument of an image or tensor operation")


@lru_cache(maxsize=4096)
def parse(name: str) -> Chain:
    """Read a deferred column's name back.

    >>> parse(Chain("my image", (ops.Resize(height=8, width=9),)).name).operations
    (Resize(height=8, width=9, interpolation='bilinear'),)
    """
    text = name.removeprefix(MARK).removesuffix(_HINT)
    try:
        chain, rest = _parse_chain(text)
    except (LookupError, TypeError, ValueError) as error:
        raise ExpressionError(f"not the name of a deferred column: {in_words(text)!r}") from error
    if rest or MARK in chain.column:
        raise ExpressionError(f"not the name of a deferred column: {in_words(text)!r}")
    return chain


def _parse_chain(text: str) -> tuple[Chain, str]:
    if text.startswith('"'):
        column, end = json.JSONDecoder().raw_decode(text)
        rest = text[end:]
    else:
        column, rest = _word(text)
    operations = []
    while rest.startswith("."):
        word, rest = _word(rest[1:])
        arguments, rest = _parse_arguments(rest.removeprefix("("))
        operations.append(_CONSTRUCTORS[word](**arguments))
    return Chain(column, tuple(operations)), rest


def _parse_arguments(rest: str) -> tuple[dict[str, Any], str]:
    arguments: dict[str, Any] = {}
    while not rest.startswith(")"):
        value: Any
        key, rest = _word(rest)
        rest = rest.removeprefix("=")
        if rest.startswith("col("):
            value, rest = _parse_chain(rest.removeprefix("col("))
            rest = rest.removeprefix(")")
        else:
            value, end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:]
        arguments[key] = tuple(value) if isinstance(value, list) else value
        rest = rest.removeprefix(", ")
    return arguments, rest[1:]


def _word(text: str) -> tuple[str, str]:
    found = _IDENTIFIER.match(text)
    if found is None:
        raise ValueError(text)
    return found.group(), text[found.end() :]


def is_deferred(name: str) -> bool:
    """Whether a column name stands for a chain."""
    return name.startswith(MARK)


def in_words(text: str) -> str:
    """Take the marks out of a message of Polars, and the hints: here they are not needed."""
    plain = text.replace("\\u{2063}", MARK)
    return plain.replace(_HINT, "").replace(MARK, "")


def chain_of(expr: pl.Expr, accessor: str) -> tuple[Chain, str]:
    """Read the chain that an expression is so far, and the name of its result.

    Raises
    ------
    ExpressionError
        If the expression is not one column, perhaps with image operations.
    """
    root = expr.meta.undo_aliases()
    keeps_name = '"KeepName"' in expr.meta.serialize(format="json")
    if keeps_name or not root.meta.is_column():
        raise ExpressionError(
            f".{accessor} works on one column at a time, not on {in_words(str(expr))}; "
            "name it first with with_columns, then use that column"
        )
    name = root.meta.root_names()[0]
    if MARK in name.removesuffix(_HINT).removeprefix(MARK):
        raise ExpressionError(f"column {in_words(name)!r} has a reserved, invisible character in its name; rename it")
    return (parse(name) if is_deferred(name) else Chain(name)), in_words(expr.meta.output_name())


def extend(expr: pl.Expr, operation: Operation, accessor: str) -> pl.Expr:
    """Add an operation to the chain an expression is."""
    import polars as pl  # noqa: PLC0415 - workers know chains, and mostly no Polars

    chain, output = chain_of(expr, accessor)
    last = chain.operations[-1] if chain.operations else None
    written = isinstance(last, ops.Encode) and isinstance(operation, WriteUri)
    if isinstance(last, ops.Attribute | ops.Encode | WriteUri) and not written:
        raise ExpressionError(f"{chain} ends a chain; nothing can follow it")
    return pl.col(chain.then(operation).name).alias(output)


def checked_on_error(on_error: Literal["raise", "null"] | None) -> Literal["raise", "null"]:
    """Say what becomes of a row that fails, as configured where an operation does not say.

    Rows are never left out of an expression: where the configuration would leave them out, they give null.

    Raises
    ------
    ArgumentError
        If it is neither "raise" nor "null".
    """
    if on_error is None:
        return "raise" if config().on_error == "raise" else "null"
    if on_error not in ("raise", "null"):
        raise ArgumentError(f"on_error must be 'raise' or 'null' in an expression; got {on_error!r}")
    return on_error


def deferred_columns(expr: pl.Expr) -> Iterator[Chain]:
    """List the chains an expression reads."""
    for name in expr.meta.root_names():
        if is_deferred(name):
            yield parse(name)
