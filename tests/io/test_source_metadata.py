"""What every source tells before it is read."""

import pickle

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lightdata.io.files import FileListSource
from lightdata.io.formats.numpy import NumpyFormat
from lightdata.io.formats.parquet import ParquetFormat
from lightdata.io.memory import MemorySource, RangeSource
from lightdata.io.source import Bounds, Extent, Pushdowns, Source
from lightdata.read.options import rows_of


def rows_in(file_format, paths, **options):
    """Describe the rows of files as a reader does."""
    return rows_of(paths, file_format, options, rows_in)


def write(folder):
    for name in "ab":
        np.save(folder / f"{name}.npy", np.arange(5))
        pq.write_table(pa.table({"id": range(5), "s": ["xy"] * 5}), folder / f"{name}.parquet", row_group_size=2)


SOURCES = {
    "memory": (lambda folder: MemorySource(pa.table({"id": range(5), "s": ["xy"] * 5})), 5),
    "range": (lambda folder: RangeSource(5), 5),
    "files": (lambda folder: FileListSource(paths=str(folder)), 4),
    "one numpy": (lambda folder: rows_in(NumpyFormat(), str(folder / "a.npy")), 5),
    "numpy": (lambda folder: rows_in(NumpyFormat(), str(folder)), 10),
    "parquet": (lambda folder: rows_in(ParquetFormat(), str(folder)), 10),
}


@pytest.fixture(params=SOURCES)
def source_rows(request, tmp_path):
    write(tmp_path)
    make, rows = SOURCES[request.param]
    return make(tmp_path), rows


def test_all_answers_agree(source_rows):
    """The count, the extent and the bounds are what is read; a count stops where it is told to."""
    source, rows = source_rows
    read = sum(batch.num_rows for task in source.tasks(Pushdowns(), task_rows=3) for batch in task.read())
    assert isinstance(source, Source)
    assert (read, source.count(), source.bounds(()).rows) == (rows, rows, rows)
    assert [source.count(most) for most in (0, 3, rows, 99)] == [0, 3, rows, rows]
    extent = source.extent()
    assert extent.rows == rows if extent.is_exact else extent.rows >= rows
    assert set(extent.widths) <= set(source.schema)


def test_a_column_without_known_bounds_is_left_out(source_rows):
    """Bounds are told of columns that have exact ones, or not at all."""
    source, rows = source_rows
    columns = tuple(source.schema)
    found = source.bounds(columns)
    assert set(found.columns) <= set(columns)
    for one in found.columns.values():
        assert (one.least.as_py(), one.most.as_py(), one.nulls) == (0, 4, 0)
    assert pickle.loads(pickle.dumps(found)).rows == rows


def test_sizes_of_files_are_told(tmp_path):
    """A listing knows the mean size of its files, also when it is long."""
    for number in range(1200):
        (tmp_path / f"{number:04}.bin").write_bytes(b"x" * 10)
    extent = FileListSource(paths=str(tmp_path)).extent()
    assert extent == Extent(rows=1200, file_bytes=10, widths={"path": len(str(tmp_path)) + 9})


def test_nothing_remote_is_asked_while_planning(tmp_path):
    """Sources on other machines tell nothing before they are read, and are counted when they are."""
    memory = fsspec.filesystem("memory")
    write(tmp_path)
    for path in tmp_path.iterdir():
        memory.pipe_file(f"/metadata/{path.name}", path.read_bytes())
    for source in (
        FileListSource(paths="memory://metadata"),
        rows_in(NumpyFormat(), "memory://metadata"),
        rows_in(ParquetFormat(), "memory://metadata"),
    ):
        assert source.extent() == Extent()
        assert source.bounds(()) is None
        assert source.count() in (4, 10)


def test_empty_sources():
    """No rows have no bounds, and no width."""
    assert MemorySource(pa.table({"a": pa.array([], pa.int64())})).extent() == Extent(rows=0)
    bounds = RangeSource(0).bounds(("id",))
    assert isinstance(bounds, Bounds)
    assert not bounds.columns["id"].least.is_valid
