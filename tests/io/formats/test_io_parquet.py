"""Rows of Parquet files."""

import pickle

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lightdata.errors import DecodeError, ReadError, SchemaError
from lightdata.io.formats.parquet import ParquetFormat
from lightdata.io.source import Pushdowns, Source
from lightdata.physical.stage import without_hidden
from lightdata.read.options import rows_of
from lightdata.types.image import ImageType, fixed_images
from lightdata.types.tensor import TensorType, fixed_tensors, tensors


def rows_in(file_format, paths, **options):
    """Describe the rows of files as a reader does."""
    return rows_of(paths, file_format, options, rows_in)


def batches(source, task_rows=100, **pushdowns):
    tasks = pickle.loads(pickle.dumps(list(source.tasks(Pushdowns(**pushdowns), task_rows=task_rows))))
    return [without_hidden(batch) for task in tasks for batch in task.read()]


def table(source, **options):
    return pa.Table.from_batches(batches(source, **options))


def test_rows_come_back_in_canonical_types(tmp_path):
    """Every stored type is read in its canonical type, as the schema said before."""
    stored = pa.table(
        {
            "s": ["a", None],
            "l": [[1], None],
            "a.b": [1, 2],
            "a": [{"c": "x"}, {"c": None}],
            "d": pa.array(["u", "v"]).dictionary_encode(),
            "m": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int32())),
            "n": pa.nulls(2),
            "t": pa.array([1, 2], pa.timestamp("ms", "UTC")),
            "f": pa.array([b"ab", b"cd"], pa.binary(2)),
        }
    )
    pq.write_table(stored, tmp_path / "a.parquet")
    source = rows_in(ParquetFormat(), tmp_path)
    found = table(source)
    assert isinstance(source, Source)
    assert found.schema == source.schema.to_arrow()
    assert found.schema.field("s").type == pa.large_string()
    assert found.to_pylist() == stored.to_pylist()
    assert table(source, columns=("a",)).to_pydict() == {"a": [{"c": "x"}, {"c": None}]}


def test_images_and_tensors_come_back_as_such(tmp_path):
    """Extension columns keep their types and values."""
    pixels = np.arange(48, dtype=np.uint8).reshape(2, 4, 2, 3)
    stored = pa.table(
        {
            "image": fixed_images(pixels, "RGB"),
            "fixed": fixed_tensors(pixels.astype(np.float32)),
            "any": tensors([np.zeros(2), np.zeros((1, 3))]),
        }
    )
    pq.write_table(stored, tmp_path / "a.parquet")
    (batch,) = batches(rows_in(ParquetFormat(), tmp_path))
    assert [type(kind) for kind in batch.schema.types] == [ImageType, pa.FixedShapeTensorType, TensorType]
    np.testing.assert_array_equal(batch["image"].to_numpy_ndarray(), pixels)
    np.testing.assert_array_equal(batch["fixed"].to_numpy_ndarray(), pixels)
    assert batch["any"].shapes() == [(2,), (1, 3)]


@pytest.mark.parametrize("name", ["ray.data.arrow_tensor", "ray.data.arrow_tensor_v2"])
@pytest.mark.parametrize("storage", [pa.list_, pa.large_list])
def test_tensors_of_ray_are_tensors(tmp_path, name, storage):
    """Tensor columns that Ray Data wrote become tensors of their shape, nulls kept."""
    metadata = {"ARROW:extension:name": name, "ARROW:extension:metadata": "[2, 2]"}
    column = pa.array([[1, 2, 3, 4], None, [5, 6, 7, 8]], storage(pa.uint8()))
    schema = pa.schema([pa.field("image", column.type, metadata=metadata)])
    pq.write_table(pa.table([column], schema=schema), tmp_path / "a.parquet")
    source = rows_in(ParquetFormat(), tmp_path)
    assert source.schema == {"image": pa.fixed_shape_tensor(pa.uint8(), (2, 2))}
    assert table(source)["image"].combine_chunks().storage.to_pylist() == column.to_pylist()


def test_tensors_of_ray_of_the_wrong_size_are_refused(tmp_path):
    """A list that does not fill the shape is an error with the column's name."""
    metadata = {"ARROW:extension:name": "ray.data.arrow_tensor", "ARROW:extension:metadata": "[2, 2]"}
    schema = pa.schema([pa.field("image", pa.list_(pa.uint8()), metadata=metadata)])
    pq.write_table(pa.table([pa.array([[1, 2, 3]], pa.list_(pa.uint8()))], schema=schema), tmp_path / "a.parquet")
    with pytest.raises(DecodeError, match="column 'image'"):
        batches(rows_in(ParquetFormat(), tmp_path))


