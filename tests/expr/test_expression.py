"""Expressions as values: what they read, whether rows may be computed apart, and how selectors are spelled out."""

import pickle

import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.errors import ColumnNotFoundError, ExpressionError, SchemaError
from lightdata.expr.deferred import MARK
from lightdata.expr.expression import Expression, bind, result_schema

a, b = pl.col("a"), pl.col("b")

ELEMENTWISE = {
    "column": a,
    "alias": a.alias("z"),
    "suffix": a.name.suffix("_z"),
    "arithmetic": a * 2 + b,
    "comparison": (a > b) & (a != 3),
    "is_in": a.is_in([1, 2]),
    "cast": a.cast(pl.Float32),
    "fill_null literal": a.fill_null(0),
    "is_null": a.is_null(),
    "when": pl.when(a > 1).then(b).otherwise(0),
    "coalesce": pl.coalesce(a, b),
    "sum_horizontal": pl.sum_horizontal(a, b),
    "struct": pl.struct(a, b),
    "struct field": a.struct.field("x"),
    "string": a.str.to_uppercase(),
    "string slice": a.str.slice(1, 2),
    "concat_str": pl.concat_str(a, b),
    "date": a.dt.year(),
    "list length": a.list.len(),
    "list sum": a.list.sum(),
    "round": a.round(2),
    "clip": a.clip(0, 1),
    "chain": a.image.resize(8, 8),
    "chain in arithmetic": a.image.width() * a.image.height() > 99,
}

NEEDS_ALL_ROWS = {
    "max": a.max(),
    "over the maximum": a / a.max(),
    "shift": a.shift(1),
    "minus shift": a - a.shift(1),
    "diff": a.diff(),
    "fill_null mean": a.fill_null(a.mean()),
    "fill_null strategy": a.fill_null(strategy="forward"),
    "filter": a.filter(b > 1),
    "filter inside": a + b.filter(b > 1),
    "explode": a.explode(),
    "list explode": a.list.explode(),
    "drop_nulls": a.drop_nulls(),
    "over": a.sum().over("b"),
    "rank": a.rank(),
    "cum_sum": a.cum_sum(),
    "rolling": a.rolling_mean(3),
    "sort": a.sort(),
    "sort_by": a.sort_by("b"),
    "unique": a.unique(),
    "is_unique": a.is_unique(),
    "head": a.head(3),
    "reverse": a.reverse(),
    "first": a.first(),
    "count": a.count(),
    "length": pl.len(),
    "int_range": pl.int_range(pl.len()),
    "literal": pl.lit(3),
    "implode": a.implode(),
    "gather": a.gather([0, 1]),
    "quantile": a > a.quantile(0.5),
    "interpolate": a.interpolate(),
    "map_batches": a.map_batches(lambda series: series - series.mean()),
    "sample": a.sample(2),
    "mode": a.mode(),
    "value_counts": a.value_counts(),
    "deferred over its maximum": a.image.width() / a.image.width().max(),
    "when over an aggregate": pl.when(a > b.mean()).then(a),
}


@pytest.mark.parametrize("expr", ELEMENTWISE.values(), ids=ELEMENTWISE.keys())
def test_rows_that_stand_alone(expr):
    """These depend on their own row alone, so any batch may be computed apart."""
    assert Expression(expr).is_elementwise


@pytest.mark.parametrize("expr", NEEDS_ALL_ROWS.values(), ids=NEEDS_ALL_ROWS.keys())
def test_what_needs_all_rows(expr):
    """These look at other rows or change their number, so they must see all rows at once."""
    assert not Expression(expr).is_elementwise


def test_user_functions_are_never_promised():
    """A Python function on single values is never slower-but-wrong: it may be computed apart or over all rows."""
    expression = Expression(a.map_elements(lambda value: hash(str(value)), return_dtype=pl.Int64))
    assert isinstance(expression.is_elementwise, bool)
    assert isinstance(hash(expression), int)
    assert "a" in str(expression)


def test_elementwise_is_true_of_batches():
    """Whatever is said to be elementwise gives the same rows over two halves as over the whole."""
    frame = pl.DataFrame({"a": [3.0, None, 1.0, 7.0], "b": [1.0, 2.0, None, 4.0]})
    checked = 0
    for expr in {**ELEMENTWISE, **NEEDS_ALL_ROWS}.values():
        if not Expression(expr).is_elementwise:
            continue
        try:
            whole = frame.select(expr)
        except pl.exceptions.PolarsError:
            continue  # for other types of column
        assert whole.equals(pl.concat([frame[:2].select(expr), frame[2:].select(expr)]))
        checked += 1
    assert checked > 10


