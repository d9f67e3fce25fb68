"""What several places of a query read is made once."""

import polars as pl
import pytest

import lightdata as ld
from lightdata.optimize.rules.share_common_plans import share_common_plans
from lightdata.optimize.stages import optimize
from lightdata.physical.lower import lower
from lightdata.plan.node import MapRows
from lightdata.plan.relational import Cache


@pytest.fixture(autouse=True, params=[0, 2])
def _workers(request):
    before = ld.config()
    ld.config(workers=request.param)
    yield
    ld.config(workers=before.workers, memory_limit_bytes=before.memory_limit_bytes)


def test_a_function_runs_once_for_a_self_join(tmp_path):
    """Joining a dataset with groups of itself calls its function once a row."""

    def noted(row):
        with (tmp_path / f"{row['id']}").open("a") as file:
            file.write("x")
        return {"id": row["id"], "odd": row["id"] % 2}

    mapped = ld.range(50).map(noted, schema={"id": int, "odd": int})
    query = mapped.join(mapped.group_by("odd").agg(pl.col("id").max().alias("most")), on="odd")
    assert [row["most"] for row in query.take_all()] == [48, 49] * 25
    assert {path.read_text() for path in tmp_path.iterdir()} == {"x"}


@pytest.mark.parametrize("limit", [1 << 30, 1])
def test_readers_at_different_pace_get_the_same_rows(limit):
    """A concat reads its inputs one after another; rows wait for the second in memory or on disk."""
    ld.config(memory_limit_bytes=limit)
    mapped = ld.range(3000).map(lambda row: {"x": row["id"], "text": "t" * 50}, schema={"x": int, "text": str})
    assert mapped.union(mapped).collect()["x"].to_list() == [*range(3000), *range(3000)]


def test_the_largest_common_part_is_shared():
    """All steps that two places have in common are made once, and cheap ones are not shared."""
    mapped = ld.range(9).map(lambda row: row, schema={"id": int}).with_columns(y=pl.col("id") * 2)
    shared = share_common_plans(mapped.join(mapped.filter(pl.col("id") > 3), on="id")._plan)
    assert isinstance(shared.left, Cache)
    assert shared.left == shared.right.input
    assert shared.left.input == mapped._plan
    assert share_common_plans(shared) is None
    plain = ld.range(9).filter(pl.col("id") > 3)
    assert share_common_plans(plain.join(plain, on="id")._plan) is None
    assert isinstance(mapped._plan.input, MapRows)


def test_an_error_reaches_whoever_reads_first():
    """A function that fails raises its own exception, once."""

    def fails(row):
        raise ValueError("no")

    mapped = ld.range(9).map(fails, schema={"id": int})
    with pytest.raises(ValueError, match="no"):
        mapped.join(mapped, on="id").take_all()


def test_shared_rows_inside_shared_rows():
    """Rows that are shared by two places, one of which is itself shared, are made once and let go by both."""
    first = ld.range(20).map(lambda row: row, schema={"id": int})
    second = first.map(lambda row: {"id": row["id"], "odd": row["id"] % 2}, schema={"id": int, "odd": int})
    query = second.join(second.group_by("odd").len(), on="odd").join(first, on="id")
    plan, _ = optimize(query._plan)
    pipelines = {one.start.number: one.start for one in lower(plan, workers=1).walk() if hasattr(one.start, "readers")}
    assert {number: start.readers for number, start in pipelines.items()} == {1: 2, 2: 2}
    assert query.collect()["len"].to_list() == [10] * 20
