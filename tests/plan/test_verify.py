"""Wrong queries fail while they are built, with the name that was meant."""

import polars as pl
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.errors import ArgumentError, ColumnNotFoundError, ExpressionError, PlanError, SchemaError
from lightdata.expr.deferred import MARK
from lightdata.io.memory import MemorySource
from lightdata.plan.node import DecodeImages, Filter, Limit, ReadFiles, Rename, Scan
from lightdata.plan.verify import step_name, verify, verify_step

TABLE = pa.table({"path": ["a", "b"], "count": [1, 2]})


def same(row):
    """Give back what came."""
    return row


def dataset():
    return ld.Dataset(
        DecodeImages(
            input=ReadFiles(input=Scan(source=MemorySource(TABLE)), path="path", column="image"), column="image"
        )
    )


@pytest.mark.parametrize(
    ("build", "meant"),
    [
        (lambda ds: ds.select("imgae"), "image"),
        (lambda ds: ds.select(pl.col("cuont") + 1), "count"),
        (lambda ds: ds.with_columns(pl.col("imag").image.resize(2, 2)), "image"),
        (lambda ds: ds.filter(pl.col("pth") == "a"), "path"),
        (lambda ds: ds.filter(pth="a"), "path"),
        (lambda ds: ds.drop("coun"), "count"),
        (lambda ds: ds.rename({"pat": "x"}), "path"),
        (lambda ds: ds.map_batches(same, input_columns=["imag"]), "image"),
        (lambda ds: ds.write_numpy("never-made", "imag"), "image"),
    ],
)
def test_a_missing_column_names_the_nearest(build, meant):
    """A column that does not exist is refused at once, with the one that was meant."""
    with pytest.raises(ColumnNotFoundError, match=f"did you mean '{meant}'") as caught:
        build(dataset())
    assert "Columns: path, count, image" in str(caught.value)
    assert isinstance(caught.value, KeyError)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda ds: ds.filter("path"), SchemaError, "filter needs a condition"),
        (lambda ds: ds.filter(pl.col("count") + 1), SchemaError, "filter needs a condition"),
        (lambda ds: ds.filter(3), ArgumentError, "filter takes expressions"),
        (lambda ds: ds.filter(), ArgumentError, "needs a predicate"),
        (lambda ds: ds.select(), ArgumentError, "at least one column"),
        (lambda ds: ds.with_columns(), ArgumentError, "at least one column"),
        (lambda ds: ds.select("path", pl.col("count").alias("path")), ExpressionError, "two columns named 'path'"),
        (lambda ds: ds.rename({"path": "image"}), SchemaError, "two columns one name"),
        (lambda ds: ds.rename({"path": 3}), ArgumentError, "names"),
        (lambda ds: ds.drop(3), ArgumentError, "names and selectors"),
        (lambda ds: ds.limit(-1), ArgumentError, "0 or more"),
        (lambda ds: ds.limit(1.5), ArgumentError, "0 or more"),
        (lambda ds: ds.map("upper"), ArgumentError, "callable"),
        (lambda ds: ds.map(same, concurrency=0), ArgumentError, "concurrency"),
        (lambda ds: ds.map(same, concurrency=(3, 2)), ArgumentError, "concurrency"),
        (lambda ds: ds.map(same, schema=[int]), ArgumentError, "schema"),
        (lambda ds: ds.map(same, schema={"a": "no such type"}), ArgumentError, "no type"),
        (lambda ds: ds.map(lambda row: row, fn_constructor_args=(1,)), ArgumentError, "for classes"),
        (lambda ds: ds.map(same, nonsense=1), ArgumentError, "nonsense"),
        (lambda ds: ds.map_batches(same, batch_size=0), ArgumentError, "batch_size"),
        (lambda ds: ds.map_batches(same, batch_format="rows"), ArgumentError, "batch_format"),
        (lambda ds: ds.select(pl.col("path").image.width()), SchemaError, "image"),
        (lambda ds: ds.select(pl.col("count") / pl.col("path")), PlanError, "."),
    ],
)
def test_wrong_arguments_fail_when_the_query_is_built(build, error, message):
    """What cannot work is refused before anything runs."""
    with pytest.raises(error, match=message):
        build(dataset())


def test_a_class_without_call_is_refused():
    """Instances of a class that is given as a function must be callable."""

    class Plain:
        pass

    with pytest.raises(ArgumentError, match="cannot be called"):
        dataset().map(Plain)


def test_the_first_wrong_step_is_told():
    """A whole plan is checked from the source on."""
    plan = Scan(source=MemorySource(TABLE))
    wrong = Rename(input=Rename(input=plan, names=(("first", "a"),)), names=(("second", "b"),))
    with pytest.raises(ColumnNotFoundError, match="'first'"):
        verify(wrong)


def test_only_bytes_are_decoded():
    """Decoding text is refused."""
    with pytest.raises(SchemaError, match="decode: column 'path' is string"):
        verify_step(DecodeImages(input=Scan(source=MemorySource(TABLE)), column="path"))


def test_the_mark_is_reserved():
    """A user's column that bears the mark of deferred columns is refused."""
    with pytest.raises(SchemaError, match="reserved"):
        ld.from_arrow(pa.table({f"{MARK}a": [1]}))


def test_names_wait_where_the_schema_is_unknown():
    """After a function without schema nothing is checked until rows come."""
    ds = ld.range(3).map(lambda row: {"a": row["id"]}).filter(pl.col("b") > 1).drop("c").rename({"d": "e"})
    with pytest.raises(ColumnNotFoundError, match="'b'"):
        ds.take_all()


def test_steps_are_named_as_users_know_them():
    """Errors name steps by their verbs."""
    scan = Scan(source=MemorySource(TABLE))
    assert step_name(Limit(input=scan, n=1)) == "limit"
    assert step_name(dataset().with_columns(x=1)._plan) == "with_columns"
    assert step_name(dataset()._plan) == "decode"
    assert step_name(dataset().map_batches(same)._plan) == "map_batches(same)"


def test_filters_are_split():
    """Several predicates become several steps, so that each can move by itself."""
    plan = dataset().filter(pl.col("count") > 1, path="a")._plan
    assert isinstance(plan, Filter)
    assert isinstance(plan.input, Filter)
