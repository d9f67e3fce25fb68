"""Predicates of Polars as Arrow's, over the statistics of Parquet."""

import datetime as dt
import types

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lightdata as ld
from lightdata.io.formats.parquet import ParquetFormat

VALUES = {
    "i": (pl.Int16, st.integers(-3, 3)),
    "f": (pl.Float64, st.sampled_from([0.0, -0.0, 1.5, -1.5, float("nan"), float("inf"), float("-inf")])),
    "s": (pl.String, st.sampled_from(["", "a", "ab", "b", "é"])),
    "d": (pl.Date, st.dates(dt.date(1969, 12, 30), dt.date(1970, 1, 3))),
    "b": (pl.Boolean, st.booleans()),
    "c": (pl.Categorical, st.sampled_from(["u", "v", "w"])),
}


@st.composite
def comparisons(draw):
    name = draw(st.sampled_from(sorted(VALUES)))
    kind, values = VALUES[name]
    column, value, other = pl.col(name), draw(values), draw(values)
    literal = pl.lit(value, dtype=pl.String if kind is pl.Categorical else kind)
    match draw(st.integers(0, 9)):
        case 0:
            return column == literal
        case 1:
            return column != literal
        case 2:
            return column.is_null()
        case 3:
            return column.is_not_null()
        case 4:
            return column.is_in([value, other])
        case 5 if kind is not pl.Categorical:
            return column.is_between(literal, pl.lit(other, dtype=kind))
        case 6 if kind is not pl.Categorical:
            return literal < column
        case 7 if kind is not pl.Categorical:
            return column > literal
        case 8 if kind is not pl.Categorical:
            return column <= value
        case _:
            return column.eq_missing(literal)


predicates = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.builds(lambda a, b: a & b, inner, inner),
        st.builds(lambda a, b: a | b, inner, inner),
        st.builds(lambda a: ~a, inner),
    ),
    max_leaves=4,
)
rows = st.fixed_dictionaries({name: st.none() | values for name, (_, values) in VALUES.items()})


@pytest.mark.parametrize("stored", [0.0, -0.0])
@pytest.mark.parametrize("asked", [[0.0], [-0.0], [0.0, 5.0], [-7.0, 0.0, -0.0]])
@pytest.mark.parametrize("by", ["polars", "arrow"])
def test_both_zeros_are_one(tmp_path, stored, asked, by):
    """A row of either zero is found in a list that holds either, whoever wrote the statistics."""
    frame = pl.DataFrame({"f": [stored, None]})
    if by == "polars":
        frame.write_parquet(tmp_path / "a.parquet")
    else:
        pq.write_table(frame.to_arrow(), tmp_path / "a.parquet")
    assert len(ld.read_parquet(tmp_path).filter(pl.col("f").is_in(asked)).take_all()) == 1


@pytest.mark.filterwarnings("ignore")
@settings(deadline=None, max_examples=150)
@given(table=st.lists(rows, min_size=1, max_size=12), predicate=predicates)
def test_no_row_group_with_a_row_that_is_wanted_is_left_out(tmp_path_factory, table, predicate):
    """Whatever the predicate and the values, NaN and null among them, the groups left out hold no row that it keeps."""
    frame = pl.DataFrame(table, schema={name: kind for name, (kind, _) in VALUES.items()})
    path = str(tmp_path_factory.mktemp("groups") / "a.parquet")
    frame.write_parquet(path, row_group_size=2, statistics=True)
    file_format = ParquetFormat().learned(path, None)
    asked = types.SimpleNamespace(expr=predicate)
    every = [part.key for part in file_format.parts(path, None, rows=9, predicate=None)]
    kept = {part.key for part in file_format.parts(path, None, rows=9, predicate=asked)}
    assert kept <= set(every)
    start = 0
    for part in file_format.parts(path, None, rows=9, predicate=None):
        group = frame.slice(start, part.rows)
        start += part.rows
        assert part.key in kept or group.filter(predicate).is_empty()
