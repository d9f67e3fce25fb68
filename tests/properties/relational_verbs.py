"""The verbs, each drawn for the columns at hand and applied to a dataset and to its oracle."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st
from PIL import Image
from relational_oracle import Both, as_picture, as_text, rows

import lightdata as ld
from lightdata.dataset.combining import concat_plans

Draw = Callable[[Any], Any]
INTS = (pl.Int64, pl.Int32, pl.UInt32, pl.Int8)
PLAIN = (*INTS, pl.Float64, pl.String, pl.Boolean)
DECLARED = {pl.Int64: int, pl.Float64: float, pl.String: str, pl.Boolean: bool}


def one_of(draw: Draw, values: Any) -> Any:
    """Draw one of several values."""
    return draw(st.sampled_from(list(values)))


def some(draw: Draw, names: list[str], least: int = 1) -> list[str]:
    """Draw different names, in any order."""
    return draw(st.lists(st.sampled_from(names), min_size=least, max_size=3, unique=True)) if names else []


# --- images: what each operation is to a chain, and to Pillow


def _resized(image: Image.Image) -> Image.Image:
    if image.mode != "I;16":
        return image.resize((3, 2), Image.Resampling.BILINEAR)
    if image.size == (3, 2):
        return image
    wide = Image.fromarray(np.asarray(image).astype(np.float32)).resize((3, 2), Image.Resampling.BILINEAR)
    return Image.fromarray(np.rint(np.asarray(wide)).clip(0, 65535).astype(np.uint16))


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode != "I;16":
        return image.convert(mode)
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert(mode)


PIXELS: dict[str, tuple[Callable[[pl.Expr], pl.Expr], Callable[[Image.Image], Image.Image]]] = {
    "resize": (lambda e: e.image.resize(2, 3), _resized),
    "crop": (lambda e: e.image.crop(0, 1, 2, 2), lambda i: i.crop((1, 0, 3, 2))),
    "flip": (lambda e: e.image.flip_left_right(), lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "grey": (lambda e: e.image.to_mode("L"), lambda i: _in_mode(i, "L")),
    "colours": (lambda e: e.image.to_mode("RGB"), lambda i: _in_mode(i, "RGB")),
    "fixed": (
        lambda e: e.image.to_mode("L").image.resize(2, 3),
        lambda i: _resized(_in_mode(i, "L")),
    ),
}


def changed(frame: pl.DataFrame, column: str, to: str, change: Callable[[Image.Image], Image.Image]) -> pl.DataFrame:
    """Change the images of a column with Pillow."""
    texts = [None if text is None else as_text(change(as_picture(text))) for text in frame[column]]
    return frame.with_columns(pl.Series(to, texts, dtype=pl.String))


def measured(frame: pl.DataFrame, column: str) -> pl.DataFrame:
    """Add what the headers of a column's images say."""
    images = [None if text is None else as_picture(text) for text in frame[column]]
    return frame.with_columns(
        pl.Series("?width", [image and image.width for image in images], dtype=pl.UInt32),
        pl.Series("?height", [image and image.height for image in images], dtype=pl.UInt32),
        pl.Series("?mode", [image and image.mode for image in images], dtype=pl.String),
    )


def bare(frame: pl.DataFrame) -> pl.DataFrame:
    """Leave out what :func:`measured` added."""
    return frame.drop("?width", "?height", "?mode", strict=False)


# --- row by row


def select(draw: Draw, both: Both) -> Both:
    names = draw(st.permutations(both.frame.columns))
    kept = names[: draw(st.integers(1, len(names)))]
    return both.then(lambda q: q.select(kept))


