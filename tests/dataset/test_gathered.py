"""What only Polars makes is collected as Polars has it, and is the same as what is streamed."""

import threading

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.dataset.gathered import gathered_frame, gathered_table
from lightdata.dataset.run import executed_by
from lightdata.errors import ExpressionError
from lightdata.execute.inline import InlineExecutor
from lightdata.physical.lower import lower
from lightdata.plan.schema import schema_of

ROWS = 150_000

TABLE = pa.table(
    {
        "a": np.arange(ROWS),
        "k": pa.array([None if n % 7 == 0 else n % 11 for n in range(ROWS)]),
        "s": pa.array([f"s{n % 13}" for n in range(ROWS)]).dictionary_encode(),
        "b": pa.array([b"x" * (n % 3) for n in range(ROWS)], pa.binary()),
        "l": pa.array([[n] * (n % 3) for n in range(ROWS)]),
        "d": pa.array([n % 5 for n in range(ROWS)], pa.date32()),
    }
)

OTHER = pl.DataFrame({"k": [1, 2, 3, 3], "y": ["one", "two", "three", None]})

QUERIES = {
    "with_columns": lambda ds: ds.with_columns(twice=pl.col("a") * 2),
    "filter": lambda ds: ds.filter(pl.col("a") % 3 == 0),
    "filter of none": lambda ds: ds.filter(pl.col("a") < 0),
    "select": lambda ds: ds.select("b", pl.col("a").cast(pl.Int8, strict=False)),
    "running sum": lambda ds: ds.with_columns(pl.col("a").cum_sum()),
    "drop and rename": lambda ds: ds.drop("b").rename({"a": "z"}),
    "head": lambda ds: ds.filter(pl.col("a") > 5).head(70_000),
    "slice": lambda ds: ds.slice(100, 3),
    "tail": lambda ds: ds.tail(3),
    "sort": lambda ds: ds.sort("k", "d", descending=True),
    "unique": lambda ds: ds.unique("k"),
    "group_by": lambda ds: ds.group_by("k", "s").agg(pl.col("a").sum(), pl.len()),
    "join": lambda ds: ds.join(OTHER, on="k", how="left"),
    "inner join": lambda ds: ds.join(OTHER.lazy(), on="k"),
    "self join": lambda ds: ds.head(50).join(ds.head(50), on="a"),
    "explode": lambda ds: ds.explode("l"),
    "unpivot": lambda ds: ds.head(9).unpivot(on=["a", "k"], index="b"),
    "pivot": lambda ds: ds.filter(pl.col("k") < 3).pivot(
        "k", on_columns=[1, 2], index="d", values="a", aggregate_function="sum"
    ),
    "row index": lambda ds: ds.with_row_index(),
    "sample": lambda ds: ds.sample(n=50, seed=3),
    "shuffle": lambda ds: ds.random_shuffle(seed=3),
    "enum": lambda ds: ds.select(e=pl.lit("x").cast(pl.Enum(["x", "y"])), a="a"),
}


@pytest.fixture(autouse=True)
def _quiet():
    before = ld.config()
    ld.config(progress=False)
    yield
    ld.config(progress=before.progress)


def streamed(ds):
    """Give what a query gives batch by batch."""
    batches = list(ds.iter_batches(batch_size=None, batch_format="pyarrow"))
    return gathered_table(
        [one.to_batches()[0] if isinstance(one, pa.Table) else one for one in batches], schema_of(ds._plan)
    )


def spelled_out(table):
    """Write each value of a dictionary out: batches may number them in their own way."""
    kinds = [kind.value_type if pa.types.is_dictionary(kind) else kind for kind in table.schema.types]
    return table.cast(pa.schema(list(zip(table.schema.names, kinds, strict=True))))


