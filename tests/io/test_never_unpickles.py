"""Files of data are never run as code."""

from __future__ import annotations

import io
import pickle
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lightdata as ld
from lightdata.dataset.run import executed_by
from lightdata.execute.inline import InlineExecutor


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        import os

        return os.mkdir, (self.path,)


@pytest.fixture
def canary(tmp_path):
    """A path that is there once a pickle was run."""
    path = tmp_path / "ran"
    with executed_by(lambda _, log: InlineExecutor(log)):
        yield path
    assert not path.exists()


def test_the_canary_sings(tmp_path):
    """The pickle of these tests does make its folder where it is run."""
    pickle.loads(pickle.dumps(Canary(tmp_path / "ran")))
    assert (tmp_path / "ran").is_dir()


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_object_arrays_are_refused(ending, canary, tmp_path):
    """An array of pickled objects raises, and is not unpickled."""
    path = tmp_path / f"a.{ending}"
    array = np.array([Canary(canary)] * 3, dtype=object)
    if ending == "npy":
        np.save(path, array, allow_pickle=True)
    else:
        np.savez(path, data=array)
    with pytest.raises(ld.LightdataError, match=rf"a\.{ending}"):
        ld.read_numpy(path).take_all()


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_pickles_in_metadata_are_not_read(ending, canary, tmp_path):
    """A field that names a pickled extension type is refused, or given as what it is stored as."""
    path = tmp_path / f"a.{ending}"
    data = pickle.dumps(Canary(canary))
    named = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": data}
    schema = pa.schema([pa.field("x", pa.int64(), metadata=named)], metadata={b"pandas": data})
    table = pa.Table.from_arrays([pa.array([1, 2])], schema=schema)
    if ending == "parquet":
        pq.write_table(table, path)
        with pytest.raises(ld.DecodeError, match=r"a\.parquet: its schema"):
            ld.read_parquet(path)
    else:
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, schema) as writer:
            writer.write_table(table)
        assert [row["x"] for row in ld.read_arrow(path).take_all()] == [1, 2]


@pytest.mark.parametrize("ending", ["pyd", "pickle", "pkl"])
def test_pickled_members_are_bytes(ending, canary, tmp_path):
    """A pickle in a WebDataset is given as its bytes."""
    data = pickle.dumps(Canary(canary))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo(f"0.{ending}")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    (row,) = ld.read_webdataset(tmp_path / "a.tar").take_all()
    assert row[ending] == data