def with_expression(draw: Draw, both: Both) -> Both:
    numbers, name = both.names(*INTS, pl.Float64), both.fresh("x")
    if not numbers:
        return both
    a, b = pl.col(one_of(draw, numbers)), pl.col(one_of(draw, numbers))
    expr = one_of(
        draw,
        [
            (a + b).alias(name),
            (a * 2).alias(a.meta.output_name()),
            pl.lit(7).alias(name),
            pl.when(a > b).then(a).otherwise(b).alias(name),
            a.sum().alias(name),
            (b - b.max()).alias(name),
            a.cum_sum().alias(name),
            a.shift(1).alias(name),
            a.max().over(b, order_by=a).alias(name),
            pl.len().over(b).alias(name),
            a.reverse().alias(name),
            pl.int_range(pl.len()).alias(name),
        ],
    )
    return both.then(lambda q: q.with_columns(expr))


def with_columns_of_all_rows(draw: Draw, both: Both) -> Both:
    """Images too can be moved by expressions that look at all rows."""
    column, by = pl.col(one_of(draw, both.frame.columns)), pl.col(one_of(draw, both.frame.columns))
    if by.meta.output_name() not in both.names(*PLAIN) or both.frame[column.meta.output_name()].dtype.is_nested():
        return both
    expr = one_of(draw, [column.shift(1), column.reverse(), column.first().over(by), column.last()])
    return both.then(lambda q: q.with_columns(expr))


def with_images(draw: Draw, both: Both) -> Both:
    if not both.images():
        return both
    column, (chain, change) = one_of(draw, both.images()), one_of(draw, PIXELS.values())
    to = one_of(draw, [column, both.fresh("im")])
    return both.apart(
        lambda q: q.with_columns(chain(pl.col(column)).alias(to)), lambda f: changed(f, column, to, change)
    )


def with_some_images(draw: Draw, both: Both) -> Both:
    """Images meet others in one expression."""
    if not both.images() or not both.names(*INTS):
        return both
    column, (chain, change) = one_of(draw, both.images()), one_of(draw, PIXELS.values())
    condition, to = pl.col(one_of(draw, both.names(*INTS))) > 2, both.fresh("im")

    def on_frame(frame: pl.DataFrame) -> pl.DataFrame:
        frame = changed(frame, column, to, change)
        return frame.with_columns(pl.when(condition).then(to).otherwise(column).alias(to))

    return both.apart(
        lambda q: q.with_columns(pl.when(condition).then(chain(pl.col(column))).otherwise(column).alias(to)), on_frame
    )


def with_header(draw: Draw, both: Both) -> Both:
    if not both.images():
        return both
    column, name = one_of(draw, both.images()), both.fresh("w")
    image, word = pl.col(column).image, one_of(draw, ["width", "mode"])
    chain = image.width() if word == "width" else image.mode()
    gathers = one_of(draw, [lambda e: e, lambda e: e.max(), lambda e: e.rank("ordinal")])
    return both.apart(
        lambda q: q.with_columns(gathers(chain).alias(name)),
        lambda f: bare(measured(f, column).with_columns(gathers(pl.col(f"?{word}")).alias(name))),
    )


def filter_rows(draw: Draw, both: Both) -> Both:
    name = one_of(draw, both.frame.columns)
    column = pl.col(name)
    conditions = [column.is_not_null(), column.is_null(), pl.int_range(pl.len()) % 2 == 0, pl.lit(value=True)]
    if name in both.names(*INTS, pl.Float64):
        conditions += [column > 1, column == column.max(), column.cum_sum() > 3, (column == 0) | (column == 2)]
        conditions += [column.is_not_null() & (column < 4), (column > 1) | (column < 0)]
    if name in both.names(pl.String):
        conditions += [column == "a", column != "b", pl.len().over(column) > 1, column.is_first_distinct()]
    condition = one_of(draw, conditions)
    return both.then(lambda q: q.filter(condition))


