"""Random queries over images and labels: plain Polars and Pillow agree, however they are optimized, cut and run."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relational_oracle import assert_same, found
from relational_verbs import queries

import lightdata as ld
from lightdata.physical import builder, lower, lower_step, polars_segment
from lightdata.plan.schema import schema_of

# The same examples each time: a failure of the fast suite is one of the change at hand.
FAST = settings(
    deadline=None, max_examples=150, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
SLOW = settings(deadline=None, max_examples=2000, print_blob=True, suppress_health_check=list(HealthCheck))
ROWS = {
    builder: ("TASK_ROWS", "PLAIN_TASK_ROWS", "LIGHT_TASK_ROWS"),
    lower: ("TASK_ROWS", "LIGHT_TASK_ROWS"),
    lower_step: ("TASK_ROWS", "PLAIN_TASK_ROWS", "LIGHT_TASK_ROWS"),
    polars_segment: ("SCAN_ROWS",),
}


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
        for module, names in ROWS.items():
            for name in names:
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
