"""Rows of Arrow IPC files and streams."""

import pyarrow as pa
import pytest
from row_files import ipc, write

import lightdata as ld

TABLE = pa.table({"n": [1, 2, 3], "s": ["a", None, "c"]})


@pytest.fixture(autouse=True)
def inline():
    before = ld.config(workers=0, progress=False)
    yield
    ld.config(workers=before.workers)


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream], ids=["file", "stream"])
def test_batches_are_rows(tmp_path, new):
    """Files and streams give their rows in order, one column or none, counted or cut."""
    ds = ld.read_arrow(write(tmp_path, a_arrow=ipc(TABLE, new, 2)))
    assert ds.take_all() == TABLE.to_pylist()
    assert ds.select("s").collect()["s"].to_list() == ["a", None, "c"]
    assert ds.count() == 3
    assert ds.limit(1).take_all() == [{"n": 1, "s": "a"}]
    assert ld.read_arrow(write(tmp_path, a_arrow=ipc(TABLE.slice(0, 0), new))).take_all() == []


def test_a_stream_cut_off_gives_the_batches_before(tmp_path):
    """What is whole is rows, and the rest one error."""
    content = ipc(TABLE, pa.ipc.new_stream, 1)
    rows = ld.read_arrow(write(tmp_path, a_arrows=content[:-40]), on_error="null").take_all()
    assert [row["n"] for row in rows] == [1, 2, None]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"a": pa.nulls(1, pa.decimal256(50))}), "cannot be held"),
        (pa.table({"a": pa.nulls(1, pa.month_day_nano_interval())}), "cannot be held"),
        (pa.table({"a": pa.nulls(1, pa.dense_union([pa.field("b", pa.int8())]))}), "cannot be held"),
        (pa.table({"a": pa.nulls(1, pa.timestamp("us", "No/Where"))}), "cannot be held.*time zone: 'No/Where'"),
        (pa.table({"a": pa.nulls(1, pa.struct([("b", pa.int8()), ("b", pa.int8())]))}), "cannot be held.*two fields"),
        (pa.table({"a": pa.nulls(1, pa.list_(pa.timestamp("s", "Z")))}), "cannot be held.*time zone: 'Z'"),
        (pa.Table.from_arrays([pa.array([1])] * 2, names=["a", "a"]), "two columns"),
    ],
)
def test_columns_that_cannot_be_held_are_named(tmp_path, table, message, capfd):
    """Types that Polars has not, and names twice, are schema errors of the file; Polars prints no page about them."""
    with pytest.raises(ld.SchemaError, match=rf"a\.arrow.*{message}"):
        ld.read_arrow(write(tmp_path, a_arrow=ipc(table)))
    assert capfd.readouterr().err == ""


def test_files_have_the_columns_of_the_first(tmp_path):
    """They may be in another order; a file with others is one error."""
    write(tmp_path, a_arrow=ipc(TABLE), b_arrow=ipc(TABLE.select(["s", "n"])), c_arrow=ipc(TABLE.select(["s"])))
    with pytest.raises(ld.DecodeError, match=r"c\.arrow.*its columns"):
        ld.read_arrow(tmp_path).take_all()
    assert ld.read_arrow(tmp_path, on_error="skip").count() == 6
