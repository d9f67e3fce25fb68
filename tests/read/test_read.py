"""What the readers take, and what they refuse at once."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.errors import ArgumentError


@pytest.mark.parametrize(
    "options", [{"size": (0, 4)}, {"size": (4,)}, {"mode": "BGR"}, {"on_error": "ignore"}, {"shuffle": 1.5}]
)
def test_wrong_image_options_are_refused_at_once(tmp_path, options):
    """Options that cannot work are named when the query is built."""
    with pytest.raises(ArgumentError, match=next(iter(options))):
        ld.read_images(tmp_path, **options)


def test_what_is_in_memory_becomes_rows():
    """Items, arrays, and Arrow, Polars and pandas tables give the rows they hold."""
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert ld.from_items(rows).take_all() == rows
    assert ld.from_items(iter([1, 2])).take_all() == [{"item": 1}, {"item": 2}]
    assert ld.from_polars(pl.DataFrame(rows)).take_all() == rows
    assert ld.from_pandas([pd.DataFrame(rows)] * 2).take_all() == rows * 2
    assert ld.from_arrow(pa.Table.from_pylist(rows).to_batches()[0]).take_all() == rows
    assert ld.from_numpy([np.arange(2), np.arange(1)]).take_all() == [{"data": 0}, {"data": 1}, {"data": 0}]
    assert ld.range(0).take_all() == []


def test_wrong_ranges_and_empty_tables_are_refused():
    """A range counts rows; no table has no columns."""
    for n in (-1, 2.5, "3"):
        with pytest.raises(ArgumentError, match="range"):
            ld.range(n)
    with pytest.raises(ArgumentError):
        ld.from_arrow([])
    with pytest.raises(ArgumentError):
        ld.from_numpy(np.array(3))


def test_pandas_columns_keep_their_types():
    """Numbers keep their width, text its missing values, and cells that are arrays become tensors."""
    frame = pd.DataFrame({"n": np.array([1, 2], np.int8), "s": ["a", None], "t": [None, np.zeros((2, 3))]})
    schema = ld.from_pandas(frame).schema()
    assert repr(schema) == "n: int8\ns: string\nt: Tensor[float64]"
    assert ld.from_pandas(frame).take_all()[1]["t"].shape == (2, 3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ld.read_images(".", size=224),
        lambda: ld.read_images(".", size=("a", 2)),
        lambda: ld.from_numpy({"a": np.zeros(2), "b": np.zeros(3)}),
        lambda: ld.config(workers="4"),
        lambda: ld.config(workers=True),
    ],
)
def test_wrong_arguments_are_told_at_once(call):
    """A value that cannot work is refused with its name, before anything is read."""
    with pytest.raises(ValueError, match=r"size|length|workers"):
        call()


def test_one_extension_may_stand_alone(tmp_path):
    """file_extensions takes one ending as well as several."""
    (tmp_path / "a.bin").write_bytes(b"1")
    (tmp_path / "b.txt").write_bytes(b"2")
    assert ld.read_binary_files(tmp_path, file_extensions="bin").count() == 1


def test_concat_takes_datasets_and_tables_and_refuses_the_rest():
    """Datasets, frames and tables are put together; nothing, and methods that do not exist, are refused at once."""
    parts = [ld.range(1), pl.DataFrame({"id": [5]}), pa.table({"id": pa.array([6], pa.int64())})]
    assert ld.concat(parts).collect()["id"].to_list() == [0, 5, 6]
    assert ld.concat(iter([ld.range(1)])).count() == 1
    with pytest.raises(ld.ArgumentError, match="at least one"):
        ld.concat([])
    with pytest.raises(ld.ArgumentError, match="how must be one of vertical"):
        ld.concat([ld.range(1)], how="sideways")
    with pytest.raises(ld.SchemaError, match="id is int64 in input 1 and string in input 2"):
        ld.concat([ld.range(1), pl.DataFrame({"id": ["a"]})])
    with pytest.raises(ld.SchemaError, match="item is missing in input 1 and string in input 3"):
        ld.concat([ld.range(1), ld.range(1), ld.from_items(["a"])])
    with pytest.raises(ld.ArgumentError, match="takes a Dataset"):
        ld.concat(["photos/"])
