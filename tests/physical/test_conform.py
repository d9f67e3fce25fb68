"""One schema for all batches of a function that declared none."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.errors import ArgumentError, SchemaError
from lightdata.physical import builder
from lightdata.physical.driver_steps import Conform, LimitRows, Rebatch
from lightdata.plan.schema import schema_of
from lightdata.types.schema import Schema


@pytest.fixture(autouse=True)
def _small_tasks(monkeypatch):
    for name in ("TASK_ROWS", "PLAIN_TASK_ROWS", "LIGHT_TASK_ROWS"):
        monkeypatch.setattr(builder, name, 2)
    before = ld.config()
    ld.config(workers=0, progress=False)
    yield
    ld.config(workers=before.workers, progress=before.progress)


def mapped(*values):
    return ld.range(len(values)).map(lambda row: {"x": values[row["id"]]})


def test_the_first_rows_fix_the_type():
    """Later integers become the floats that the first batch had."""
    assert mapped(0.5, 1.0, 2, 3).collect()["x"].to_list() == [0.5, 1.0, 2.0, 3.0]
    assert mapped(0.5, 1.0, 2, 3).collect().schema == {"x": pl.Float64}


@pytest.mark.parametrize("values", [(1, 2, 3.5, 4.0), (1, 2, "a", "b"), (True, True, "a", "b"), (1, 2, [1], [2])])
def test_what_would_lose_values_fails_naming_the_row(values):
    """A later batch that does not fit names the rows and says what to do."""
    with pytest.raises(SchemaError) as caught:
        mapped(*values).collect()
    assert "rows from 2 on" in str(caught.value)
    assert "schema=" in str(caught.value)


def test_what_no_column_holds_is_told():
    """A number that no column type holds names its column."""
    with pytest.raises(SchemaError, match="column 'x'"):
        mapped(1, 2, 2**70, 1).collect()


def test_integers_that_are_whole_floats_fit():
    """Whole floats become the integers that the first batch had, since nothing is lost."""
    assert mapped(1, 2, 3.0, 4.0).collect().schema == {"x": pl.Int64}


def test_null_columns_stay_open():
    """A column that was only null so far takes the type of the first value."""
    assert mapped(None, None, None, None, 7, None).collect().to_dict(as_series=False) == {
        "x": [None, None, None, None, 7, None]
    }
    assert mapped(None, None, "a", None).collect().schema == {"x": pl.String}
    assert mapped(3, None, None, None).collect().schema == {"x": pl.Int64}
    assert mapped(None, None, None).collect()["x"].null_count() == 3


def test_null_columns_open_to_arrays():
    """Nulls first and arrays later make one tensor column."""
    rows = mapped(None, None, np.ones(3, np.float32), np.zeros(3, np.float32)).take_all()
    assert rows[0] == {"x": None}
    assert rows[2]["x"].tolist() == [1.0, 1.0, 1.0]


def test_arrays_of_other_shapes_fit():
    """Arrays are variable tensors, so a later shape is no mistake."""
    ds = ld.range(4).map(lambda row: {"x": np.zeros(1 + row["id"])})
    assert [row["x"].shape for row in ds.take_all()] == [(1,), (2,), (3,), (4,)]


def test_other_columns_fail_naming_the_row():
    """A later batch with other columns is refused; another order is put right."""
    with pytest.raises(SchemaError, match=r"rows from 2 on have columns b, the rows before had a"):
        ld.range(4).map(lambda row: {"a": 1} if row["id"] < 2 else {"b": 1}).collect()
    ordered = ld.range(4).map(lambda row: {"a": 1, "b": 2} if row["id"] < 2 else {"b": 2, "a": 1})
    assert ordered.collect().columns == ["a", "b"]


def test_a_declared_column_that_is_missing_is_told():
    """A function that does not give a column it declared is told which."""
    for verb in ("map", "flat_map", "map_batches"):
        give = {"map": lambda row: {"b": 1}, "flat_map": lambda row: [{"b": 1}], "map_batches": lambda b: {"b": [1]}}
        with pytest.raises(SchemaError, match="column 'a' was declared"):
            getattr(ld.range(3), verb)(give[verb], schema={"a": int}).collect()


def test_declared_types_hold_whatever_comes():
    """Declared types are cast to without loss, from the first row on."""
    ds = ld.range(4).map(lambda row: {"x": row["id"] if row["id"] < 2 else row["id"] + 0.5}, schema={"x": float})
    assert ds.collect()["x"].to_list() == [0.0, 1.0, 2.5, 3.5]
    with pytest.raises(SchemaError, match="without loss"):
        ld.range(4).map(lambda row: {"x": 0.5}, schema={"x": int}).collect()


def test_checks_wait_for_the_first_rows():
    """After an unknown schema expressions and selectors are bound by each batch."""
    ds = mapped(1, 2, 3, 4).with_columns(pl.all() * 10, y=pl.col("x")).filter(pl.col("x") > 10).select("y", "x")
    assert schema_of(ds._plan) is None
    assert ds.take_all() == [{"y": 2, "x": 20}, {"y": 3, "x": 30}, {"y": 4, "x": 40}]
    assert ds.schema().names == ["y", "x"]
    with pytest.raises(ld.ColumnNotFoundError, match="did you mean 'xx'"):
        ld.range(3).map(lambda row: {"xx": 1}).select("xxx").take_all()


@pytest.mark.parametrize("optimize", [True, False])
def test_unknown_columns_give_the_same_rows(optimize):
    """Optimized or not, the same rows come after an unknown schema."""
    ld.config(optimize=optimize)
    ds = mapped(*range(9)).filter(pl.col("x") % 2 == 0).limit(3).rename({"x": "y"}).drop()
    assert ds.take_all() == [{"y": 0}, {"y": 2}, {"y": 4}]
    assert mapped(*range(9)).limit(3).filter(pl.col("x") > 0).take_all() == [{"x": 1}, {"x": 2}]
    assert mapped(*range(9)).map_batches(lambda b: {"z": b["x"][:1]}).limit(2).take_all() == [{"z": 0}, {"z": 2}]
    ld.config(optimize=True)


def batch(**columns):
    return pa.record_batch({name: pa.array(values) for name, values in columns.items()})


def test_conform_skips_empty_batches_until_it_knows():
    """Batches without rows decide nothing."""
    step = Conform(stage="result")
    given = [batch(x=[]), batch(x=[1]), batch(x=[None, None])]
    assert [one.column(0).type for one in step.run(iter(given))] == [pa.int64(), pa.int64()]


def test_conform_keeps_to_a_declared_schema():
    """Where the schema is known even the first batch must fit."""
    step = Conform(stage="result", schema=Schema({"x": pa.float64()}))
    assert [one.column(0).to_pylist() for one in step.run(iter([batch(x=[1, 2])]))] == [[1.0, 2.0]]
    with pytest.raises(SchemaError, match="rows from 1 on"):
        list(step.run(iter([batch(x=[1]), batch(x=["a"])])))


def test_limits_stop_asking():
    """A limit takes no batch it does not need, and none for no rows."""
    for n, taken in ((0, 0), (1, 1), (2, 1), (3, 2)):
        asked = []

        def given(asked=asked):
            for number in range(5):
                asked.append(number)
                yield batch(x=[1, 2])

        assert sum(one.num_rows for one in LimitRows(n=n).run(given())) == n
        assert len(asked) == taken


def test_batches_are_cut_anew():
    """Rows keep their order in batches of the size that was asked for."""
    cut = list(Rebatch(rows=3).run(iter([batch(x=[1, 2]), batch(x=[]).cast(batch(x=[1]).schema), batch(x=[3, 4])])))
    assert [one.column(0).to_pylist() for one in cut] == [[1, 2, 3], [4]]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
def test_a_batch_function_gets_the_batches_it_asked_for(size):
    """Batches have the size that was asked for, whatever the tasks and filters before."""
    ds = ld.range(11).map_batches(lambda b: {"n": [len(b["id"])]}, batch_size=size)
    assert [row["n"] for row in ds.take_all()] == [size] * (11 // size) + ([11 % size] if 11 % size else [])
    kept = ld.range(22).filter(pl.col("id") % 2 == 0).map_batches(lambda b: {"n": [len(b["id"])]}, batch_size=size)
    assert kept.take_all() == ds.take_all()
    with pytest.raises(ArgumentError):
        ld.range(3).map_batches(lambda b: b, batch_size=0)
