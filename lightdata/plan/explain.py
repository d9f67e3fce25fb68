"""A plan in words."""

from __future__ import annotations

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
    WithColumns,
    Write,
)


def explain_plan(plan: Plan) -> str:
    """Write a plan with its last step first, each step above the one it reads from.

    >>> from lightdata.io.memory import RangeSource
    >>> print(explain_plan(Limit(input=Scan(source=RangeSource(3)), n=2)))
    limit 2
      scan range[3]
    """
    lines = [f"{'  ' * depth}{describe_step(step)}" for depth, step in enumerate(plan.walk())]
    return "\n".join(lines)


def describe_step(plan: Plan) -> str:
    """Write one step in a line."""
    match plan:
        case Scan():
            return _describe_scan(plan)
        case ReadFiles(path=path, column=column):
            return f"read files {path} -> {column}{_on_error(plan.on_error)}"
        case DecodeImages():
            return _describe_decode(plan)
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
        case _:
            return _describe_work(plan)


def _describe_scan(plan: Scan) -> str:
    columns, n_rows = plan.pushdowns.columns, plan.pushdowns.n_rows
    only = "" if columns is None else f", only {', '.join(columns) or 'row counts'}"
    return f"scan {plan.source}{only}{'' if n_rows is None else f', first {n_rows} rows'}"


def _describe_decode(plan: DecodeImages) -> str:
    how = [plan.mode, None if plan.size is None else f"{plan.size[0]}x{plan.size[1]}"]
    how.append(None if plan.exif_transpose else "as the camera was held")
    words = ", ".join(word for word in how if word)
    return f"decode {plan.column}{f' as {words}' if words else ''}{_on_error(plan.on_error)}"


def _describe_work(plan: Plan) -> str:
    match plan:
        case MapRows(kind=kind, function=function):
            return f"{kind} {function.name}(row)"
        case MapBatches(function=function, batch_rows=rows, batch_format=form):
            return f"map_batches {function.name}({form} batch{'' if rows is None else f' of {rows}'})"
        case Infer(column=column, model=model):
            added = ", ".join(model.output_types())
            return f"infer {model.path.rpartition('/')[2]}({column}) -> {added} on {model.device}"
        case Write(sink=sink):
            return f"write {sink}"
    raise TypeError(f"no words for {type(plan).__name__}; add a case to {__name__}")


def _on_error(on_error: str) -> str:
    return "" if on_error == "raise" else f", {on_error} on error"


def _list(expressions: tuple[Expression, ...]) -> str:
    return ", ".join(str(expression) for expression in expressions)
