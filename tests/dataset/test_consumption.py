"""The verbs that hand rows over: their shapes, their order, and what they print."""

import importlib.util

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image

import lightdata as ld
from lightdata.errors import ArgumentError, SchemaError


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


@pytest.fixture
def photos(tmp_path):
    for n in range(6):
        Image.fromarray(np.full((4, 5, 3), n * 10, np.uint8)).save(tmp_path / f"{n}.png")
    return tmp_path


def test_take_gives_rows():
    """take, take_all and first give dicts, in order."""
    data = ld.range(10)
    assert data.take(3) == [{"id": 0}, {"id": 1}, {"id": 2}]
    assert data.take(0) == []
    assert len(data.take()) == 10
    assert data.first() == {"id": 0}
    assert data.filter(ld.col("id") > 99).first() is None
    assert len(data.take_all(limit=10)) == 10
    with pytest.raises(ArgumentError, match="limit=9"):
        data.take_all(limit=9)
    for wrong in (-1, 2.5, "3", None):
        with pytest.raises(ArgumentError):
            data.take(wrong)


def test_show_prints_rows_in_words(photos, capsys):
    """Images are named by mode and size, not printed as numbers."""
    ld.read_images(photos).with_columns(n=ld.lit(1)).show(2)
    assert capsys.readouterr().out == "{'image': <Image RGB 4x5>, 'n': 1}\n" * 2


def test_take_batch_gives_one_batch(photos):
    """Images of one size are one array; an empty dataset is an error."""
    batch = ld.read_images(photos).take_batch(4)
    assert batch["image"].shape == (4, 4, 5, 3)
    assert isinstance(ld.range(3).take_batch(2, batch_format="polars"), pl.DataFrame)
    assert isinstance(ld.range(3).take_batch(2, batch_format="pandas"), pd.DataFrame)
    assert ld.range(3).take_batch(2, batch_format="pyarrow") == pa.table({"id": [0, 1]})
    with pytest.raises(ArgumentError, match="no rows"):
        ld.range(0).take_batch()


@pytest.mark.parametrize("prefetch", [0, 1, 5])
@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [4, 4, 2]), (True, [4, 4])])
def test_batches_have_their_size(prefetch, drop_last, sizes):
    """All but the last batch are full, with any number made ahead."""
    batches = ld.range(10).iter_batches(batch_size=4, prefetch_batches=prefetch, drop_last=drop_last)
    found = [batch["id"].tolist() for batch in batches]
    assert [len(batch) for batch in found] == sizes
    assert [n for batch in found for n in batch] == list(range(sum(sizes)))


def test_wrong_batch_options_are_refused_at_once():
    """Options that cannot work fail before the first row is asked for."""
    for options in (
        {"batch_size": 0},
        {"batch_size": -3},
        {"batch_format": "nope"},
        {"prefetch_batches": -1},
        {"local_shuffle_buffer_size": 0},
        {"local_shuffle_buffer_size": 5, "batch_size": None},
    ):
        with pytest.raises(ArgumentError):
            ld.range(10).iter_batches(**options)


def test_batches_may_be_written_to(photos):
    """A NumPy batch belongs to the consumer."""
    for batch in ld.read_images(photos).iter_batches(batch_size=4):
        before = batch["image"].copy()
        batch["image"] += 1
        assert (batch["image"] == before + 1).all()


def test_a_local_shuffle_is_a_seeded_permutation():
    """Every row comes once, in another order; one seed gives one order."""

    def order(seed):
        batches = ld.range(500).iter_batches(batch_size=16, local_shuffle_buffer_size=100, local_shuffle_seed=seed)
        return [n for batch in batches for n in batch["id"].tolist()]

    assert sorted(order(1)) == list(range(500))
    assert order(1) == order(1) != order(2)
    assert order(1) != list(range(500))


def test_an_error_reaches_the_consumer_through_prefetching():
    """What fails in the thread that fetches is raised where batches are taken."""

    def faulty(row):
        raise ZeroDivisionError("here")

    for prefetch in (0, 2):
        with pytest.raises(ZeroDivisionError, match="here"):
            list(ld.range(10).map(faulty).iter_batches(prefetch_batches=prefetch))


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
def test_torch_batches_without_torch_say_so():
    """A missing torch is named, with what to use instead."""
    with pytest.raises(ArgumentError, match="needs torch"):
        next(iter(ld.range(3).iter_torch_batches()))


def test_whole_results(photos):
    """collect, to_arrow, to_pandas, materialize and count agree."""
    data = ld.read_images(photos, include_paths=True)
    assert isinstance(data.collect(), pl.DataFrame)
    assert data.to_arrow().num_rows == data.count() == len(data.collect()) == 6
    frame = data.to_pandas()
    assert frame["image"][3].shape == (4, 5, 3)
    kept = data.materialize()
    for path in photos.iterdir():
        path.unlink()
    assert [row["image"].max() for row in kept] == [0, 10, 20, 30, 40, 50]


def test_empty_results_keep_their_columns():
    """No rows still have names and types."""
    data = ld.range(5).filter(ld.col("id") > 9)
    assert data.collect().schema == {"id": pl.Int64}
    assert data.to_arrow().schema == pa.schema([("id", pa.int64())])
    assert list(data.to_pandas().columns) == ["id"]
    assert list(data.iter_batches()) == []
    assert data.count() == 0


def test_schema_repr_and_explain_run_nothing(photos):
    """Asking about a query opens no file."""
    data = ld.read_images(photos).filter(ld.col("image").image.width() > 1)
    for path in photos.iterdir():
        path.write_bytes(b"broken")
    assert data.columns == ["image"]
    assert "image" in repr(data)
    assert repr(data).startswith("Dataset[")
    assert "filter" in data.explain().lower()
    assert data.explain(optimized=False) != data.explain()
    with pytest.raises(ld.DecodeError):
        data.count()


@pytest.mark.parametrize(
    "include_paths",
    [True, False],
)
def test_count_opens_no_image(photos, include_paths):
    """Rows are counted by listing."""
    for path in photos.iterdir():
        path.write_bytes(b"broken")
    assert ld.read_images(photos, include_paths=include_paths).count() == 6


def test_schema_of_a_map_runs_its_first_rows():
    """Without schema=, the first rows tell, and only they are run."""
    seen = []

    def note(row):
        seen.append(row["id"])
        return {"x": 1.5}

    assert ld.range(100_000).map(note).schema() == ld.Schema({"x": pa.float64()})
    assert len(seen) <= 5000


def test_torch_needs_numbers():
    """A column of text is named before torch would fail on it."""
    pytest.importorskip("torch")
    with pytest.raises(SchemaError, match="item"):
        next(iter(ld.from_items(["a"]).iter_torch_batches()))
