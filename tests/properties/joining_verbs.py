"""Verbs of several datasets, each drawn for the columns at hand."""

import polars as pl
from hypothesis import strategies as st
from relational_oracle import Both, rows
from rowwise_verbs import INTS, Draw, bare, measured, one_of, some

import lightdata as ld


def join_labels(draw: Draw, both: Both) -> Both:
    """Rows come in the order of the left, then of the right; unmatched ones of the right come last."""
    if "label" not in both.names(pl.String):
        return both
    labels = draw(st.lists(st.sampled_from(["a", "b", "d", None]), max_size=4))
    other = pl.DataFrame(
        {"label": labels, "weight": range(len(labels)), "value": [0.5] * len(labels)},
        schema={"label": pl.String, "weight": pl.Int64, "value": pl.Float64},
    )
    how = one_of(draw, ["inner", "left", "right", "full", "semi", "anti"])
    more = {
        "how": how,
        "nulls_equal": draw(st.booleans()),
        "suffix": _suffix(both, [*other.columns, *both.frame.columns]),
    }
    more["coalesce"] = one_of(draw, [None, True]) if how in ("left", "right", "full") else None
    more["maintain_order"] = one_of(draw, ["left_right", "right_left"])
    return both.then(lambda q: q.join(other, on="label", **more))


def _suffix(both: Both, names: list[str]) -> str:
    """Make up a suffix that makes no name that exists."""
    tails = ["_right", *(f"_{number}" for number in range(99))]
    return next(tail for tail in tails if not any(f"{name}{tail}" in both.frame.columns for name in names))


def join_rows(draw: Draw, both: Both) -> Both:
    """Join with other images, or with the rows themselves."""
    ids = both.names(pl.Int64)
    other = draw(st.one_of(rows(max_rows=5), st.just(both)))
    if not ids or not other.names(pl.Int64) or both.frame.height > 60:
        return both
    left, right = one_of(draw, ids), one_of(draw, other.names(pl.Int64))
    more = {
        "how": one_of(draw, ["inner", "left", "full", "semi", "anti"]),
        "suffix": _suffix(both, [*both.frame.columns, *other.frame.columns]),
        "maintain_order": "left_right",
        "left_on": left,
        "right_on": right,
    }
    return both.apart(lambda q: q.join(other.query, **more), lambda f: f.join(other.frame, **more))


def join_by_header(draw: Draw, both: Both) -> Both:
    """Join on the width of images."""
    if not both.images():
        return both
    column = one_of(draw, both.images())
    sizes = pl.DataFrame({"wide": [1, 3, 4], "word": ["one", "three", "four"]}, schema_overrides={"wide": pl.UInt32})
    how = one_of(draw, ["inner", "left", "semi", "anti"])
    width = pl.col(column).image.width()
    if {"wide", "word"} & set(both.frame.columns):
        return both
    more = {"how": how, "right_on": "wide", "maintain_order": "left_right"}

    def on_frame(frame: pl.DataFrame) -> pl.DataFrame:
        return bare(measured(frame, column).join(sizes, left_on="?width", **more))

    return both.apart(lambda q: q.join(sizes, left_on=width, **more), on_frame)


def cross(draw: Draw, both: Both) -> Both:
    if both.frame.height > 20:
        return both
    other = pl.DataFrame({both.fresh("p"): [1, 2]})
    return both.then(lambda q: q.join(other, how="cross"))


def join_asof(draw: Draw, both: Both) -> Both:
    other = draw(rows(max_rows=5))
    key, strategy = both.fresh("k"), one_of(draw, ["backward", "forward", "nearest"])
    suffix = _suffix(both, [*both.frame.columns, *other.frame.columns])
    step = draw(st.integers(1, 3))
    keyed = both.apart(
        lambda q: q.with_row_index(key).cast({key: pl.Int64}), lambda f: f.with_row_index(key).cast({key: pl.Int64})
    )
    right = other.then(lambda q: q.with_columns((pl.col("id") * step).alias("id")))
    more = {"left_on": key, "right_on": "id", "strategy": strategy, "suffix": suffix}
    return keyed.apart(lambda q: q.join_asof(right.query, **more), lambda f: f.join_asof(right.frame, **more))


def concat(draw: Draw, both: Both) -> Both:
    """Put rows after rows: the same, or others of other columns, or of other types."""
    if both.frame.height > 40:
        return both
    how = one_of(draw, ["vertical", "vertical_relaxed", "diagonal", "diagonal_relaxed"])
    if how.startswith("vertical"):
        other = one_of(draw, [both, both.then(lambda q: q.head(2))])
    else:
        other = draw(rows(max_rows=4))
        if any(other.frame.schema[n] != k for n, k in both.frame.schema.items() if n in other.frame.columns):
            return both
    if how.endswith("relaxed") and both.names(*INTS):
        name = both.names(*INTS)[0]
        other = other.then(lambda q: q.cast({name: pl.Float64})) if name in other.frame.columns else other

    def on_query(query: ld.Dataset) -> ld.Dataset:
        return ld.concat([query, other.query], how=how)

    return both.apart(on_query, lambda f: pl.concat([f, other.frame], how=how))


def union(draw: Draw, both: Both) -> Both:
    """A union with itself, of which a part is changed."""
    if both.frame.height > 40:
        return both
    other = both.then(lambda q: q.slice(-2))
    return both.apart(lambda q: q.union(other.query), lambda f: pl.concat([f, other.frame]))


def zip_columns(draw: Draw, both: Both) -> Both:
    """Names that exist get a number."""
    names = [name for name in some(draw, both.frame.columns) if f"{name}_1" not in both.frame.columns]
    if not names:
        return both
    other = both.then(lambda q: q.select(pl.col(names).reverse()))
    renamed = {name: f"{name}_1" for name in names}
    return both.apart(
        lambda q: q.zip(other.query),
        lambda f: pl.concat([f, other.frame.rename(renamed)], how="horizontal"),
    )


def side_by_side(draw: Draw, both: Both) -> Both:
    """Shorter inputs are filled with nulls."""
    other = draw(rows(max_rows=4))
    kept = [name for name in other.frame.columns if name not in both.frame.columns]
    if not kept:
        return both
    other = other.then(lambda q: q.select(kept))
    return both.apart(
        lambda q: ld.concat([q, other.query], how="horizontal_extend"),
        lambda f: pl.concat([f, other.frame], how="horizontal_extend"),
    )


def split(draw: Draw, both: Both) -> Both:
    """Parts of consecutive rows, as equal as can be."""
    n = draw(st.integers(1, 4))
    part = draw(st.integers(0, n - 1))
    return both.apart(lambda q: q.split(n)[part], lambda f: f[f.height * part // n : f.height * (part + 1) // n])


def train_test_split(draw: Draw, both: Both) -> Both:
    """The last rows are for testing: so many, or a part, rounded up."""
    size, part = one_of(draw, [0.25, 0.5, 1, 3]), draw(st.integers(0, 1))

    def on_frame(frame: pl.DataFrame) -> pl.DataFrame:
        tested = min(size, frame.height) if isinstance(size, int) else frame.height - int(frame.height * (1 - size))
        return frame.tail(tested) if part else frame.head(frame.height - tested)

    return both.apart(lambda q: q.train_test_split(size)[part], on_frame)


SEVERAL = (
    *(join_labels, join_rows, join_by_header, cross, join_asof, concat, union, zip_columns, side_by_side),
    *(split, train_test_split),
)
