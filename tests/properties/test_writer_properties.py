"""What is written is what is read by others, for columns of every type, in parts and partitions of every size."""

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lightdata as ld

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
TYPES = {
    "i": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "u": (pa.uint8(), st.integers(0, 255)),
    "f": (pa.float64(), st.floats(allow_nan=False)),
    "b": (pa.bool_(), st.booleans()),
    "s": (pa.large_string(), TEXT),
    "d": (pa.date32(), st.dates()),
    "l": (pa.large_list(pa.int64()), st.lists(st.integers(-5, 5), max_size=3)),
    "st": (
        pa.struct([("a", pa.large_string()), ("b", pa.int64())]),
        st.fixed_dictionaries({"a": TEXT, "b": st.just(1)}),
    ),
    "by": (pa.large_binary(), st.binary(max_size=9)),
}
SIZES = st.fixed_dictionaries(
    {}, optional={"max_rows_per_file": st.integers(2, 9), "max_file_bytes": st.integers(1, 300)}
) | st.just({"min_rows_per_file": 2, "max_rows_per_file": 3})


@pytest.fixture(scope="module", autouse=True)
def inline():
    before = ld.config()
    ld.config(workers=0)
    yield
    ld.config(workers=before.workers)


@st.composite
def tables(draw, names):
    """Draw a table with a row number and some of the columns named, nulls included."""
    count = draw(st.integers(1, 12))
    columns = {"row": pa.array(range(count), pa.int64())}
    for name in draw(st.lists(st.sampled_from(names), unique=True)):
        kind, values = TYPES[name]
        columns[name] = pa.array(draw(st.lists(st.none() | values, min_size=count, max_size=count)), kind)
    return pa.table(columns)


@settings(deadline=None, max_examples=60)
@given(tables(list(TYPES)), SIZES, st.sampled_from(["parquet", "arrow"]))
def test_typed_files_hold_every_value(table, sizes, kind):
    """Parquet and Arrow files have all rows in order, of the types they had, in parts no larger than asked."""
    with tempfile.TemporaryDirectory() as folder:
        result = getattr(ld.from_arrow(table), f"write_{kind}")(folder, **sizes)
        found = pds.dataset([f"{folder}/{name}" for name in result.files], format=kind)
        assert found.to_table().to_pylist() == table.to_pylist()
        assert found.schema.types == ld.from_arrow(table).to_arrow().schema.types
        if "max_rows_per_file" in sizes:
            assert math.ceil(len(table) / sizes["max_rows_per_file"]) <= len(result.files)
        assert sorted(path.name for path in Path(folder).iterdir()) == sorted(
            [*result.files, *["_SUCCESS"][: len(result.files)]]
        )


@settings(deadline=None, max_examples=40)
@given(tables(["i", "u", "f", "b", "s", "d", "l", "st"]), SIZES)
def test_json_lines_hold_every_value(table, sizes):
    """The lines of all parts are the rows, as the standard library reads them."""
    with tempfile.TemporaryDirectory() as folder:
        result = ld.from_arrow(table).write_json(folder, **sizes)
        content = b"".join((Path(folder) / name).read_bytes() for name in result.files)
        lines = [json.loads(line) for line in content.split(b"\n")[:-1]]
        expected = json.loads(json.dumps(table.to_pylist(), default=str))
        for row in expected:
            row.update({name: None for name in row if row[name] in (math.inf, -math.inf)})  # JSON has no word for them
        assert lines == expected


@settings(deadline=None, max_examples=40)
@given(tables(["i", "u", "b", "s", "d"]), st.sampled_from(["i", "b", "s", "d"]), SIZES)
def test_partitions_hold_every_row_once(table, key, sizes):
    """Whatever names the folders, each row is once below the target, and pyarrow gives its key back."""
    if key not in table.column_names:
        table = table.append_column(key, pa.array([None] * len(table), TYPES[key][0]))
    with tempfile.TemporaryDirectory() as folder:
        result = ld.from_arrow(table).write_parquet(f"{folder}/out", partition_cols=[key], **sizes)
        assert sorted(str(path.relative_to(f"{folder}/out")) for path in Path(folder).rglob("*.parquet")) == sorted(
            result.files
        )
        hive = pds.partitioning(pa.schema([(key, pa.string())]), flavor="hive")
        found = pds.dataset(f"{folder}/out", format="parquet", partitioning=hive).to_table().sort_by("row")
        expected = [None if value is None else str(value) for value in table[key].to_pylist()]
        if key == "b":
            expected = [value and value.lower() for value in expected]
        assert found[key].to_pylist() == expected
        assert found.drop_columns([key]).to_pylist() == table.drop_columns([key]).to_pylist()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 300), st.lists(st.integers(1, 4), max_size=2), st.sampled_from(["u1", "i4", "f2", "f8"]), SIZES)
def test_numpy_files_hold_every_row(rows, shape, dtype, sizes):
    """Parts one after the other, and the single file, are the array."""
    array = np.random.default_rng(rows).integers(0, 100, (rows, *shape)).astype(dtype)
    data = ld.from_numpy({"x": array}) if rows else ld.from_numpy({"x": np.zeros((1, *shape), dtype)}).head(0)
    with tempfile.TemporaryDirectory() as folder:
        result = data.write_numpy(f"{folder}/parts", "x", **sizes)
        parts = [np.load(f"{folder}/parts/{name}") for name in result.files]
        assert (np.concatenate(parts) == array).all() if rows else parts == []
        data.write_numpy(f"{folder}/x.npy", "x", single_file=True, **sizes)
        single = np.load(f"{folder}/x.npy")
        assert (single.dtype, len(single)) == (array.dtype, rows)
        assert (single == array).all()