@pytest.mark.parametrize(
    ("expr", "inputs"),
    [
        (a + b, {"a", "b"}),
        (a.image.width() + b, {"a", "b"}),
        (a.image.resize(2, 2), {"a"}),
        (pl.col("x y").image.resize(2, 2).alias("q"), {"x y"}),
        (a.sum().over("g"), {"a", "g"}),
        (a.filter(pl.col("k")), {"a", "k"}),
        (a.sort_by("s"), {"a", "s"}),
        (pl.lit(1), set()),
        (pl.len(), set()),
        (a.tensor.cosine_similarity(b.image.to_tensor()), {"a", "b"}),
        (pl.when(pl.col("k")).then(a.image.flip_up_down()).otherwise(b), {"k", "a", "b"}),
    ],
    ids=str,
)
def test_inputs_are_base_columns(expr, inputs):
    """``inputs`` names the columns a dataset must have, those inside chains included, never a deferred name."""
    assert Expression(expr).inputs == inputs
    assert not any(MARK in name for name in Expression(expr).inputs)


def test_chains_are_listed_once():
    """An expression lists each chain it reads once."""
    expression = Expression(a.image.width() * a.image.width() + a.image.height())
    assert [str(chain) for chain in expression.chains] == ["a.width()", "a.height()"]


def test_expressions_are_values():
    """Equal expressions are equal and hash alike, in sets and after pickling."""
    first, again, other = (Expression(a.image.width() + n) for n in (1, 1, 2))
    assert first == again
    assert hash(first) == hash(again)
    assert first != other
    assert first != "a"
    assert {first, again, other} == {first, other}
    assert pickle.loads(pickle.dumps(first)) == first
    assert hash(pickle.loads(pickle.dumps(first))) == hash(first)


@pytest.mark.parametrize(
    "expr", [a.image.width(), a.image.width() + 1, a.image.resize(1, 2).alias("q"), a.image.width().max()]
)
def test_words_without_the_mark(expr):
    """Expressions print as words: neither the mark nor its escape shows."""
    expression = Expression(expr)
    for text in (str(expression), expression.name, *map(str, expression.chains)):
        assert MARK not in text
        assert "2063" not in text


@pytest.mark.parametrize("literal", [1, 1.5, "x", b"\xff\0", None, True, 2**70, [1.0, float("inf")]], ids=repr)
def test_rename_inputs_keeps_the_rest(literal):
    """Renaming replaces columns everywhere, and nothing else."""
    value = pl.lit(literal) if not isinstance(literal, list) else pl.lit(pl.Series(literal)).implode()
    expr = pl.struct(a, b.alias("b"), value.alias("v")).alias("a")
    wanted = pl.struct(pl.col("c"), b.alias("b"), value.alias("v")).alias("a")
    assert Expression(expr).rename_inputs({"a": "c"}).expr.meta.serialize() == wanted.meta.serialize()


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_rename_inputs_refuses_what_it_cannot_keep(number):
    """A number that JSON does not have is a clear error, never another number."""
    with pytest.raises(ExpressionError, match="infinite or NaN"):
        Expression(a + number).rename_inputs({"a": "c"})


def test_constants():
    """A literal is constant; a column, a length and an aggregate are not."""
    assert Expression(pl.lit(3).alias("z")).is_constant
    assert not any(Expression(expr).is_constant for expr in (a, a + 1, pl.len(), a.max()))


SCHEMA = ld.Schema(
    {
        "wide": ld.image_type("RGB", 8, 8),
        "grey": ld.image_type("L", 4, 4),
        "any": ld.image_type(),
        "k": pa.bool_(),
        "x": pa.int64(),
        "y": pa.float64(),
        "s": pa.string(),
    }
)
WIDTH = pl.col("any").image.width()


def results(expr, keep=False, schema=SCHEMA):
    bound = bind([expr], schema, step="select")
    return {name: str(kind) for name, kind in result_schema(bound, schema, step="select", keep=keep).items()}


@pytest.mark.parametrize(
    ("expr", "names"),
    [
        (pl.all(), ["wide", "grey", "any", "k", "x", "y", "s"]),
        (pl.exclude("wide", "^[xy]$"), ["grey", "any", "k", "s"]),
        (cs.numeric(), ["x", "y"]),
        (cs.numeric() * 2, ["x", "y"]),
        (cs.numeric() * WIDTH, ["x", "y"]),
        (cs.numeric() + cs.numeric() * WIDTH, ["x", "y"]),
        (pl.col("x", "y") - pl.col("y", "x"), ["x", "y"]),
        (pl.all().is_null() & (WIDTH > 2), ["wide", "grey", "any", "k", "x", "y", "s"]),
        (pl.nth(3), ["k"]),
        (pl.last(), ["s"]),
        (pl.col("^(x|y)$").max(), ["x", "y"]),
        (cs.numeric().name.suffix("_2"), ["x_2", "y_2"]),
        (cs.by_dtype(pl.UInt32) + WIDTH, []),
        (pl.sum_horizontal(cs.numeric()), ["x"]),
        (pl.sum_horizontal(cs.numeric(), WIDTH), ["x"]),
        (pl.sum_horizontal(cs.numeric() * WIDTH), ["x"]),
        (pl.struct(pl.all()), ["wide"]),
        (pl.struct(cs.numeric(), WIDTH.alias("w")).alias("z"), ["z"]),
        (pl.lit('{"Selector":"Wildcard"}').alias("text"), ["text"]),
    ],
    ids=str,
)
def test_selectors_see_visible_columns_only(expr, names):
    """Selectors are spelled out against the columns a user sees, never a deferred one, beside chains too."""
    assert list(results(expr)) == names


