"""Shares of a query for readers that do not know each other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lightdata as ld
from lightdata.dataset.dataset import Dataset
from lightdata.errors import ArgumentError
from lightdata.io.memory import RangeSource
from lightdata.io.share import ShareSource
from lightdata.io.source import Pushdowns
from lightdata.plan.share import share_of

ROWWISE = {
    "scan": lambda ds: ds,
    "filter": lambda ds: ds.filter(ld.col("id") % 3 == 1),
    "with_columns": lambda ds: ds.with_columns(double=ld.col("id") * 2),
    "map": lambda ds: ds.map(lambda row: {"id": -row["id"]}),
    "flat_map": lambda ds: ds.flat_map(lambda row: [row] * (row["id"] % 3)),
}
WHOLE = {
    "sort": lambda ds: ds.sort("id", descending=True),
    "limit": lambda ds: ds.limit(7),
    "sum": lambda ds: ds.with_columns(ld.col("id").cum_sum()),
    "map_batches": lambda ds: ds.map_batches(lambda batch: batch, batch_size=10),
    "join": lambda ds: ds.join(ld.range(5), on="id"),
    "filter by a total": lambda ds: ds.filter(ld.col("id") > ld.col("id").mean()),
}


def ids(plan):
    return [row["id"] for row in Dataset(plan).iter_rows()]


@pytest.mark.parametrize("verb", ROWWISE)
@settings(deadline=None, max_examples=15)  # a busy machine is no failure
@given(n=st.integers(0, 1500), shares=st.integers(1, 5))
def test_shares_of_a_rowwise_query_are_the_query(verb, n, shares):
    """Every row is in exactly one share, whatever the number of rows and readers."""
    before = ld.config().workers
    ld.config(workers=0)
    try:
        query = ROWWISE[verb](ld.range(n))
        parts = [ids(share_of(query._plan, number, shares)) for number in range(shares)]
        assert sorted(number for part in parts for number in part) == sorted(ids(query._plan))
    finally:
        ld.config(workers=before)


@pytest.mark.parametrize("verb", WHOLE)
def test_rows_that_hang_together_are_not_shared_out(verb):
    """A step that looks at several rows has no shares."""
    assert share_of(WHOLE[verb](ld.range(100))._plan, 0, 2) is None


def test_a_share_reads_no_file_of_another(tmp_path):
    """Of the files of a query, a share opens only its own."""
    from PIL import Image

    for number in range(200):
        Image.new("L", (1, 1)).save(tmp_path / f"{number:03}.png")
    query = ld.read_images(tmp_path, include_paths=True).filter(ld.col("image").image.width() == 1)
    shares = [Dataset(share_of(query._plan, number, 2)) for number in range(2)]
    paths = [[row["path"] for row in share.iter_rows()] for share in shares]
    assert len(set(paths[0] + paths[1])) == len(paths[0] + paths[1]) == 200
    assert [share.stats().files_opened for share in shares] == [len(part) for part in paths]


def test_the_first_rows_have_no_shares():
    """A source that was told of a limit is not cut into shares."""
    source = ShareSource(source=RangeSource(10), number=1, shares=2)
    with pytest.raises(ArgumentError, match="first rows"):
        list(source.tasks(Pushdowns(n_rows=3), task_rows=4))


@pytest.mark.parametrize(("number", "shares"), [(2, 2), (-1, 2), (0, 0)])
def test_a_share_that_is_none_is_refused(number, shares):
    """Shares are counted from 0 to one less than their number."""
    with pytest.raises(ArgumentError, match="no share"):
        ShareSource(source=RangeSource(10), number=number, shares=shares)