def filter_by_header(draw: Draw, both: Both) -> Both:
    if not both.images():
        return both
    column = one_of(draw, both.images())
    image = pl.col(column).image
    chain, plain = one_of(
        draw,
        [
            (image.width() > 2, pl.col("?width") > 2),
            (image.mode() == "L", pl.col("?mode") == "L"),
            (image.height() == image.height().max(), pl.col("?height") == pl.col("?height").max()),
            (image.width() > image.height(), pl.col("?width") > pl.col("?height")),
        ],
    )
    return both.apart(lambda q: q.filter(chain), lambda f: bare(measured(f, column).filter(plain)))


def filter_by_pixels(draw: Draw, both: Both) -> Both:
    if not both.images():
        return both
    column = one_of(draw, both.images())
    chain = pl.col(column).image.to_mode("L").image.crop(0, 0, 1, 1).image.to_tensor().tensor.mean() > 100

    def is_bright(text: str | None) -> bool:
        return text is not None and _in_mode(as_picture(text), "L").getpixel((0, 0)) > 100

    return both.apart(
        lambda q: q.filter(chain), lambda f: f.filter(pl.Series(map(is_bright, f[column]), dtype=pl.Boolean))
    )


def drop(draw: Draw, both: Both) -> Both:
    names = some(draw, both.frame.columns[1:])
    return both.then(lambda q: q.drop(names)) if names else both


def rename(draw: Draw, both: Both) -> Both:
    plain = both.names(*PLAIN)
    if not plain:
        return both
    name = one_of(draw, plain)
    other = one_of(draw, plain)
    new = {name: both.fresh("r")} if name == other else {name: other, other: name}
    return both.then(lambda q: q.rename(new))


def cast(draw: Draw, both: Both) -> Both:
    names = both.names(*INTS)
    if not names:
        return both
    name, kind = one_of(draw, names), one_of(draw, [pl.Float64, pl.Int32, pl.String])
    return both.then(lambda q: q.cast({name: kind}))


def map_rows(draw: Draw, both: Both) -> Both:
    types = _declared(both)
    return both if types is None else both.apart(lambda q: q.map(lambda row: row, schema=types), lambda f: f)


def map_batches(draw: Draw, both: Both) -> Both:
    types = _declared(both)
    if types is None or not both.names(pl.Int64):
        return both
    name, size = one_of(draw, both.names(pl.Int64)), one_of(draw, [None, 2, 5])

    def add(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(pl.col(name) + 1)

    return both.apart(lambda q: q.map_batches(add, batch_format="polars", batch_size=size, schema=types), add)


def _declared(both: Both) -> dict[str, Any] | None:
    """Declare the columns as they are; ``None`` if a type is none that can be declared."""
    types = {name: DECLARED.get(kind) for name, kind in both.frame.schema.items() if name not in both.images()}
    if None in types.values():
        return None
    return {name: ld.image_type() if name in both.images() else types[name] for name in both.frame.columns}


# --- all rows


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
        return query.pivot("label", on_columns=listed, index=index, values=values, aggregate_function=gathers)

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


# --- several inputs


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
        return ld.Dataset(concat_plans([query._plan, other.query._plan], how))

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
        lambda q: ld.Dataset(concat_plans([q._plan, other.query._plan], "horizontal_extend")),
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


ROWWISE = (
    *(select, with_expression, with_images, with_some_images, with_header, filter_rows, filter_by_header),
    *(filter_by_pixels, drop, rename, cast, map_rows, map_batches),
)
ALL_ROWS = (
    *(
        with_columns_of_all_rows,
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
SEVERAL = (
    *(join_labels, join_rows, join_by_header, cross, join_asof, concat, union, zip_columns, side_by_side),
    *(split, train_test_split),
)


@st.composite
def queries(draw: Any, source: Any = rows(), max_verbs: int = 6) -> Both:  # noqa: B008 - a strategy is a value
    """Draw rows, and verbs one after another."""
    both = draw(source)
    for verb in draw(st.lists(st.sampled_from([*ROWWISE, *ALL_ROWS, *SEVERAL]), min_size=1, max_size=max_verbs)):
        if both.frame.columns:
            both = verb(draw, both)
    return both