@pytest.mark.parametrize("source", [ld.from_arrow, lambda table: ld.from_polars(pl.from_arrow(table).lazy())])
@pytest.mark.parametrize("name", QUERIES)
def test_collecting_equals_streaming(name, source):
    """Whatever the step and the source, rows, order and types are those of the batches, as a frame and as a table."""
    ds = QUERIES[name](source(TABLE))
    expected = streamed(ds)
    table = ds.to_arrow()
    assert table.schema.equals(expected.schema)
    assert spelled_out(table).equals(spelled_out(expected))
    frame, same = ds.collect(), pl.DataFrame(pl.from_arrow(expected))
    assert frame.schema == same.schema
    assert frame.equals(same)


@pytest.mark.parametrize("name", QUERIES)
def test_such_a_query_is_one_of_polars_and_nothing_else(name):
    """It is lowered to one segment that gives frames, without tasks, batches or workers."""
    pipeline = lower(QUERIES[name](ld.from_arrow(TABLE))._plan, workers=2, frames=True)
    assert pipeline.steps == ()
    assert pipeline.inputs == ()
    assert pipeline.start.gives_frames


class Watched(InlineExecutor):
    """Notes the types of what a run gives."""

    given = ()

    def run(self, pipeline, /):
        """Pass on what is given."""
        for one in super().run(pipeline):
            Watched.given += (type(one),)
            yield one


def test_many_rows_are_few_frames():
    """A query of many rows gives one frame, told in its run, and the executor that was chosen runs it."""
    Watched.given = ()
    ds = ld.from_arrow(TABLE).filter(pl.col("a") % 3 == 0)
    with executed_by(lambda _, log: Watched(log)):
        assert ds.collect().height == ROWS // 3
    assert Watched.given == (pl.DataFrame,)
    assert (ds.stats().rows, ds.stats().is_finished, ds.stats().stages) == (ROWS // 3, True, ())


def test_rows_without_columns_are_still_counted():
    """A query that leaves no column is no frame, which would forget its rows."""
    ds = ld.from_arrow(TABLE).filter(pl.col("a") < 5).drop(*TABLE.schema.names)
    assert ds.to_arrow().num_rows == 5
    assert ds.count() == 5


def test_an_error_is_told_in_our_words():
    """What Polars finds wrong in the rows is an error of ours, and no thread is left."""
    before = threading.enumerate()
    wrong = ld.from_arrow(TABLE).select(pl.col("s").cast(pl.String).cast(pl.Int64))
    for run in (wrong.collect, wrong.to_arrow):
        with pytest.raises(ExpressionError, match="conversion from `str` to `i64` failed"):
            run()
    assert {*threading.enumerate()} <= {*before}


def test_what_is_kept_does_not_change_with_an_array():
    """Rows of NumPy arrays that are collected are copies, also where Polars only passes them on."""
    array = np.arange(9)
    ds = ld.from_numpy({"a": array})
    kept = [ds.to_arrow(), ds.materialize().to_arrow(), ds.with_columns(b=pl.col("a") * 2).to_arrow()]
    frames = [ds.collect(), ds.with_columns(b=pl.col("a") * 2).collect()]
    array[0] = 99
    assert [table.column("a")[0].as_py() for table in kept] == [0, 0, 0]
    assert [frame["a"][0] for frame in frames] == [0, 0]


def test_a_few_rows_do_not_hold_their_table():
    """The first rows of a table are kept in memory of their own."""
    few = ld.from_arrow(TABLE).head(3).to_arrow()
    assert few.get_total_buffer_size() < 1000


def test_frames_of_other_types_become_those_of_the_plan():
    """A frame whose types are not those of the plan is cast as a batch would be."""
    frame = pl.DataFrame({"a": [1, 2]}, schema={"a": pl.Int32})
    schema = schema_of(ld.range(1).rename({"id": "a"})._plan)
    assert gathered_frame([frame], schema).schema == {"a": pl.Int64}
    assert gathered_table([frame, frame], schema).column("a").to_pylist() == [1, 2, 1, 2]
    assert gathered_frame([], schema).schema == {"a": pl.Int64}
