"""The parts of the limit add up to no more than the limit."""

import pytest

import lightdata as ld
from lightdata.config import config
from lightdata.execute.memory_shares import arena_bytes, bytes_for_each_stage, credit_bytes, settings_of_worker
from lightdata.physical.lower import lower


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(memory_limit="1GiB", batch_bytes=None)
    yield
    ld.config(**{name: getattr(before, name) for name in before.__slots__})


def stage_bytes(dataset):
    return bytes_for_each_stage(lower(dataset._plan, workers=2))


def test_stages_share_what_polars_leaves():
    """One stage has all, two have a half each, and beside Polars there is half as much."""
    one = ld.range(9).map(lambda row: row)
    assert stage_bytes(one) == 1 << 30
    assert stage_bytes(one.map_batches(lambda batch: batch, concurrency=1)) == 1 << 29
    assert stage_bytes(one.sort("id")) == 1 << 29


def test_a_worker_has_its_part():
    """Results on the way have half of a worker's part, its batches little, and its own queries no more than all."""
    settings = settings_of_worker(1 << 28, 4)
    assert settings.memory_limit_bytes == 1 << 26
    assert settings.batch_bytes * 8 <= credit_bytes(1 << 28, 4) * 2
    assert credit_bytes(1 << 28, 4) * 2 == 1 << 26
    config(batch_bytes=77)
    assert settings_of_worker(1 << 28, 4).batch_bytes == 77


def test_there_is_always_room():
    """However small the limit, an arena takes a batch."""
    assert arena_bytes(1, 64) >= 1 << 20
