"""Steps in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lightdata.expr.expression import Expression
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
    Relational,
    Sample,
    Slice,
    Sort,
    Unique,
    Unpivot,
    WithRowIndex,
    Zip,
)
from lightdata.types.operation import Letterbox, Resize

if TYPE_CHECKING:
    from lightdata.inference.model import ImageInput  # only for queries with a model


def step_name(plan: Plan) -> str:
    """Give the verb that users know a step by."""
    match plan:
        case ReadFiles():
            return "read_files"
        case DecodeImages():
            return "decode"
        case MapBatches(function=function):
            return f"map_batches({function.name})"
        case MapRows(kind=kind, function=function):
            return f"{kind}({function.name})"
        case Infer(model=model):
            return model.verb
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in type(plan).__name__).lstrip("_")


def describe_step(plan: Plan) -> str:
    """Write one step in a line."""
    match plan:
        case Scan():
            return _describe_scan(plan)
        case ReadFiles() | DecodeImages() | SplitFrames():
            return _describe_reading(plan)
        case Select(expressions=expressions):
            return f"select {_list(expressions)}"
        case WithColumns(expressions=expressions):
            return f"with_columns {_list(expressions)}"
        case Filter(predicate=predicate):
            return f"filter {predicate}"
        case Drop(columns=columns):
            return f"drop {', '.join(columns)}"
        case Rename(names=names):
            return f"rename {', '.join(f'{old} -> {new}' for old, new in names)}"
        case Limit(n=n):
            return f"limit {n}"
        case Relational() | Concat() | Zip() | Cache():
            return _describe_tables(plan)
        case _:
            return _describe_work(plan)


def _describe_rows(plan: Plan) -> str:
    match plan:
        case Sort():
            return f"sort by {_sort_keys(plan)}"
        case Slice(offset=offset, length=length):
            return f"slice from {offset}{'' if length is None else f', {length} rows'}"
        case WithRowIndex(name=name):
            return f"with_row_index {name}"
        case Sample(n=n, fraction=fraction):
            how = ", with replacement" * plan.with_replacement + ", shuffled" * plan.shuffle
            return f"sample {f'{fraction:.6g} of the rows' if n is None else f'{n} rows'}{how}{_seed(plan.seed)}"
        case RandomShuffle(seed=seed):
            return f"random_shuffle{_seed(seed)}"
        case Unique(subset=subset, keep=keep):
            return f"unique{'' if subset is None else f' by {_list(subset)}'}, keep {keep}"
        case Explode(columns=columns):
            return f"explode {', '.join(columns)}"
    raise TypeError(f"no words for {type(plan).__name__}; add a case to {__name__}")


def _sort_keys(plan: Sort) -> str:
    ways = zip(plan.by, plan.descending, plan.nulls_last, strict=True)
    return ", ".join(f"{key}{' descending' * down}{' nulls last' * last}" for key, down, last in ways)


def _seed(seed: int | None) -> str:
    return "" if seed is None else f", seed {seed}"


def _describe_tables(plan: Plan) -> str:
    match plan:
        case Join(how="cross"):
            return "join cross"
        case Join(how=how, left_on=left_on, right_on=right_on):
            return f"join {how} on {_pairs(left_on, right_on)}"
        case JoinAsof(left_on=left, right_on=right, strategy=strategy):
            return f"join_asof {strategy} on {_pairs((left,), (right,))}"
        case GroupBy(keys=keys, aggs=aggs):
            return f"group_by {_list(keys)}: {_list(aggs)}"
        case Pivot(on=on, values=values):
            return f"pivot {', '.join(values)} by {on}"
        case Unpivot(on=on):
            return f"unpivot {', '.join(on)}"
        case Concat(parts=parts):
            return f"concat of {len(parts)}"
        case Zip(parts=parts):
            return f"zip of {len(parts)}"
        case Cache(number=number):
            return f"rows {number}, made once"
    return _describe_rows(plan)


def _pairs(left: Sequence[Expression], right: Sequence[Expression]) -> str:
    return ", ".join(f"{one}" if one == other else f"{one} = {other}" for one, other in zip(left, right, strict=True))


def _describe_scan(plan: Scan) -> str:
    columns, n_rows = plan.pushdowns.columns, plan.pushdowns.n_rows
    only = "" if columns is None else f", only {', '.join(columns) or 'row counts'}"
    first = "" if n_rows is None else f", first {n_rows} rows"
    where = plan.pushdowns.predicate
    return f"scan {plan.source}{only}{first}{'' if where is None else f', parts that may have {where}'}"


def _describe_reading(plan: ReadFiles | DecodeImages | SplitFrames) -> str:
    held = "" if isinstance(plan, ReadFiles) or plan.exif_transpose else ", as the camera was held"
    if isinstance(plan, ReadFiles):
        return f"read {'heads of ' * plan.only_heads}files {plan.path} -> {plan.column}{_on_error(plan.on_error)}"
    if isinstance(plan, SplitFrames):
        return f"split {plan.column} into frames -> {plan.frame}{held}{_on_error(plan.on_error)}"
    how = [plan.mode, None if plan.size is None else f"{plan.size[0]}x{plan.size[1]}"]
    how.append(None if plan.exif_transpose else "as the camera was held")
    words = ", ".join(word for word in how if word)
    return f"decode {plan.column}{f' as {words}' if words else ''}{_on_error(plan.on_error)}"


def _describe_work(plan: Plan) -> str:
    match plan:
        case MapRows(kind=kind, function=function):
            return f"{kind} {function.name}(row){_on_error(plan.on_error)}"
        case MapBatches(function=function, batch_rows=rows, batch_format=form):
            given = f"{form} batch{'' if rows is None else f' of {rows}'}"
            return f"map_batches {function.name}({given}){_on_error(plan.on_error)}"
        case Infer(columns=columns, model=model):
            added = ", ".join(model.output_types())
            device = ", ".join(name for name, _ in model.providers) or model.device
            fitted = "".join(_fitted(one) for one in model.images)
            given = f"{model.file.name}({', '.join(columns)}{fitted})"
            return f"{model.verb} {given} -> {added} on {device}{_on_error(plan.on_error)}"
        case Write(sink=sink):
            return f"write {sink}"
    raise TypeError(f"no words for {type(plan).__name__}; add a case to {__name__}")


def _fitted(image: ImageInput) -> str:
    match image.fit:
        case None:
            return ""
        case Letterbox(height=height, width=width):
            return f" letterboxed to {height}x{width}"
        case Resize(height=height, width=width):
            return f" stretched to {height}x{width}"


def _on_error(on_error: str) -> str:
    return "" if on_error == "raise" else f", {on_error} on error"


def _list(expressions: Sequence[Expression]) -> str:
    return ", ".join(str(expression) for expression in expressions)
