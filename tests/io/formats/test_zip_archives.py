"""Archives of arrays made to do harm."""

import io
import warnings
import zipfile

import numpy as np
import pytest
from row_files import npy, npz, write

import lightdata as ld


def packed(members, method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.simplefilter("ignore")  # zipfile warns of names twice
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


ARRAY = npy(np.arange(3))
ENCRYPTED = bytearray(packed([("a.npy", ARRAY)]))
for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
    ENCRYPTED[ENCRYPTED.rindex(mark) + place] |= 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed([("a.npy", ARRAY), ("a.npy", ARRAY)]), "two members are named"),
        (packed([("a.npy", b"text")]), "not a .npy file"),
        (
            packed([("a.npy", npy(np.zeros(4 << 20)))], zipfile.ZIP_DEFLATED),
            r"33,554,560 bytes out of .* are more than max_expansion=200",
        ),
        (bytes(ENCRYPTED), "encrypted"),
        (packed([("a.npy", ARRAY)])[:-30], "not a sound zip archive"),
    ],
    ids=["two of a name", "no array", "200 to 1", "encrypted", "cut off"],
)
def test_archives_that_do_harm_are_refused(tmp_path, content, message):
    """Each is an error with the file's name, and may be let go where the first file is sound."""
    write(tmp_path, b_npz=content)
    with pytest.raises(ld.DecodeError, match=rf"b\.npz.*{message}"):
        ld.read_numpy(tmp_path).take_all()
    write(tmp_path, a_npz=npz(a=np.arange(2)))
    assert [row["a"] for row in ld.read_numpy(tmp_path, on_error="skip").take_all()] == [0, 1]


def test_names_are_columns_wherever_they_point(tmp_path):
    """A name that leads out of the archive is a column's name, and no file is written."""
    ds = ld.read_numpy(write(tmp_path, a_npz=packed([("../b.npy", ARRAY), ("/c.npy", ARRAY)])))
    assert ds.schema().names == ["../b", "/c"]
    assert ds.count() == 3
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
