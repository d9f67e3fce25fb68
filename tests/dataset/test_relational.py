"""Verbs that look at all rows: the arguments and results of Polars, and errors when the query is built."""

import datetime as dt
from decimal import Decimal

import polars as pl
import polars.selectors as cs
import pytest
from polars.testing import assert_frame_equal

import lightdata as ld
from lightdata.errors import ArgumentError, ColumnNotFoundError, ExpressionError, SchemaError


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


FRAME = pl.DataFrame(
    {
        "k": ["a", "b", "a", None],
        "x": [1, 2, None, 4],
        "date": [dt.date(2020, 1, day) for day in (1, 2, 3, 4)],
        "took": [dt.timedelta(hours=hours) for hours in (1, 2, 3, 4)],
        "price": pl.Series([Decimal("1.10"), None, Decimal("3.30"), Decimal(4)], dtype=pl.Decimal(10, 2)),
        "kind": pl.Series(["p", "q", "p", None], dtype=pl.Categorical),
        "items": [[1, 2], [], None, [3]],
        "parts": [{"a": 1, "b": "x"}, None, {"a": 3, "b": None}, {"a": 4, "b": "w"}],
        "pair": pl.Series([[1, 2], [3, 4], None, [5, 6]], dtype=pl.Array(pl.Int64, 2)),
        "at": pl.Series([dt.datetime(2020, 1, 1)] * 4).dt.replace_time_zone("UTC"),
        "raw": [b"1", None, b"2", b""],
        "flag": [True, None, False, True],
    }
)


def check(verb):
    """Compare a verb with Polars', its types before and after it has run."""
    query, expected = verb(ld.from_polars(FRAME)), verb(FRAME.lazy()).collect(engine="in-memory")
    assert query.schema().to_polars() == dict(expected.schema)
    assert_frame_equal(query.collect(), expected)


@pytest.mark.parametrize("column", FRAME.columns)
def test_columns_of_every_type_pass(column):
    """Dates, decimals, categories, lists, structs and arrays are sorted, grouped, counted and moved as Polars does."""
    check(lambda q: q.sort(column, maintain_order=True))
    check(lambda q: q.unique(column, keep="first", maintain_order=True))
    check(lambda q: q.group_by(column, maintain_order=True).agg(pl.len(), pl.exclude(column).first()))
    check(lambda q: q.group_by("k", maintain_order=True).agg(pl.col(column).alias("z")))
    check(lambda q: q.drop_nulls(column))
    check(lambda q: q.select(column).fill_null(strategy="forward"))
    check(lambda q: q.with_columns(pl.col(column).shift(1), z=pl.len().over(column)))
    check(lambda q: q.unpivot(column, index="x"))
    check(
        lambda q: q.pivot(
            "k", on_columns=["a", "b"], index="x", values=column, aggregate_function="first", maintain_order=True
        )
    )


