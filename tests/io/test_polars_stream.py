"""What is expected of Polars' unstable hooks: a test that fails here says which expectation a new Polars breaks."""

import gc
import threading
import time
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.errors import ExpressionError
from lightdata.io.polars_stream import Upstream, collect_stream, let_go, rows_without_columns, scan_opened, scan_stream
from lightdata.types.image import fixed_images
from lightdata.types.schema import Schema

NUMBERS = Schema({"a": pa.int64(), "b": pa.large_string()})


def batch(*values):
    return pa.record_batch({"a": pa.array(values, pa.int64()), "b": pa.array(map(str, values), pa.large_string())})


class Recorded:
    """A function that opens a stream, and what it was told."""

    def __init__(self, *batches, error=None):
        self.batches, self.error = batches, error
        self.asked, self.given, self.closed = [], 0, 0

    def __call__(self, columns, predicate, n_rows):
        self.asked.append((columns, None if predicate is None else str(predicate), n_rows))
        try:
            for one in self.batches:
                self.given += 1
                yield one
            if self.error is not None:
                raise self.error
        finally:
            self.closed += 1


def rows(query):
    return [row for one in collect_stream(query) for row in one.to_pylist()]


def test_columns_reach_the_source():
    """Polars asks for the columns that a query reads, and for those only."""
    opened = Recorded(batch(1, 2))
    assert rows(scan_opened(opened, NUMBERS).select("b")) == [{"b": "1"}, {"b": "2"}]
    assert opened.asked == [(["b"], None, None)]


def test_a_predicate_reaches_the_source_and_is_about_the_first_rows():
    """A limit before a filter is pushed with it, and means: filter the first rows."""
    opened = Recorded(batch(1, 2), batch(3, 4))
    query = scan_opened(opened, NUMBERS).head(3).filter(pl.col("a") > 1).select("a")
    assert [row["a"] for row in rows(query)] == [2, 3]
    (asked,) = opened.asked
    assert asked[0] == ["a"]
    assert asked[1] is not None
    assert asked[2] == 3


def test_a_limit_after_a_filter_is_not_pushed():
    """A filter before a limit must not become a limit before a filter."""
    opened = Recorded(batch(1, 2), batch(3, 4))
    query = scan_opened(opened, NUMBERS).filter(pl.col("a") > 1).head(2)
    assert [row["a"] for row in rows(query)] == [2, 3]
    assert opened.asked[0][2] is None


def test_rows_without_columns_are_counted():
    """A query that only counts gets the height of batches without columns."""
    opened = Recorded(batch(1, 2), batch(3))
    assert rows(scan_opened(opened, NUMBERS).select(pl.len())) == [{"len": 3}]
    nothing = scan_stream(Upstream(iter([rows_without_columns(3), rows_without_columns(2)])), Schema({}))
    assert sum(one.num_rows for one in collect_stream(nothing)) == 5


@pytest.mark.parametrize("sizes", [[], [0], [1] * 50, [0, 3, 0, 1], [100_000, 1]])
def test_order_is_kept_whatever_the_batches(sizes):
    """Zero batches, empty ones, and batches of one row leave in the order they came."""
    ends = np.cumsum([0, *sizes])
    opened = Recorded(*(batch(*range(a, b)) for a, b in pairwise(ends)))
    query = scan_opened(opened, NUMBERS).with_columns(c=pl.col("a") * 2)
    assert [row["c"] for row in rows(query)] == list(range(0, 2 * int(ends[-1]), 2))


VERBS = {
    "filter": lambda frame: frame.filter(pl.col("k") > 0),
    "sort": lambda frame: frame.sort("k", descending=True),
    "head": lambda frame: frame.head(3),
    "slice": lambda frame: frame.slice(1, 2),
    "tail": lambda frame: frame.tail(2),
    "unique": lambda frame: frame.unique("k", maintain_order=True),
    "group_by": lambda frame: frame.group_by("k", maintain_order=True).agg(pl.col("x").first()),
    "group_by list": lambda frame: frame.group_by("k", maintain_order=True).agg(pl.col("x")).explode("x"),
    "join": lambda frame: frame.join(pl.LazyFrame({"k": [0, 1]}), on="k", how="left", maintain_order="left"),
    "cross": lambda frame: frame.join(pl.LazyFrame({"y": [0, 1]}), how="cross", maintain_order="left"),
    "concat": lambda frame: pl.concat([frame.head(1), frame.head(1)]),
    "with_row_index": lambda frame: frame.with_row_index(),
    "gather": lambda frame: frame.select(pl.all().gather([2, 0])),
    "over": lambda frame: frame.with_columns(pl.col("k").sum().over("k").alias("n")),
}