@pytest.mark.parametrize(
    "expr",
    [
        cs.numeric() - pl.mean_horizontal(cs.numeric()),
        pl.sum_horizontal(cs.numeric()),
        cs.numeric() + pl.sum_horizontal(cs.numeric() * 2),
        cs.numeric().clip(cs.numeric(), 3),
        pl.struct(pl.all()).alias("z"),
        pl.concat_str(cs.all()).alias("z"),
        pl.coalesce(pl.all()),
        pl.max_horizontal(pl.all()) - pl.col("x"),
        cs.numeric() / pl.col("x", "y").sum(),
        pl.all().sort_by("y"),
        pl.concat_list(pl.all()).list.sum().alias("z"),
        pl.all_horizontal(cs.numeric() > 2),
        pl.when(pl.all() > 2).then(pl.all()).otherwise(pl.sum_horizontal(pl.all())),
    ],
    ids=str,
)
def test_spelled_out_selectors_give_what_polars_gives(expr):
    """An expression whose selectors were spelled out has the same values as Polars gives it."""
    frame = pl.DataFrame({"x": [1.0, 5.0, None], "y": [4.0, 2.0, 6.0]})
    schema = ld.Schema.from_polars(frame.schema)
    bound = [one.expr for one in bind([expr], schema, step="select")]
    assert frame.select(bound).equals(frame.select(expr))


def test_a_chain_counts_once_beside_selectors_in_one_call():
    """All selected columns and the chain are arguments of one sum."""
    (bound,) = bind([pl.sum_horizontal(cs.numeric(), WIDTH)], SCHEMA, step="select")
    frame = pl.DataFrame({"x": [1, 2], "y": [10, 20], bound.chains[0].name: [100, 200]})
    assert frame.select(bound.expr).to_series().to_list() == [111, 222]


def test_unknown_schemas_leave_selectors():
    """Without a schema, selectors wait for the first batch."""
    (bound,) = bind([pl.all()], None, step="select")
    assert bound.expr.meta.eq(pl.all())


IMAGES_MEET = {
    "when": pl.when("k").then(pl.col("wide")).otherwise(pl.col("grey")),
    "coalesce": pl.coalesce("wide", "grey", "any"),
    "fill_null": pl.col("wide").fill_null(pl.col("any")),
    "when over a chain": pl.when("k").then(pl.col("wide").image.resize(2, 2)).otherwise("grey").alias("wide"),
    "when by width": pl.when(WIDTH > 3).then("wide").otherwise("any"),
}


@pytest.mark.parametrize("expr", IMAGES_MEET.values(), ids=IMAGES_MEET.keys())
@pytest.mark.parametrize("keep", [False, True])
def test_images_of_different_kinds_meet_as_images(expr, keep):
    """Images of different mode and size in one expression become ``Image``, under the name Polars would give."""
    found = results(expr, keep=keep)
    assert found["wide"] == "Image"
    assert list(found) == (list(SCHEMA) if keep else ["wide"])


def test_images_of_one_kind_keep_it():
    """Where all images have one mode and size, the result has them too."""
    expr = pl.when("k").then(pl.col("any").image.decode("RGB").image.resize(8, 8)).otherwise("wide").alias("z")
    assert results(expr) == {"z": "Image[RGB, 8x8]"}
    assert results(pl.when("k").then("wide").otherwise(None)) == {"wide": "Image[RGB, 8x8]"}


@pytest.mark.parametrize(
    ("exprs", "error", "words"),
    [
        ([pl.col("nope")], ColumnNotFoundError, "nope"),
        ([pl.col("nope").image.width()], ColumnNotFoundError, "nope"),
        ([cs.numeric() + pl.col("nope").image.width()], ColumnNotFoundError, "nope"),
        ([pl.col("x", "nope")], ColumnNotFoundError, "nope"),
        ([pl.col("x"), pl.col("y").alias("x")], ExpressionError, "two columns named 'x'"),
        ([WIDTH.name.keep()], ExpressionError, "name.keep"),
        ([pl.col("x", "y") + pl.col("x", "y", "k") + WIDTH], ExpressionError, "select"),
    ],
)
def test_mistakes_are_told_in_words(exprs, error, words):
    """A mistake in an expression names the column or the step, never the mark."""
    with pytest.raises(error, match=words) as caught:
        bind(exprs, SCHEMA, step="select")
    assert MARK not in str(caught.value)
    assert "2063" not in str(caught.value)


@pytest.mark.parametrize("expr", [WIDTH.struct.field("x"), WIDTH + pl.col("any")])
def test_types_that_do_not_fit_are_told_in_words(expr):
    """What Polars says of a type that does not fit is one line without the mark."""
    with pytest.raises(SchemaError) as caught:
        results(expr)
    assert MARK not in str(caught.value)
    assert "2063" not in str(caught.value)
    assert "\n" not in str(caught.value)
