"""Verbs of rows and of columns, each drawn for the columns at hand and applied to a dataset and to its oracle."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from hypothesis import strategies as st
from PIL import Image
from relational_oracle import Both, as_picture, as_text

import lightdata as ld

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


ROWWISE = (
    *(
        select,
        with_expression,
        with_columns_of_all_rows,
        with_images,
        with_some_images,
        with_header,
        filter_rows,
        filter_by_header,
    ),
    *(filter_by_pixels, drop, rename, cast, map_rows, map_batches),
)
