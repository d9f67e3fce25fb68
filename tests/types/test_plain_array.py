"""Arrays without pandas."""

import subprocess
import sys

import pyarrow as pa
import pytest

from lightdata.types.plain_array import plain_array

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