@pytest.mark.parametrize("verb", VERBS)
def test_image_types_survive_each_verb(verb):
    """An image column keeps its extension type, with its parameters, and its pixels."""
    pixels = fixed_images(np.arange(4 * 12, dtype=np.uint8).reshape(4, 2, 2, 3), "RGB")
    table = pa.record_batch({"x": pixels, "k": pa.array([0, 1, 0, 1])})
    schema = Schema.of(table)
    query = VERBS[verb](scan_stream(Upstream(iter([table.slice(0, 3), table.slice(3)])), schema))
    found = pa.Table.from_batches(list(collect_stream(query)))
    assert found.schema.field("x").type == schema["x"]
    stored = set(pixels.storage.to_pylist())
    assert found.num_rows
    assert {value for chunk in found.column("x").chunks for value in chunk.storage.to_pylist()} <= stored


class MineError(OSError):
    """A user's exception."""


@pytest.mark.parametrize("error", [MineError("a.jpg"), KeyError("k"), ValueError("v"), StopAsyncIteration("s")])
@pytest.mark.parametrize("verb", ["filter", "sort", "join"])
def test_an_error_of_a_source_is_raised_as_it_is(error, verb):
    """Polars passes on the very exception of a source, with its type and notes."""
    error.__notes__ = ["stage: decode"]
    opened = Recorded(batch(1), error=error)
    frame = scan_opened(opened, NUMBERS).rename({"a": "k", "b": "x"})
    with pytest.raises(type(error)) as caught:
        rows(VERBS[verb](frame))
    assert caught.value is error
    assert caught.value.__notes__ == ["stage: decode"]
    assert opened.closed == 1


@pytest.mark.parametrize("error", [pl.exceptions.ComputeError("mine"), KeyboardInterrupt()])
def test_an_error_of_a_stream_is_not_taken_for_one_of_the_query(error):
    """A user's function may fail with an error of Polars' own: it is raised as it is, like any other."""
    upstream = Upstream(Recorded(batch(1), error=error)(None, None, None))
    with pytest.raises(type(error)) as caught:
        list(collect_stream(scan_stream(upstream, NUMBERS).sort("a"), [upstream]))
    assert caught.value is error


def test_an_error_of_polars_is_told_in_its_words():
    """What Polars finds wrong while it runs is an error of ours."""
    texts = pa.record_batch({"a": pa.array([1]), "b": pa.array(["x"], pa.large_string())})
    query = scan_opened(Recorded(texts), NUMBERS).with_columns(pl.col("b").cast(pl.Int64))
    with pytest.raises(ExpressionError, match="conversion from `str` to `i64` failed"):
        rows(query)


def test_a_source_is_closed_when_enough_rows_have_come():
    """A limit that Polars does not push ends the stream long before its end."""
    opened = Recorded(*(batch(n) for n in range(1000)))
    query = scan_opened(opened, NUMBERS).filter(pl.col("a") > 1)
    assert [row["a"] for row in rows(query.head(2))] == [2, 3]
    deadline = time.monotonic() + 10
    while not opened.closed and time.monotonic() < deadline:
        let_go()  # Polars lets go in a thread of its own
        time.sleep(0.01)
    assert opened.closed == 1
    assert opened.given < 1000


def test_a_stream_that_is_closed_early_closes_its_source():
    """Closing the batches closes what they are made of, and no thread of Python's stays."""
    before = threading.active_count()
    opened = Recorded(*(batch(n) for n in range(10_000)))
    upstream = Upstream(opened(None, None, None))
    batches = collect_stream(scan_stream(upstream, NUMBERS).with_columns(c=pl.col("a")), [upstream])
    next(batches)
    batches.close()
    gc.collect()
    assert opened.closed == 1
    assert opened.given < 10_000
    assert threading.active_count() == before


def test_a_frame_is_streamed_anew_each_time():
    """A frame over a function can be read twice, also by one query."""
    opened = Recorded(batch(1, 2))
    frame = scan_opened(opened, NUMBERS)
    assert len(rows(frame.join(frame, on="a"))) == 2
    assert len(rows(frame)) == 2
    assert len(opened.asked) == 3


def test_a_schema_may_be_told_late():
    """A function that tells the schema is called when Polars is asked for it, not before."""
    told = []
    frame = scan_opened(Recorded(batch(1)), lambda: told.append(1) or NUMBERS)
    assert told == []
    assert frame.collect_schema().names() == ["a", "b"]
    assert told


def test_threads_may_read_at_once():
    """Several queries run side by side."""
    found = []
    ds = ld.range(10_000)
    threads = [threading.Thread(target=lambda: found.append(ds.sort("id").count())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [10_000] * 4
