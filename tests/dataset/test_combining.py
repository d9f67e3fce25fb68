"""Datasets brought together: the arguments and results of Polars, and errors when the query is built."""

import datetime as dt

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import lightdata as ld
from lightdata.errors import ArgumentError, ColumnNotFoundError, ExpressionError, SchemaError

LEFT = pl.DataFrame(
    {"k": ["a", "b", "a", None], "x": [1, 2, None, 4], "d": [dt.date(2020, 1, n) for n in (1, 2, 3, 4)]}
)
RIGHT = LEFT.select("k", "x")
JOINS = pytest.mark.parametrize("how", ["inner", "left", "right", "full", "semi", "anti"])


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


def check(verb):
    """Compare a verb with Polars'; its other input is a frame for both."""
    query = verb(ld.from_polars(LEFT), lambda frame: frame)
    expected = verb(LEFT.lazy(), lambda frame: frame.lazy()).collect()
    assert query.schema().to_polars() == dict(expected.schema)
    assert_frame_equal(query.collect(), expected)


@JOINS
def test_joins_are_those_of_polars(how):
    """Kinds, keys of several columns and expressions, and coalescing give what Polars gives."""
    order = {"how": how, "maintain_order": "left_right"}
    for coalesce in (None, True, False):
        check(lambda q, o, c=coalesce: q.join(o(RIGHT), on="k", coalesce=c, **order))
    check(lambda q, o: q.join(o(RIGHT), on=["k", "x"], **order))
    check(lambda q, o: q.join(o(RIGHT), on="k", nulls_equal=True, **order))
    check(lambda q, o: q.join(o(RIGHT), left_on=pl.col("x") + 1, right_on="x", **order))
    check(lambda q, o: q.join(o(RIGHT.rename({"k": "kk"})), left_on="k", right_on="kk", **order))


def test_cross_and_asof_joins_are_those_of_polars():
    """A cross join pairs all rows; an asof join takes the nearest within a tolerance."""
    check(lambda q, o: q.join(o(RIGHT.head(2)), how="cross", maintain_order="left_right"))
    dates = LEFT.select("d", "k", y="x").with_columns(pl.col("d") + pl.duration(days=1))
    for more in ({}, {"tolerance": "1d"}, {"tolerance": dt.timedelta(days=1), "allow_exact_matches": False}):
        check(lambda q, o, m=more: q.join_asof(o(dates), on="d", strategy="nearest", **m))
    check(lambda q, o: q.join_asof(o(dates), on="d", by="k", strategy="forward", check_sortedness=False))


def clashing():
    """Give a query in which a joined column's new name is taken."""
    return ld.from_polars(LEFT.rename({"d": "x_right"}))


DATA = ld.from_polars(LEFT)
REFUSED = {
    "no keys": (lambda: DATA.join(RIGHT), ArgumentError, "needs on"),
    "kind": (lambda: DATA.join(RIGHT, on="k", how="outer"), ArgumentError, "full"),
    "cross with keys": (lambda: DATA.join(RIGHT, on="k", how="cross"), ArgumentError, "no keys"),
    "left key": (lambda: DATA.join(RIGHT, on="kk"), ColumnNotFoundError, "did you mean 'k'"),
    "right key": (lambda: DATA.join(RIGHT, left_on="k", right_on="d"), ColumnNotFoundError, "Columns: k, x"),
    "what": (lambda: DATA.join([1], on="k"), ArgumentError, "got list"),
    "order": (lambda: DATA.join(RIGHT, on="k", maintain_order="up"), SchemaError, "maintain_order"),
    "validate": (lambda: DATA.join(RIGHT, on="k", validate="1:2"), SchemaError, "validate"),
    "keys": (lambda: DATA.join(RIGHT, left_on=["k", "x"], right_on="k"), ArgumentError, "as many"),
    "both": (lambda: DATA.join(RIGHT, on="k", left_on="x"), ArgumentError, "not both"),
    "types": (lambda: DATA.join(RIGHT, left_on="k", right_on="x"), SchemaError, "join"),
    "taken name": (lambda: clashing().join(RIGHT, on="k"), SchemaError, "x_right"),
    "empty suffix": (lambda: DATA.join(RIGHT, on="k", suffix=""), SchemaError, "duplicate"),
    "asof without a key": (lambda: DATA.join_asof(RIGHT), ArgumentError, "one key"),
    "asof of two keys": (lambda: DATA.join_asof(RIGHT, on=["x", "k"]), ArgumentError, "one key"),
    "asof strategy": (lambda: DATA.join_asof(RIGHT, on="x", strategy="up"), SchemaError, "strategy"),
    "asof group": (lambda: DATA.join_asof(LEFT, on="d", by="zz"), ColumnNotFoundError, "zz"),
    "asof tolerance": (lambda: DATA.join_asof(LEFT, on="d", tolerance="far"), SchemaError, "duration"),
    "union": (lambda: DATA.union(RIGHT), SchemaError, "concat"),
    "group_by": (lambda: DATA.group_by("kk"), ColumnNotFoundError, "did you mean 'k'"),
    "test size": (lambda: DATA.train_test_split(1.5), ArgumentError, "test_size"),
    "split": (lambda: DATA.split(0), ArgumentError, "at least one"),
    "indices": (lambda: DATA.split_at_indices([3, 1]), ArgumentError, "ascending"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_wrong_arguments_are_refused_when_the_query_is_built(case):
    """What cannot work is named before anything runs."""
    build, error, words = case
    with pytest.raises(error, match=words):
        build()


def test_columns_side_by_side_have_different_names_and_as_many_rows():
    """A horizontal concat refuses a name twice and other numbers of rows; the one that extends fills with nulls."""
    a, b = ld.range(2), ld.range(3).rename({"id": "b"})
    with pytest.raises(SchemaError, match="'id'"):
        ld.concat([a, a], how="horizontal")
    with pytest.raises(SchemaError, match="2 rows"):
        ld.concat([a, b], how="horizontal").take_all()
    extended = ld.concat([a, b], how="horizontal_extend")
    assert extended.take_all()[2] == {"id": None, "b": 2}


def test_no_two_columns_get_one_name():
    """Results of one name are refused wherever a verb makes several."""
    for build in (
        lambda: DATA.select("x", pl.col("k").alias("x")),
        lambda: DATA.with_columns(pl.col("x").alias("y"), pl.col("k").alias("y")),
        lambda: DATA.group_by("k").agg(pl.col("x"), pl.col("d").alias("x")),
        lambda: DATA.group_by("k").agg(pl.col("x").alias("k")),
    ):
        with pytest.raises(ExpressionError, match=r"named|key already"):
            build()
