"""Rows of .npy files."""

import contextlib
import io
import pickle
import zipfile

import fsspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightdata.errors import ArgumentError, DecodeError, LightdataError, ReadError, SchemaError
from lightdata.io.formats.numpy import NumpyFormat, read_header
from lightdata.io.source import Pushdowns, Source
from lightdata.read.options import rows_of


def rows_in(file_format, paths, **options):
    """Describe the rows of files as a reader does."""
    return rows_of(paths, file_format, options, rows_in)


def batches(source, task_rows=3, **pushdowns):
    tasks = pickle.loads(pickle.dumps(list(source.tasks(Pushdowns(**pushdowns), task_rows=task_rows))))
    return [batch for task in tasks for batch in task.read()]


def values(source, **options):
    column = pa.Table.from_batches(batches(source, **options))["data"].combine_chunks()
    return column.to_numpy_ndarray() if isinstance(column, pa.ExtensionArray) else column.to_numpy()


@pytest.mark.parametrize("dtype", ["u1", "i2", ">i4", "<f8", ">f4", "f2", "u8"])
@pytest.mark.parametrize("shape", [(7,), (7, 2, 3), (7, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_those_that_numpy_loads(tmp_path, dtype, shape, order):
    """Every number type, byte order and memory order gives NumPy's own values and the schema told before."""
    array = np.asarray(np.random.default_rng(0).integers(0, 99, shape), dtype=dtype, order=order)
    np.save(tmp_path / "a.npy", array)
    source = rows_in(NumpyFormat(), tmp_path)
    found = batches(source)
    assert [batch.num_rows for batch in found] == [3, 3, 1]
    assert all(batch.schema == source.schema.to_arrow() for batch in found)
    np.testing.assert_array_equal(values(source), array)
    assert isinstance(source, Source)
    assert source.count() == 7


def test_booleans_in_one_dimension_are_a_plain_column(tmp_path):
    """A vector of booleans is a boolean column."""
    np.save(tmp_path / "a.npy", np.array([True, False]))
    assert pa.Table.from_batches(batches(rows_in(NumpyFormat(), tmp_path))).to_pydict() == {"data": [True, False]}


def test_rows_keep_the_order_of_files_and_stop_at_n_rows(tmp_path):
    """Files follow each other by name, and no task is made beyond the rows asked for."""
    for i in range(3):
        np.save(tmp_path / f"{i}.npy", np.arange(4) + 10 * i)
    (tmp_path / "notes.txt").touch()
    source = rows_in(NumpyFormat(), tmp_path, include_paths=True)
    assert values(source).tolist() == [0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23]
    assert values(source, n_rows=5).tolist() == [0, 1, 2, 3, 10]
    assert batches(source, n_rows=0) == []
    only = pa.Table.from_batches(batches(source, columns=("path",)))
    assert only.column_names == ["path"]
    assert only["path"][4].as_py() == str(tmp_path / "1.npy")
    assert sum(batch.num_rows for batch in batches(source, columns=())) == 12
    assert str(source) == f"numpy[{tmp_path}]"


def test_an_array_without_rows_gives_none(tmp_path):
    """A file of zero rows has a schema and no tasks."""
    np.save(tmp_path / "a.npy", np.zeros((0, 2), np.float32))
    source = rows_in(NumpyFormat(), tmp_path)
    assert batches(source) == []
    assert source.count() == 0


def test_no_file_at_all_may_be_allowed(tmp_path):
    """Where nothing is found and that is allowed, the schema stays unknown."""
    source = rows_in(NumpyFormat(), tmp_path, ignore_missing_paths=True)
    assert source.schema is None
    assert batches(source) == []
    with pytest.raises(ReadError):
        rows_in(NumpyFormat(), tmp_path)


@pytest.mark.parametrize("other", [np.zeros((2, 3), np.float64), np.zeros((2, 4), np.float32), np.zeros(2)])
def test_a_file_that_differs_from_the_first_is_named(tmp_path, other):
    """Another dtype or row shape is a schema error with the file's name."""
    np.save(tmp_path / "a.npy", np.zeros((2, 3), np.float32))
    np.save(tmp_path / "b.npy", other)
    with pytest.raises(SchemaError, match=r"b\.npy holds rows of .*; the first file holds rows of float32 \(3,\)"):
        batches(rows_in(NumpyFormat(), tmp_path))


@pytest.mark.parametrize(
    "array",
    [
        np.array([print], dtype=object),
        np.zeros(2, dtype=[("a", "i4"), ("b", object)]),
        np.zeros(2, dtype=[("a", "i4", (2,))]),
        np.zeros(2, dtype=[("a", [("b", "i4")])]),
        np.zeros(2, dtype="c8"),
        np.array([["a"]]),
        np.array("2020", dtype="M8[Y]"),
        np.array(["2020"], dtype="M8[25s]"),
        np.zeros(2, np.longdouble),
        np.zeros((2, 0)),
        np.zeros((0, 1 << 16, 1 << 16), np.uint8),
        np.zeros((2, 2), bool),
    ],
)
def test_what_is_not_rows_of_numbers_is_refused_unloaded(tmp_path, array):
    """Objects, structures, complex numbers and what else no column holds are argument errors with the file's name."""
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(ArgumentError, match=r"a\.npy holds"):
        rows_in(NumpyFormat(), tmp_path)


def test_an_archive_named_as_an_array_is_refused(tmp_path):
    """An .npz archive under another name says how to have it read, and one of nothing is damaged."""
    np.savez(tmp_path / "a.npz", x=np.zeros(2))
    (tmp_path / "a.npz").rename(tmp_path / "b.npy")
    with zipfile.ZipFile(tmp_path / "c.npz", "w"):
        pass
    with pytest.raises(ArgumentError, match=r"b\.npy is an archive of arrays; name it \.npz"):
        rows_in(NumpyFormat(), tmp_path / "b.npy")
    with pytest.raises(DecodeError, match=r"c\.npz: the archive is empty"):
        rows_in(NumpyFormat(), tmp_path / "c.npz")


def with_header(text, version=(1, 0)):
    head = text.encode("latin1")
    size = len(head).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + head


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -8)}") + bytes(64),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}") + bytes(64),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (9,)}") + bytes(64),
        with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", (9, 9)) + bytes(64),
        with_header("(" * 5000),
        with_header("{'descr': '<f8', 'shape': __import__('os')}"),
        b"\x93NUMPY\x02\x00" + (10_000_000).to_bytes(4, "little") + b" " * 10_000_000,
    ],
)
def test_damaged_headers_are_decode_errors(tmp_path, content):
    """A header that lies about the shape, is too long, or is not one, names the file."""
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(DecodeError, match=r"a\.npy"):
        rows_in(NumpyFormat(), tmp_path)


