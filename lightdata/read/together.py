"""Several datasets as one."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, get_args

from lightdata.dataset.combining import ConcatMethod, concat_plans, plan_of
from lightdata.dataset.dataset import Dataset
from lightdata.dataset.exchange import sql_plan, tables_around
from lightdata.errors import ArgumentError


def concat(items: Iterable[Any], *, how: ConcatMethod = "vertical") -> Dataset:
    """Put the rows of datasets one after another, or their columns side by side.

    Parameters
    ----------
    items : iterable of Dataset, Polars frames, Arrow tables
    how : "vertical", "vertical_relaxed", "diagonal", "diagonal_relaxed", "horizontal", "horizontal_extend"
        As Polars' ``concat``; images of different kinds in one column become plain images in all of them.

    Examples
    --------
    >>> from lightdata import range
    >>> concat([range(1), range(2)]).take_all()
    [{'id': 0}, {'id': 0}, {'id': 1}]

    Raises
    ------
    ArgumentError
        If there is nothing to put together.
    SchemaError
        If columns do not fit together.
    """
    plans = [plan_of("concat", item) for item in items]
    if not plans:
        raise ArgumentError("concat needs at least one dataset")
    if how not in get_args(ConcatMethod):
        raise ArgumentError(f"concat: how must be one of {', '.join(get_args(ConcatMethod))}; got {how!r}")
    return Dataset(concat_plans(plans, how))


def sql(query: str, /, **tables: Any) -> Dataset:
    """Ask datasets, Polars frames and Arrow tables in SQL, in Polars' dialect; nothing runs until rows are asked for.

    A query names tables of ``tables``, and variables where it is called. Only columns that it needs are read. Without
    ``order by``, groups and joined rows come in any order.

    >>> import lightdata as ld
    >>> numbers = ld.range(5)
    >>> sql("select id from numbers where id > 2 order by id desc").take_all()
    [{'id': 4}, {'id': 3}]

    Raises
    ------
    PlanError
        If the query is wrong.
    """
    frame = inspect.currentframe()
    around = tables_around(query, None if frame is None else frame.f_back)
    return Dataset(sql_plan(query, {**around, **tables}))