@pytest.fixture
def three(tmp_path):
    for i in range(3):
        pq.write_table(pa.table({"x": range(i * 10, i * 10 + 10)}), tmp_path / f"{i}.parquet", row_group_size=4)
    (tmp_path / "_metadata.parquet").touch()
    (tmp_path / "notes.txt").touch()
    return tmp_path


def test_each_row_group_is_a_task(three):
    """Tasks follow files and row groups in order, and batches hold at most the rows asked for."""
    source = rows_in(ParquetFormat(), three)
    assert len(list(source.tasks(Pushdowns(), task_rows=100))) == 9
    assert [batch.num_rows for batch in batches(source, task_rows=3)][:4] == [3, 1, 3, 1]
    assert table(source)["x"].to_pylist() == list(range(30))
    assert source.count() == 30
    assert str(source) == f"parquet[{three}]"


@pytest.mark.parametrize(("n_rows", "tasks"), [(0, 0), (1, 1), (4, 1), (5, 2), (11, 4), (99, 9)])
def test_tasks_end_where_footers_say_rows_enough(three, n_rows, tasks):
    """No task is given beyond the rows that will be asked for."""
    assert len(list(rows_in(ParquetFormat(), three).tasks(Pushdowns(n_rows=n_rows), task_rows=9))) == tasks


def test_paths_are_a_column_if_asked_for(three):
    """The path of each row can be added, and read alone; no column at all still counts rows."""
    source = rows_in(ParquetFormat(), f"{three}/[01].parquet", include_paths=True)
    assert source.schema.names == ["x", "path"]
    assert table(source, columns=("path",))["path"].to_pylist()[9:11] == [f"{three}/{i}.parquet" for i in (0, 1)]
    assert sum(batch.num_rows for batch in batches(source, columns=())) == 20
    pq.write_table(pa.table({"path": [1]}), three / "p.parquet")
    with pytest.raises(SchemaError, match="named 'path'"):
        rows_in(ParquetFormat(), three / "p.parquet", include_paths=True)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"y": [1]}, "no column 'x'"),
        ({"x": [1], "y": [1]}, "a column 'y', which the first file has not"),
        ({"x": ["1"]}, "column 'x' is large_string, in the first file int64"),
    ],
)
def test_a_file_with_other_columns_is_named(three, other, message):
    """Missing, additional and differently typed columns are schema errors with file and column."""
    pq.write_table(pa.table(other), three / "9.parquet")
    with pytest.raises(SchemaError, match=rf"9\.parquet.*{message}"):
        batches(rows_in(ParquetFormat(), three))


def test_the_order_of_columns_is_that_of_the_first_file(tmp_path):
    """A file with the same columns in another order is read by name."""
    pq.write_table(pa.table({"x": [1], "y": ["a"]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"y": ["b"], "x": [2]}), tmp_path / "b.parquet")
    assert table(rows_in(ParquetFormat(), tmp_path)).to_pydict() == {"x": [1, 2], "y": ["a", "b"]}


def test_text_that_is_not_utf8_is_refused(tmp_path):
    """A string column with other bytes in it is an error with file and column."""
    wrong = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")])
    pq.write_table(pa.table({"s": wrong}), tmp_path / "a.parquet")
    with pytest.raises(DecodeError, match=r"a\.parquet: read parquet: column 's'"):
        batches(rows_in(ParquetFormat(), tmp_path))


def test_two_columns_of_one_name_are_refused(tmp_path):
    """Columns that cannot be told apart are a schema error."""
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["x", "x"]), tmp_path / "a.parquet")
    with pytest.raises(SchemaError, match="two columns named 'x'"):
        rows_in(ParquetFormat(), tmp_path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(50) + b"PAR1", b"not parquet at all"])
def test_files_that_are_not_parquet_are_named(tmp_path, content):
    """Other bytes are a decode error with the file's name; a missing file is a read error."""
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DecodeError, match=r"a\.parquet"):
        rows_in(ParquetFormat(), tmp_path)
    with pytest.raises(ReadError):
        rows_in(ParquetFormat(), tmp_path / "b.parquet")


def test_remote_files_are_read(three):
    """A URL gives the same rows."""
    memory = fsspec.filesystem("memory")
    memory.pipe("/parquet/0.parquet", (three / "0.parquet").read_bytes())
    assert table(rows_in(ParquetFormat(), "memory://parquet"))["x"].to_pylist() == list(range(10))


def test_no_file_at_all_may_be_allowed(tmp_path):
    """Where nothing is found and that is allowed, the schema stays unknown."""
    source = rows_in(ParquetFormat(), tmp_path, ignore_missing_paths=True)
    assert source.schema is None
    assert batches(source) == []
