"""Arrays without pandas."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from lightdata.types.image import binary_from_ndarray, binary_values, binary_view
from lightdata.types.plain_array import number_array, plain_array, plain_values, repeated

VALUES = {
    pa.bool_(): [True, None, False],
    pa.int32(): [1, None, -3],
    pa.uint32(): [1, None, 2**32 - 1],
    pa.int64(): [2**62, None],
    pa.float32(): [0.5, None],
    pa.float64(): [0.1, None],
    pa.large_string(): ["a", None, "", "é"],
    pa.large_binary(): [b"ab", None, b"", b"\0" * 9, None, b"x", b"y", b"z", b"w"],
    pa.large_list(pa.int64()): [[1], None, []],
}


@pytest.mark.parametrize("kind", VALUES, ids=str)
@pytest.mark.parametrize("count", [0, 1, 100])
def test_it_gives_what_pyarrow_gives(kind, count):
    """Values, nulls and empty arrays are those of pa.array, and valid in full."""
    values = (VALUES[kind] * count)[: count * 2]
    made = plain_array(values, kind)
    made.validate(full=True)
    assert made.equals(pa.array(values, kind))


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", ">i4", "u8", "f2", "<f4", ">f8", "U3", "M8[s]", "m8[ns]"])
@pytest.mark.parametrize("step", [1, 3])
def test_arrays_become_what_pyarrow_makes_of_them(dtype, step):
    """Whatever the dtype, the byte order and the strides, the column is that of pa.array."""
    values = np.arange(20).astype(dtype)[::step]
    made = number_array(values)
    made.validate(full=True)
    assert made.equals(pa.array(values.astype(values.dtype.newbyteorder("="))))


@pytest.mark.parametrize(
    "column", [[1, None, 3], [1, 2, 3], [0.5, 1.5, 2.5], [True, False, True], ["a", None, "b"], []]
)
def test_columns_become_what_pyarrow_makes_of_them(column):
    """Whatever the values, slices included, the array is that of to_numpy."""
    made = pa.array(column)[1:]
    np.testing.assert_array_equal(plain_values(made), made.to_numpy(zero_copy_only=False))
    assert plain_values(made).dtype == made.to_numpy(zero_copy_only=False).dtype


def test_buffers_may_be_longer_than_they_need_to_be():
    """Of columns from elsewhere the borders of values are read whatever follows them in their buffer."""
    plain = binary_from_ndarray(np.arange(6, dtype=np.uint8).reshape(3, 2))
    _, borders, values = plain.buffers()
    longer = [None, pa.py_buffer(borders.to_pybytes() + b"xyz"), pa.py_buffer(values.to_pybytes() + b"x")]
    column = pa.Array.from_buffers(pa.large_binary(), 2, longer, offset=1)
    assert [bytes(one) for one in binary_values(column)] == [b"\2\3", b"\4\5"]
    assert binary_view(column, np.dtype(np.uint8), (2,)).tolist() == [[2, 3], [4, 5]]
    nothing = column.slice(2)
    assert binary_values(nothing) == []
    assert binary_view(nothing, np.dtype(np.uint8), (2,)).shape == (0, 2)


def test_a_text_is_repeated():
    """A column of one text is a large string, as every text column is."""
    assert repeated("é", 3).equals(pa.array(["é"] * 3, pa.large_string()))


PANDAS_UNDER_INTERRUPT = """
import os, signal, sys
from importlib.abc import MetaPathFinder
import lightdata as ld
class Interrupting(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "pandas":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
try:
    ld.from_items([{"a": 1}, {"a": None}])
except KeyboardInterrupt:
    print("interrupted")
"""


def test_an_interrupt_is_not_lost_to_the_import_of_pandas():
    """A Ctrl-C that comes while pyarrow imports pandas is raised."""
    pytest.importorskip("pandas")
    done = subprocess.run([sys.executable, "-c", PANDAS_UNDER_INTERRUPT], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_batches_of_numbers_do_not_import_pandas():
    """Numbers and tensors enter and leave without pandas, where it is installed."""
    script = """
import sys
import numpy as np
import lightdata as ld
ld.config(workers=0)
table = ld.from_numpy({"id": np.arange(9), "ok": np.ones(9, bool), "x": np.zeros((9, 2), np.float32)})
assert [batch["x"].shape for batch in table.sort("id").iter_batches()] == [(9, 2)]
assert len(ld.range(9).to_arrow()) == 9
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_reading_images_does_not_import_pandas(tmp_path):
    """A first query over images never pays for pandas, where it is installed."""
    script = f"""
import sys
from PIL import Image
import lightdata as ld
Image.new("RGB", (8, 6)).save(r"{tmp_path}/a.png")
query = ld.read_images(r"{tmp_path}").with_columns(ld.col("image").image.resize(4, 4))
assert [batch["image"].shape for batch in query.iter_batches()] == [(1, 4, 4, 3)]
assert query.take(1)[0]["image"].shape == (4, 4, 3)
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