@pytest.mark.parametrize("order", ["C", "F"])
def test_files_of_python_2_are_read_without_a_word(tmp_path, order):
    """A header with the long integers of Python 2 is read, and NumPy's advice to save the file again is no error."""
    values = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "a.npy", np.asarray(values, order=order))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content.replace(b"(3, 2), }", b"(3L, 2L)}"))
    (batch,) = batches(rows_in(NumpyFormat(), tmp_path))
    assert np.array_equal(batch.column(0).to_numpy_ndarray(), values)


@given(at=st.integers(0, 127), byte=st.integers(0, 255))
def test_any_changed_header_gives_rows_or_an_error_of_ours(tmp_path_factory, at, byte):
    """No single changed byte of a header raises anything but an error that lightdata names."""
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    np.save(path, np.zeros((4, 3), np.float32))
    content = bytearray(path.read_bytes())
    content[at] = byte
    path.write_bytes(content)
    with contextlib.suppress(LightdataError):
        batches(rows_in(NumpyFormat(), path))


def test_a_file_that_changes_after_the_listing_is_refused(tmp_path):
    """A task whose file holds another array than the plan was made for raises."""
    np.save(tmp_path / "a.npy", np.zeros(5))
    tasks = list(rows_in(NumpyFormat(), tmp_path).tasks(Pushdowns(), task_rows=9))
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(DecodeError, match="changed"):
        list(tasks[0].read())


@pytest.mark.parametrize(("order", "rows"), [("C", [3, 2]), ("F", [5])])
def test_remote_files_are_read_by_ranges(order, rows):
    """Rows of a URL are fetched alone, task by task; where they do not lie together the file is one task."""
    stream = io.BytesIO()
    np.save(stream, np.asarray(np.arange(10).reshape(5, 2), order=order))
    fsspec.filesystem("memory").pipe("/npy/a.npy", stream.getvalue())
    source = rows_in(NumpyFormat(), "memory://npy/")
    assert [batch.num_rows for batch in batches(source, task_rows=3)] == rows
    np.testing.assert_array_equal(values(source), np.arange(10).reshape(5, 2))
    assert read_header("memory://npy/a.npy").shape == (5, 2)
