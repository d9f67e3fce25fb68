"""Random queries over images and labels: plain Polars and Pillow agree, however they are optimized, cut and run."""

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from relational_oracle import assert_same, rows
from relational_verbs import queries

import lightdata as ld
from lightdata.physical import builder, lower, lower_step, polars_segment
from lightdata.plan.schema import schema_of

# The same examples each time: a failure of the fast suite is one of the change at hand.
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
FAST = settings(
    phases=PHASES,
    deadline=None,
    max_examples=120,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SLOW = settings(
    phases=PHASES, deadline=None, max_examples=1000, print_blob=True, suppress_health_check=list(HealthCheck)
)
MODULES = (builder, lower, lower_step, polars_segment)
ROWS = ("TASK_ROWS", "PLAIN_TASK_ROWS", "LIGHT_TASK_ROWS", "SCAN_ROWS")


@pytest.fixture(autouse=True)
def _inline():
    before = ld.config()
    ld.config(workers=0, progress=False)
    yield
    ld.config(workers=before.workers, progress=before.progress, optimize=True, batch_bytes=before.batch_bytes)


def cut_run(query, task_rows, batch_bytes):
    """Run a query in small tasks and small batches."""
    before = ld.config()
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES:
            for name in filter(vars(module).__contains__, ROWS):
                patch.setattr(module, name, task_rows)
        ld.config(batch_bytes=batch_bytes)
        try:
            return query.to_arrow()
        finally:
            ld.config(batch_bytes=before.batch_bytes)


def check(both, task_rows, batch_bytes):
    query, frame = both.query, both.frame
    told = schema_of(query._plan)
    for optimized in (True, False):
        ld.config(optimize=optimized)
        assert query.explain()
        table = query.to_arrow()
        assert_same(table, frame)
        assert ld.Schema.of(table) == told == query.schema()
        assert query.count() == frame.height
        assert_same(cut_run(query, task_rows, batch_bytes), frame)


CUTS = (st.integers(1, 3), st.sampled_from([1, 64, 1 << 20]))


@FAST
@given(queries(), *CUTS)
def test_queries_equal_polars_and_pillow(both, task_rows, batch_bytes):
    """Any query gives the rows, types and pixels of the same verbs on a frame, optimized or not, however it is cut."""
    check(both, task_rows, batch_bytes)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@SLOW
@given(queries(), *CUTS)
def test_many_queries_equal_polars_and_pillow(both, task_rows, batch_bytes):
    """Many more queries do."""
    check(both, task_rows, batch_bytes)


@settings(parent=FAST, max_examples=6)
@given(queries())
def test_workers_change_nothing(both):
    """Worker processes give what the calling process gives, in its order."""
    ld.config(workers=2)
    assert_same(cut_run(both.query, 2, 1 << 20), both.frame)


@settings(parent=FAST, max_examples=25)
@given(queries(source=rows(max_rows=0)))
def test_no_rows_have_the_same_types(both):
    """Queries over no rows at all give the types that they tell, and the rows that Polars gives."""
    check(both, 1, 1)


UNKNOWN = {
    "mapped": lambda q: q.map(lambda row: {**row}),
    "batches": lambda q: q.map_batches(lambda frame: frame, batch_format="polars", batch_size=2),
    "sorted": lambda q: q.sort("label", "n", descending=[True, False]),
    "numbered": lambda q: q.with_row_index("row").drop("row"),
    "first of each": lambda q: q.unique("label", keep="first"),
    "last": lambda q: q.tail(3),
    "mixed": lambda q: q.random_shuffle(seed=1),
    "shortened": lambda q: q.filter(pl.col("n") > 2),
    "counted": lambda q: q.with_columns(n=pl.col("n").cum_sum()),
    "joined": lambda q: q.join(pl.DataFrame({"label": ["a", "b"]}), on="label", how="semi"),
    "twice": lambda q: q.union(q),
}


@settings(parent=FAST, max_examples=30)
@given(
    st.lists(st.sampled_from(["a", "b", "c"]), max_size=8),
    st.lists(st.sampled_from(list(UNKNOWN)), max_size=5),
    CUTS[0],
)
def test_columns_that_only_rows_tell_change_nothing(labels, verbs, task_rows):
    """After functions without a schema, verbs give what they give after functions with one."""
    frame = pl.DataFrame({"label": labels, "n": range(len(labels))}, schema={"label": pl.String, "n": pl.Int64})
    known = unknown = ld.from_polars(frame)
    for verb in verbs:
        unknown = UNKNOWN[verb](unknown)
        known = known if verb in ("mapped", "batches") else UNKNOWN[verb](known)
    for optimized in (True, False):
        ld.config(optimize=optimized)
        assert unknown.take_all() == known.take_all()
        assert cut_run(unknown, task_rows, 1 << 20).to_pylist() == known.take_all()
        assert unknown.count() == known.count()
