"""The steps of a query: frozen values, each its arguments and the step before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from operator import is_
from typing import TYPE_CHECKING, Any, Literal, Self

from lightdata.expr.expression import Expression
from lightdata.io.source import OnError, Pushdowns, Source
from lightdata.plan.function import UserFunction
from lightdata.types.schema import Schema

if TYPE_CHECKING:
    # Only for fields of steps that not every query has.
    from lightdata.inference.model import Model
    from lightdata.io.sinks.sink import Sink

BatchFormat = Literal["numpy", "pandas", "pyarrow", "polars"]


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Plan:
    """A step and, through its input, everything before it."""

    @property
    def inputs(self) -> tuple[Plan, ...]:
        """The steps this one reads from."""
        values = (getattr(self, name) for name in self.__dataclass_fields__)
        return tuple(
            step for value in values for step in (value if isinstance(value, tuple) else (value,)) if _is_plan(step)
        )

    def map_inputs(self, change: Callable[[Plan], Plan]) -> Self:
        """Copy this step with every input changed; return ``self`` if none changed."""
        changed = {}
        for name in self.__dataclass_fields__:
            before = getattr(self, name)
            match before:
                case Plan():
                    after: Any = change(before)
                case (Plan(), *_):
                    after = tuple(map(change, before))
                    after = before if all(map(is_, before, after)) else after
                case _:
                    continue
            if after is not before:
                changed[name] = after
        return replace(self, **changed) if changed else self

    def walk(self) -> Iterator[Plan]:
        """List this step and all before it, last first."""
        yield self
        for step in self.inputs:
            yield from step.walk()


def _is_plan(value: Any) -> bool:
    return isinstance(value, Plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(Plan):
    """Take the rows of a source."""

    source: Source
    pushdowns: Pushdowns = field(default_factory=Pushdowns)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFiles(Plan):
    """Add the bytes of the file that each path names."""

    input: Plan
    path: str
    """Column of paths or URLs."""

    column: str
    """Column to add: large binary."""

    filesystem: Any = None
    on_error: OnError = "raise"
    only_heads: bool = False
    """Whether nobody asks for more than the headers of images, so that the rest of a file need not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeImages(Plan):
    """Turn a column of encoded bytes into images, upright; of images, find those that cannot be decoded."""

    input: Plan
    column: str
    mode: str | None = None
    size: tuple[int, int] | None = None
    """Height and width, pixels."""

    exif_transpose: bool = True
    on_error: OnError = "raise"


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFrames(Plan):
    """Turn a column of encoded bytes into images, one row for each frame, and add the number of the frame."""

    input: Plan
    column: str
    frame: str = "frame"
    """Column to add: int64, from 0 on."""

    exif_transpose: bool = True
    on_error: OnError = "raise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Select(Plan):
    """Keep only the results of expressions."""

    input: Plan
    expressions: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithColumns(Plan):
    """Add or replace columns."""

    input: Plan
    expressions: tuple[Expression, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter(Plan):
    """Keep the rows of ``input`` where ``predicate`` is true."""

    input: Plan
    predicate: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop(Plan):
    """Leave columns out."""

    input: Plan
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename(Plan):
    """Give columns other names."""

    input: Plan
    names: tuple[tuple[str, str], ...]
    """Pairs of old and new name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit(Plan):
    """Keep the first ``n`` rows."""

    input: Plan
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRows(Plan):
    """Call a user's function on each row."""

    input: Plan
    function: UserFunction
    kind: Literal["map", "flat_map", "filter"]
    schema: Schema | None = None
    concurrency: int | None = None
    on_error: OnError = "raise"


@dataclass(frozen=True, slots=True, kw_only=True)
class MapBatches(Plan):
    """Call a user's function on batches of rows."""

    input: Plan
    function: UserFunction
    batch_rows: int | None = None
    """Rows of every batch but the last; ``None`` for whatever is at hand."""

    batch_format: BatchFormat = "numpy"
    input_columns: tuple[str, ...] | None = None
    schema: Schema | None = None
    concurrency: int | None = None
    on_error: OnError = "raise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Infer(Plan):
    """Add the outputs of a model."""

    input: Plan
    columns: tuple[str, ...]
    """What the model looks at: one column for each of its inputs, images for most."""

    model: Model
    on_error: OnError = "raise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(Plan):
    """Write rows to files; the result is one row for each file."""

    input: Plan
    sink: Sink
    directory: str
    """Where files wait to be committed."""

    multiple_of: int = 1
    """What the rows of a task must be a multiple of, but for the last."""