AS_POLARS = {
    "sort by selector": lambda q: q.sort(cs.string(), maintain_order=True),
    "sort by several": lambda q: q.sort(
        "k", pl.col("x") * -1, descending=[True, False], nulls_last=[False, True], maintain_order=True
    ),
    "sort by no column": lambda q: q.sort(pl.int_range(pl.len()), descending=True, maintain_order=True),
    "unique of several": lambda q: q.unique(["k", "x"], keep="last", maintain_order=True),
    "unique by selector": lambda q: q.unique(cs.string(), keep="last", maintain_order=True),
    "unique by expression": lambda q: q.unique(pl.col("x") % 2, keep="first", maintain_order=True),
    "unique rows": lambda q: q.unique(keep="first", maintain_order=True),
    "slice from the end": lambda q: q.slice(-3, 2),
    "slice before the start": lambda q: q.slice(-6, 3),
    "slice far before the start": lambda q: q.slice(-100, 98),
    "no tail": lambda q: q.tail(0),
    "explode by selector": lambda q: q.explode(cs.list()),
    "explode": lambda q: q.explode("items"),
    "explode without nulls": lambda q: q.explode("items", empty_as_null=True, keep_nulls=False),
    "unpivot all": lambda q: q.select("x", "flag").unpivot(),
    "unpivot mixed": lambda q: q.unpivot(["x", "k"]),
    "unpivot others": lambda q: q.select("k", "x").unpivot(index="k"),
    "unpivot by selector": lambda q: q.unpivot(cs.by_name("x"), index=cs.by_name("k")),
    "unpivot nothing": lambda q: q.select("k", "x").unpivot([], index="k"),
    "number rows": lambda q: q.with_row_index("n", 5),
    "cast all": lambda q: q.select("x").cast(pl.String),
    "cast by selector": lambda q: q.cast({cs.integer(): pl.Float32}),
    "cast by type": lambda q: q.cast({pl.Int64: pl.Float32}),
    "cast to a Python type": lambda q: q.cast({"x": float}),
    "cast what cannot be": lambda q: q.select("k").cast({"k": pl.Int8}, strict=False),
    "cast nothing": lambda q: q.cast({}),
    "swap names": lambda q: q.rename({"k": "x", "x": "k"}),
    "rename by function": lambda q: q.rename(str.upper),
    "fill with a number": lambda q: q.select("k", "x", "flag", "price").fill_null(0),
    "fill with a float": lambda q: q.select("k", "x").fill_null(1.5),
    "fill with text": lambda q: q.select("k", "x", "kind").fill_null("p"),
    "fill with a truth": lambda q: q.select("x", "flag").fill_null(value=True),
    "fill with a decimal": lambda q: q.select("price").fill_null(Decimal(1)),
    "fill with an expression": lambda q: q.select("x").fill_null(pl.col("x").max()),
    "fill with the mean": lambda q: q.select("x").fill_null(strategy="mean"),
    "fill at most so many": lambda q: q.select("x").fill_null(strategy="backward", limit=1),
    "fill with zero": lambda q: q.select("x", "flag", "k").fill_null(strategy="zero"),
    "rows without nulls": lambda q: q.drop_nulls(),
    "rows without nulls in some": lambda q: q.drop_nulls(cs.string()),
}


@pytest.mark.parametrize("verb", AS_POLARS.values(), ids=AS_POLARS.keys())
def test_results_are_those_of_polars(verb):
    """Arguments mean what they mean in Polars."""
    check(verb)


def test_any_of_equal_rows_is_the_first():
    """A filter after it never changes which of the equal rows was kept, unless their order is given up."""
    data = ld.from_polars(pl.DataFrame({"k": ["a", "a", "b"], "x": [1, 2, 3]}))
    assert data.unique("k").filter(pl.col("x") == 2).take_all() == []
    assert data.unique("k").take_all() == [{"k": "a", "x": 1}, {"k": "b", "x": 3}]


