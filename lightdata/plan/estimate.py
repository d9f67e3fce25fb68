"""How many rows each step gives, and of how many bytes, as far as the plan tells before it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lightdata.errors import LightdataError
from lightdata.io.source import Extent
from lightdata.plan.node import (
    DecodeImages,
    Drop,
    Filter,
    Infer,
    Limit,
    MapBatches,
    MapRows,
    Plan,
    ReadFiles,
    Rename,
    Scan,
    Select,
    SplitFrames,
    WithColumns,
    Write,
)
from lightdata.plan.relational import (
    Cache,
    Concat,
    Explode,
    GroupBy,
    Join,
    JoinAsof,
    Pivot,
    RandomShuffle,
    Sample,
    Slice,
    Sort,
    Unique,
    Unpivot,
    WithRowIndex,
    Zip,
)
from lightdata.plan.row_bytes import row_bytes
from lightdata.plan.schema import schema_of

ExtentOf = Callable[[Scan], Extent]
"""How much a source holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What is known of the rows of a step before they are made."""

    rows: int | None = None
    """``None`` where nothing is known."""

    is_exact: bool = True
    """Whether there are so many rows, and not perhaps fewer."""

    row_bytes: float | None = None
    """Mean bytes of a row; ``None`` where the columns are not known."""

    widths: Mapping[str, float] = field(default_factory=dict)
    """Mean bytes of the values of columns whose type does not tell."""

    file_bytes: float | None = None
    """Mean bytes of the files that rows name."""

    def __str__(self) -> str:
        if self.rows is None:
            return "?"
        bound = "" if self.is_exact else "<= "
        rows = f"{bound}{self.rows:,} row{'' if self.rows == 1 else 's'}"
        return rows if self.row_bytes is None else f"{rows}, {bound}{_bytes_in_words(self.rows * self.row_bytes)}"


_UNKNOWN = Estimate()


def planned_extent(scan: Scan) -> Extent:
    """Ask a source how much it holds; what is wrong with it is said when it is read."""
    try:
        return scan.source.extent()
    except LightdataError:
        return Extent()


def estimate(plan: Plan, extent_of: ExtentOf = planned_extent) -> Estimate:
    """Estimate the rows of a plan.

    >>> from lightdata.io.memory import RangeSource
    >>> print(estimate(Limit(input=Scan(source=RangeSource(9)), n=2)))
    2 rows, 16 B
    """
    return estimates(plan, extent_of)[id(plan)]


def estimates(plan: Plan, extent_of: ExtentOf = planned_extent) -> dict[int, Estimate]:
    """Estimate the rows of every step of a plan, by its ``id``; each source is asked once."""
    found: dict[int, Estimate] = {}
    extents: dict[int, Extent] = {}

    def extent_once(scan: Scan) -> Extent:
        if id(scan.source) not in extents:
            extents[id(scan.source)] = extent_of(scan)
        return extents[id(scan.source)]

    def visit(step: Plan) -> Estimate:
        if id(step) not in found:
            before = [visit(one) for one in step.inputs]
            rows = _scanned(step, extent_once(step)) if isinstance(step, Scan) else _rows(step, before)
            found[id(step)] = _with_bytes(step, rows, before)
        return found[id(step)]

    visit(plan)
    return found


def _scanned(scan: Scan, extent: Extent) -> Estimate:
    is_exact = extent.is_exact and scan.pushdowns.predicate is None
    known = Estimate(rows=extent.rows, is_exact=is_exact, widths=extent.widths, file_bytes=extent.file_bytes)
    # A source that is told to stop is counted as if it did so at once; where it does not, a limit follows.
    n_rows = scan.pushdowns.n_rows
    return known if n_rows is None else _at_most(n_rows, known)


def _rows(step: Plan, before: Sequence[Estimate]) -> Estimate:
    """Estimate rows from those of the inputs."""
    match step:
        case ReadFiles(on_error="skip") | DecodeImages(on_error="skip") | Infer(on_error="skip") | Filter():
            return replace(before[0], is_exact=False)
        case MapRows(kind="filter") | MapRows(kind="map", on_error="skip"):
            return replace(before[0], is_exact=False)
        case ReadFiles() | DecodeImages() | WithColumns() | Drop() | Rename() | Infer() | MapRows(kind="map"):
            return before[0]
        case Select():
            return _selected(step, before[0])
        case Limit(n=n):
            return _at_most(n, before[0])
        case SplitFrames() | MapRows() | MapBatches() | Write():
            return _UNKNOWN
    return _rows_of_tables(step, before)


def _rows_of_tables(step: Plan, before: Sequence[Estimate]) -> Estimate:
    match step:
        case Sort() | WithRowIndex() | RandomShuffle() | Cache() | JoinAsof():
            return before[0]
        case Slice(offset=offset, length=length):
            return _sliced(before[0], offset, length)
        case Sample():
            return _sampled(step, before[0])
        case Unique() | GroupBy() | Pivot():
            return replace(before[0], is_exact=False)
        case Explode():
            return _UNKNOWN
        case Unpivot(on=on):
            return _times(before[0], len(on))
        case Join():
            return _joined(step, *before)
        case Concat() | Zip():
            return _gathered(step, before)
    raise TypeError(f"no estimate for {type(step).__name__}; add a case to {__name__}")


def _at_most(n: int, known: Estimate) -> Estimate:
    if known.rows is None:
        return replace(known, rows=n, is_exact=n == 0)
    return replace(known, rows=min(n, known.rows), is_exact=known.is_exact or n == 0)


def _times(known: Estimate, factor: int) -> Estimate:
    return known if known.rows is None else replace(known, rows=known.rows * factor)


def _selected(step: Select, before: Estimate) -> Estimate:
    if schema_of(step.input) is None:
        return replace(before, rows=None)
    rowwise = [one.is_elementwise for one in step.expressions]
    if all(one.statistic is not None or one.is_constant for one in step.expressions):
        return replace(before, rows=1, is_exact=True)
    if not any(rowwise):
        return replace(before, rows=None)  # sums are one row, and what else Polars can do is any number
    rest = [one for one, row in zip(step.expressions, rowwise, strict=True) if not row]
    return replace(before, is_exact=before.is_exact and all(one.is_constant for one in rest))


def _sliced(before: Estimate, offset: int, length: int | None) -> Estimate:
    if before.rows is None or not before.is_exact:
        return before if length is None else _at_most(length, replace(before, is_exact=False))
    start = offset if offset >= 0 else before.rows + offset
    stop = before.rows if length is None else start + length
    inside = [min(max(place, 0), before.rows) for place in (start, stop)]
    return replace(before, rows=max(inside[1] - inside[0], 0))


def _sampled(step: Sample, before: Estimate) -> Estimate:
    if step.n is not None and not step.with_replacement:
        return _at_most(step.n, before)
    if step.n is not None:
        return replace(before, rows=step.n, is_exact=False)  # of no rows none can be drawn
    if before.rows is None or step.fraction is None:
        return replace(before, rows=None)
    return replace(before, rows=int(before.rows * step.fraction))


def _joined(step: Join, left: Estimate, right: Estimate) -> Estimate:
    match step:
        case Join(how="cross") if left.rows is not None and right.rows is not None:
            return replace(left, rows=left.rows * right.rows, is_exact=left.is_exact and right.is_exact)
        case Join(how="semi" | "anti") | Join(how="left" | "inner", validate="m:1" | "1:1"):
            return replace(left, is_exact=False)
    return _UNKNOWN


def _gathered(step: Concat | Zip, before: Sequence[Estimate]) -> Estimate:
    known = [one.rows for one in before if one.rows is not None]
    is_exact = all(one.is_exact for one in before)
    if len(known) < len(before):
        return _UNKNOWN
    match step:
        case Concat():
            return Estimate(rows=sum(known), is_exact=is_exact)
        case Zip(pads=True):
            return Estimate(rows=max(known), is_exact=is_exact)
    return Estimate(rows=min(known), is_exact=is_exact and len(set(known)) == 1)


def _with_bytes(step: Plan, rows: Estimate, before: Sequence[Estimate]) -> Estimate:
    """Add the widths of columns, as far as they are known of the inputs, and the bytes of a row."""
    widths = {name: width for one in reversed(before) for name, width in one.widths.items()}
    files = next((one.file_bytes for one in before if one.file_bytes is not None), rows.file_bytes)
    match step:
        case Scan():
            widths = dict(rows.widths)
        case ReadFiles(column=column):
            widths = {**widths, **({} if files is None else {column: files})}
        case Rename(names=names):
            new = dict(names)
            widths = {new.get(name, name): width for name, width in widths.items()}
        case Select(expressions=expressions) | WithColumns(expressions=expressions):
            kept = {} if isinstance(step, Select) else dict(widths)
            made = {one.name: widths[one.source] for one in expressions if one.source in widths}
            widths = {name: width for name, width in kept.items() if name not in {one.name for one in expressions}}
            widths |= made
    schema = schema_of(step)
    width = None if schema is None else row_bytes(schema, widths)
    return replace(rows, widths=widths, file_bytes=files, row_bytes=width)


def _bytes_in_words(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5:  # noqa: PLR2004 - what rounds to three digits
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.0f} PB"
