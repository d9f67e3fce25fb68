"""Verbs that look at all rows, each drawn for the columns at hand."""

from typing import Any

import polars as pl
from hypothesis import strategies as st
from relational_oracle import Both
from rowwise_verbs import INTS, PLAIN, Draw, bare, measured, one_of, some


def with_row_index(draw: Draw, both: Both) -> Both:
    name, offset = both.fresh("n"), one_of(draw, [0, 3])
    return both.then(lambda q: q.with_row_index(name, offset))


def sort(draw: Draw, both: Both) -> Both:
    names = some(draw, both.names(*PLAIN))
    if not names:
        return both
    flags = st.lists(st.booleans(), min_size=len(names), max_size=len(names))
    order = {"descending": draw(flags), "nulls_last": draw(flags), "maintain_order": True}
    return both.then(lambda q: q.sort(names, **order))


def turn_round(draw: Draw, both: Both) -> Both:
    """A key need not read a column."""
    return both.then(lambda q: q.sort(pl.int_range(pl.len()), descending=True, maintain_order=True))


def sort_by_header(draw: Draw, both: Both) -> Both:
    if not both.images():
        return both
    column = one_of(draw, both.images())
    image, down = pl.col(column).image, draw(st.booleans())
    return both.apart(
        lambda q: q.sort(image.height() * image.width(), image.mode(), descending=down),
        lambda f: bare(
            measured(f, column).sort(
                pl.col("?height") * pl.col("?width"), "?mode", descending=down, maintain_order=True
            )
        ),
    )


def extremes(draw: Draw, both: Both) -> Both:
    """The first rows of a stable order with nulls last."""
    names = some(draw, both.names(*PLAIN))
    if not names:
        return both
    k, reverse, verb = draw(st.integers(0, 5)), draw(st.booleans()), one_of(draw, ["top_k", "bottom_k"])
    down = (verb == "top_k") != reverse
    return both.apart(
        lambda q: getattr(q, verb)(k, by=names, reverse=reverse),
        lambda f: f.sort(names, descending=down, nulls_last=True, maintain_order=True).head(k),
    )


def unique(draw: Draw, both: Both) -> Both:
    names = some(draw, both.names(*PLAIN))
    if not names:
        return both
    keep = one_of(draw, ["first", "last", "none"])
    return both.then(lambda q: q.unique(names, keep=keep, maintain_order=True))


def unique_rows(draw: Draw, both: Both) -> Both:
    names = some(draw, both.names(*PLAIN))
    return both.then(lambda q: q.select(names).unique(keep="any", maintain_order=True)) if names else both


def group_by(draw: Draw, both: Both) -> Both:
    keys = some(draw, both.names(*PLAIN))[:2]
    others = [name for name in both.frame.columns if name not in keys]
    if not keys:
        return both
    aggs = [pl.len().alias(both.fresh("size"))]
    for name in draw(st.lists(st.sampled_from(others), max_size=3, unique=True)) if others else []:
        column = pl.col(name)
        choices = [column.first(), column.last(), column, column.sort_by(pl.int_range(pl.len()), descending=True)]
        if name in both.names(*INTS, pl.Float64):
            choices += [column.sum(), column.max(), column.min(), column.mean(), column.n_unique(), column.head(2)]
        if both.frame[name].dtype.is_nested():
            choices = [column.first(), column.last()]
        aggs.append(one_of(draw, choices))
    return both.then(lambda q: q.group_by(keys, maintain_order=True).agg(aggs))


def explode(draw: Draw, both: Both) -> Both:
    lists = [name for name, kind in both.frame.schema.items() if isinstance(kind, pl.List)]
    if not lists:
        return both
    name = one_of(draw, lists)
    return both.then(lambda q: q.explode(name, empty_as_null=False, keep_nulls=True))


def unpivot(draw: Draw, both: Both) -> Both:
    on, index = both.names(*INTS)[:3], [*both.names(pl.String)[:2], *both.images()[:1]]
    names = (both.fresh("variable"), both.fresh("value"))
    if not on:
        return both
    return both.then(lambda q: q.unpivot(on, index=index, variable_name=names[0], value_name=names[1]))


def pivot(draw: Draw, both: Both) -> Both:
    plain = both.names(*INTS)
    if "label" not in both.names(pl.String) or len(plain) < 2:
        return both
    index, value = plain[:2]
    picked = [*both.images(), value]
    values = one_of(draw, picked)
    gathers = "first" if values in both.images() else one_of(draw, ["sum", "max", "len", "first"])
    listed = ["a", "c"]

    def verb(query: Any) -> Any:
        how = {"aggregate_function": gathers, "maintain_order": True}
        return query.pivot("label", on_columns=listed, index=index, values=values, **how)

    pivoted = both.apart(verb, lambda f: verb(f.lazy()).collect())
    if values not in both.images():
        return pivoted
    return pivoted.then(lambda q: q.rename({"a": "im_a", "c": "im_c"}))


def cut(draw: Draw, both: Both) -> Both:
    n, offset = draw(st.integers(0, 6)), draw(st.integers(-7, 7))
    verb = one_of(
        draw, [lambda q: q.head(n), lambda q: q.tail(n), lambda q: q.slice(offset, n), lambda q: q.slice(offset)]
    )
    return both.then(verb)


def sample(draw: Draw, both: Both) -> Both:
    """The rows whose places come first in a shuffled order, in the order they had, or in another shuffled one."""
    n, seed, shuffle = draw(st.integers(0, 6)), draw(st.integers(0, 9)), draw(st.booleans())

    def on_frame(frame: pl.DataFrame) -> pl.DataFrame:
        kept = frame.filter(pl.int_range(pl.len()).shuffle(seed=seed) < n)
        return mixed(kept, seed) if shuffle else kept

    return both.apart(lambda q: q.sample(n, seed=seed, shuffle=shuffle), on_frame)


def mixed(frame: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Order rows by a shuffled sequence of numbers."""
    return frame.sort(pl.int_range(pl.len()).shuffle(seed=seed))


def random_shuffle(draw: Draw, both: Both) -> Both:
    seed = draw(st.integers(0, 9))
    return both.apart(lambda q: q.random_shuffle(seed=seed), lambda f: mixed(f, seed))


def fill_null(draw: Draw, both: Both) -> Both:
    value = one_of(draw, [0, 1.5, "none"])
    if draw(st.booleans()) or (isinstance(value, str) and both.images()):  # the oracle's images are texts
        names = both.names(*PLAIN)
        return both.then(lambda q: q.with_columns(pl.col(names).fill_null(strategy="forward"))) if names else both
    return both.then(lambda q: q.fill_null(value))


def drop_nulls(draw: Draw, both: Both) -> Both:
    names = draw(st.none() | st.lists(st.sampled_from(both.frame.columns), min_size=1, max_size=2, unique=True))
    return both.then(lambda q: q.drop_nulls(names))


ALL_ROWS = (
    *(
        with_row_index,
        sort,
        turn_round,
        sort_by_header,
        extremes,
        unique,
        unique_rows,
        group_by,
    ),
    *(explode, unpivot, pivot, cut, sample, random_shuffle, fill_null, drop_nulls),
)
