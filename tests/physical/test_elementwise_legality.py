"""Expressions give what Polars gives over the whole table, however the rows are cut."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import lightdata as ld
from lightdata.physical import builder

FRAME = pl.DataFrame(
    {
        "a": [3, None, 1, 7, 5, 5, 2, 9],
        "b": [1.5, 2.5, None, 0.5, 4.0, 4.0, -1.0, 2.0],
        "g": ["x", "y", "x", None, "y", "x", "z", "z"],
        "l": [[1, 2], [3], [], [4, 5, 6], None, [7], [8], [9, 1]],
    }
)
A, B, G, L = (pl.col(name) for name in "abgl")


@pytest.fixture(params=[1, 3, 5, 100])
def dataset(request, monkeypatch):
    for name in ("TASK_ROWS", "PLAIN_TASK_ROWS", "LIGHT_TASK_ROWS"):
        monkeypatch.setattr(builder, name, request.param)
    before = ld.config()
    ld.config(workers=0, progress=False)
    yield ld.from_polars(FRAME)
    ld.config(workers=before.workers, progress=before.progress)


OF_ALL_ROWS = {
    "share": A / A.max(),
    "shift": A.shift(1),
    "running sum": A.cum_sum(),
    "fill with mean": A.fill_null(B.mean()),
    "fill forward": A.fill_null(strategy="forward"),
    "backward fill": A.backward_fill(),
    "rank": A.rank(),
    "over": A.sum().over("g"),
    "duplicates": A.is_duplicated(),
    "first distinct": A.is_first_distinct(),
    "reverse": A.reverse(),
    "sort": A.sort(),
    "sort by": A.sort_by("b"),
    "rolling": A.rolling_mean(2),
    "difference": A.diff(),
    "row number": A * 0 + pl.int_range(pl.len()),
    "only row numbers": pl.int_range(pl.len()),
    "repeat": pl.repeat(1, pl.len()),
    "above mean": pl.when(A.mean() < A).then(A).otherwise(B),
    "clip by minimum": A.clip(A.min() + 1, None),
    "runs": A.rle_id(),
    "standardise": (B - B.mean()) / B.std(),
    "values beside": A + pl.lit(pl.Series(range(8))),
    "values alone": pl.lit(pl.Series(range(8))),
    "interpolate": A.interpolate(),
    "in the top": A.is_in(A.top_k(2).implode()),
    "condition on all": (A > 1) & (B.max() > 3),
    "reduce with shift": pl.reduce(lambda x, y: x.shift(1).fill_null(0) + y, [A, B]),
    "function of all": A.map_batches(lambda values: values.cum_sum(), return_dtype=pl.Int64),
    "count beside": A.len() + A,
    "codes": G.cast(pl.Categorical).to_physical(),
    "minimum with mean": pl.min_horizontal(A, A.mean()),
}
OF_EACH_ROW = {
    "sum": A + B,
    "value": A + 1,
    "known values": A.is_in([1, 5]),
    "coalesce": pl.coalesce(A, B),
    "when": pl.when(A > 3).then(A).otherwise(B),
    "struct": pl.struct(A, B),
    "text": pl.concat_str(G, A.cast(pl.String)),
    "fold": pl.fold(pl.lit(0), lambda x, y: x + y, [A, B]),
    "list length": L.list.len(),
    "list rank": L.list.eval(pl.element().rank()),
    "replace": G.replace_strict({"x": 1}, default=0),
    "upper": G.str.to_uppercase(),
    "null": A.is_null(),
    "row function": A.map_elements(lambda value: (value, 1)[0] + 1, return_dtype=pl.Int64),
}
OF_ANOTHER_LENGTH = {
    "explode": L.explode(),
    "filter inside": A.filter(A > 2),
    "drop nulls": A.drop_nulls(),
    "sum": A.sum(),
    "first": A.first(),
    "unique": G.unique(maintain_order=True),
    "head": A.head(4),
    "count": pl.len(),
    "literal": pl.lit(1),
    "null": pl.lit(None),
    "any": (A > 8).any(),
}


@pytest.mark.parametrize("name", OF_ALL_ROWS | OF_EACH_ROW)
def test_new_columns_equal_polars(dataset, name):
    """A new column has the values and the type it has over the whole table."""
    expr = {**OF_ALL_ROWS, **OF_EACH_ROW}[name].alias("out")
    assert_frame_equal(dataset.with_columns(expr).collect(), FRAME.with_columns(expr))
    assert_frame_equal(dataset.select(expr).collect(), FRAME.select(expr))


@pytest.mark.parametrize("name", OF_ANOTHER_LENGTH)
def test_selections_of_another_length_equal_polars(dataset, name):
    """A select may give any number of rows."""
    expr = OF_ANOTHER_LENGTH[name].alias("out")
    assert_frame_equal(dataset.select(expr).collect(), FRAME.select(expr))
    assert dataset.select(expr).count() == FRAME.select(expr).height


@pytest.mark.parametrize(
    "predicate",
    [
        A.max() == A,
        B.mean() < B,
        A.is_duplicated(),
        A.shift(1) > 2,
        A.cum_sum() < 20,
        (A.min() < A) & (G == "x"),
        pl.len() > 3,
        pl.lit(value=True),
        pl.lit(value=False),
        A.max() > 8,
        A > 3,
        A.is_null() | (B > 2),
        L.list.contains(A),
        pl.int_range(pl.len()) % 2 == 0,
    ],
)
def test_filters_equal_polars(dataset, predicate):
    """A filter keeps the rows it keeps over the whole table, also after another one."""
    assert_frame_equal(dataset.filter(predicate).collect(), FRAME.filter(predicate))
    twice = dataset.filter(A > 1).filter(predicate)
    assert_frame_equal(twice.collect(), FRAME.filter(A > 1).filter(predicate))
    assert twice.count() == FRAME.filter(A > 1).filter(predicate).height


def test_literals_fill_columns_but_not_tables(dataset):
    """A value beside columns is repeated; a value alone is one row."""
    for exprs in ([A, pl.lit(1)], [pl.lit(1), pl.lit("x").alias("y")], [A.sum(), pl.lit(1)], [A, B.mean()]):
        assert_frame_equal(dataset.select(exprs).collect(), FRAME.select(exprs))
        assert_frame_equal(dataset.with_columns(exprs).collect(), FRAME.with_columns(exprs))


def test_steps_after_steps_over_all_rows(dataset):
    """Steps over all rows follow one another, and row-wise steps follow them."""
    query = [A.cum_sum().alias("s"), (B / B.sum()).alias("p")]
    after = (pl.col("s") > 5) & (pl.col("p") < pl.col("p").max())
    expected = FRAME.with_columns(query).filter(after).with_columns(q=pl.col("s").shift(1) + A).head(2).select("q", "g")
    got = dataset.with_columns(query).filter(after).with_columns(q=pl.col("s").shift(1) + A).head(2).select("q", "g")
    assert_frame_equal(got.collect(), expected)


def test_an_error_in_polars_is_told(dataset):
    """What Polars refuses at run time is an error of ours with its reason, not how its reader was stopped."""
    with pytest.raises(ld.ExpressionError):
        dataset.filter(pl.lit(pl.Series([True, False]))).collect()
    with pytest.raises(ld.ExpressionError):
        dataset.with_columns(x=pl.lit(pl.Series([1, 2, 3]))).collect()


def test_functions_see_whole_expressions_first(dataset):
    """A running sum before a function is over all rows, and after one too."""
    ds = dataset.with_columns(s=A.cum_sum()).map(lambda row: {"s": row["s"]}, schema={"s": int})
    expected = FRAME.select(s=A.cum_sum())
    assert_frame_equal(ds.collect(), expected)
    assert_frame_equal(ds.select(pl.col("s").cum_sum()).collect(), expected.select(pl.col("s").cum_sum()))


def test_unknown_columns_refuse_what_needs_all_rows():
    """Where columns are unknown an expression over all rows is refused, with what to do."""
    with pytest.raises(ld.ExpressionError, match="pass schema="):
        ld.range(5).map(lambda row: row).with_columns(x=pl.col("id").cum_sum()).take_all()