REFUSED = {
    "sort": (lambda q: q.sort("xx"), ColumnNotFoundError, "did you mean 'x'"),
    "sort without keys": (lambda q: q.sort([]), ArgumentError, "at least one"),
    "sort flags": (lambda q: q.sort("k", descending=[True, False]), ArgumentError, "2 values for 1 keys"),
    "top_k": (lambda q: q.top_k(-1, by="x"), ArgumentError, "k must be"),
    "top_k of text": (lambda q: q.bottom_k("2", by="x"), ArgumentError, "k must be"),
    "top_k flags": (lambda q: q.top_k(1, by="x", reverse=[True, False]), ArgumentError, "reverse"),
    "unique": (lambda q: q.unique("zz"), ColumnNotFoundError, "zz"),
    "unique keep": (lambda q: q.unique(keep="some"), ArgumentError, "some"),
    "slice": (lambda q: q.slice(1.0), ArgumentError, "whole number"),
    "slice length": (lambda q: q.slice(0, -1), ArgumentError, "length"),
    "tail": (lambda q: q.tail(-1), ArgumentError, "n must be"),
    "explode": (lambda q: q.explode("zz"), ColumnNotFoundError, "zz"),
    "unpivot images and text": (
        lambda q: q.with_columns(image=pl.lit(None, dtype=ld.Schema({"i": ld.image_type()}).to_polars()["i"])).unpivot(
            ["k", "image"]
        ),
        SchemaError,
        "'image' is Image",
    ),
    "explode a number": (lambda q: q.explode("x"), SchemaError, "'x' is int64, not lists"),
    "explode a struct": (lambda q: q.explode("parts"), SchemaError, "not lists"),
    "unpivot": (lambda q: q.unpivot("zz"), ColumnNotFoundError, "zz"),
    "unpivot names": (lambda q: q.unpivot("x", index="k", variable_name="k"), SchemaError, "duplicate"),
    "pivot": (lambda q: q.pivot("k", ["a"]), ArgumentError, "index or values"),
    "row index": (lambda q: q.with_row_index("k"), SchemaError, "duplicate"),
    "row index offset": (lambda q: q.with_row_index(offset=-1), ArgumentError, "offset"),
    "cast": (lambda q: q.cast({"zz": pl.Int8}), ColumnNotFoundError, "zz"),
    "rename twice": (lambda q: q.rename({"k": "x"}), SchemaError, "one name"),
    "rename": (lambda q: q.rename({"kk": "z"}), ColumnNotFoundError, "did you mean 'k'"),
    "fill_null": (lambda q: q.fill_null(), ArgumentError, "either"),
    "fill_null of two": (lambda q: q.fill_null(0, "min"), ArgumentError, "either"),
    "fill_null strategy": (lambda q: q.fill_null(strategy="what"), ArgumentError, "forward"),
    "drop_nulls": (lambda q: q.drop_nulls("zz"), ColumnNotFoundError, "zz"),
    "sample": (lambda q: q.sample(), ArgumentError, "either"),
    "sample fraction": (lambda q: q.sample(fraction=2), ArgumentError, "fraction"),
    "seed": (lambda q: q.random_shuffle(seed="a"), ArgumentError, "seed"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_wrong_arguments_are_refused_when_the_query_is_built(case):
    """What cannot work is named before anything runs."""
    verb, error, words = case
    with pytest.raises(error, match=words):
        verb(ld.from_polars(FRAME))


def unknown():
    """Give a query whose columns only its rows tell."""
    return ld.range(6).map(lambda row: {"n": row["id"] % 3, "id": row["id"]})


def test_verbs_work_after_a_function_without_a_schema():
    """Columns that are not known yet can be named; selectors cannot pick them."""
    assert [row["id"] for row in unknown().sort("n", descending=True)] == [2, 5, 1, 4, 0, 3]
    assert unknown().unique("n", keep="first").count() == 3
    assert unknown().group_by("n").agg(pl.col("id").sum()).take_all()[0] == {"n": 0, "id": 3}
    assert [row["id"] for row in unknown().tail(2)] == [4, 5]
    assert unknown().with_row_index().columns == ["index", "n", "id"]
    with pytest.raises(ExpressionError, match="schema="):
        unknown().drop_nulls(cs.integer())
    with pytest.raises(ExpressionError, match="schema="):
        unknown().rename(str.upper)


@pytest.mark.parametrize("optimized", [True, False])
def test_rows_in_another_order_are_counted(optimized):
    """Rows that are mixed, or sorted by what reads no column, are there even where nobody reads their columns."""
    before = ld.config()
    ld.config(optimize=optimized)
    try:
        for mixed in (ld.range(4).random_shuffle(seed=1), ld.range(4).sort(pl.int_range(pl.len()), descending=True)):
            assert mixed.split(1)[0].count() == 4
            assert mixed.drop("id").tail(3).count() == 3
            assert mixed.drop("id").random_shuffle(seed=2).tail(3).count() == 3
    finally:
        ld.config(optimize=before.optimize)
