"""Rows of WebDataset shards, and the tar archives that they are."""

import gzip
import io
import tarfile

import numpy as np
import pytest
from row_files import npy, tar, write

import lightdata as ld
from lightdata.io.formats.tar import iter_members


@pytest.fixture(autouse=True)
def inline():
    before = ld.config(workers=0, progress=False)
    yield
    ld.config(workers=before.workers)


def test_files_that_share_a_name_are_a_row(tmp_path):
    """Endings are columns of their type; files without a name or an ending are of no row."""
    members = [
        ("a/1.txt", b"x"),
        ("a/1.cls", b"3"),
        ("README", b""),
        ("a/2.npy", npy(np.arange(2))),
        ("a/.hidden", b""),
    ]
    rows = ld.read_webdataset(write(tmp_path, a_tar=tar(members))).take_all()
    assert [(row["__key__"], row["txt"], row["cls"]) for row in rows] == [("a/1", "x", 3), ("a/2", None, None)]
    assert rows[1]["npy"].tolist() == [0, 1]
    assert ld.read_webdataset(tmp_path, columns=[".cls"]).schema().names == ["__key__", "cls"]
    assert ld.read_webdataset(write(tmp_path, a_tar=b"", b_tgz=gzip.compress(tar(members))) / "b.tgz").count() == 2


@pytest.mark.parametrize(
    "wrong",
    [
        [("w.cls", b"x")],
        [("w.cls", b"9" * 30)],
        [("w.cls", b"9" * 5000)],
        [("w.txt", b"\xff")],
        [("w.npy", b"garbage")],
        [("w.npy", npy(np.array([1 + 2j])))],
        [("w.npy", npy(np.zeros(2, [("a", "i4")])))],
        [("w.txt", b"1"), ("w.txt", b"2")],
        [("w.__key__", b"1")],
        [("w.other", b"1")],
        [("w\udcff.txt", b"1")],
    ],
)
def test_a_row_that_is_wrong_fails_by_itself(tmp_path, wrong):
    """It becomes null or is left out, whatever columns are asked for, and the rows around it stay."""
    good = [("1.txt", b"a"), ("1.cls", b"1"), ("1.npy", npy(np.arange(2.0)))]
    write(tmp_path, a_tar=tar(good), b_tar=tar([*wrong, ("2.txt", b"b")]))
    with pytest.raises(ld.DecodeError, match=r"b\.tar"):
        ld.read_webdataset(tmp_path).take_all()
    assert [row["txt"] for row in ld.read_webdataset(tmp_path, on_error="null").take_all()] == ["a", None, "b"]
    ds = ld.read_webdataset(tmp_path, on_error="skip")
    assert [row["__key__"] for row in ds.select("__key__").take_all()] == ["1", "2"]


def test_arrays_have_one_dtype_however_rows_are_cut(tmp_path):
    """Whole numbers among floats become floats, in a batch of their own, too."""
    members = [(f"{number}.npy", npy(np.array([number], "f8" if number == 0 else "i4"))) for number in range(4)]
    ds = ld.read_webdataset(write(tmp_path, a_tar=tar(members)))
    arrays = [array for batch in ds.iter_batches(batch_size=1) for array in batch["npy"]]
    assert [array.dtype for array in arrays] == [np.dtype("f8")] * 4


def test_a_shard_cut_anywhere_is_never_taken_for_a_whole_one(tmp_path):
    """At every block, what is left gives the rows before it, and an error."""
    whole = tar([(f"{number}.txt", b"x" * 600) for number in range(4)], format=tarfile.USTAR_FORMAT)
    for length in range(0, 4 * 1536 + 1, 256):
        path = tmp_path / "a.tar"
        path.write_bytes(whole[:length])
        found = []
        with pytest.raises(ld.DecodeError, match=r"a\.tar"):
            found.extend(member.name for member in iter_members(str(path)))
        assert len(found) == sum(start + 512 + 600 <= length for start in range(0, 4 * 1536, 1536))


def test_a_damaged_header_is_not_the_end(tmp_path):
    """A header that is damaged in the middle of an archive is told, where tarfile would stop without a word."""
    content = bytearray(tar([("1.txt", b"a"), ("2.txt", b"b"), ("3.txt", b"c")], format=tarfile.USTAR_FORMAT))
    content[1024 + 3] ^= 1
    write(tmp_path, a_tar=bytes(content))
    found = []
    with pytest.raises(ld.DecodeError, match="at byte 1024"):
        found.extend(member.name for member in iter_members(str(tmp_path / "a.tar")))
    assert found == ["1.txt"]


def test_what_expands_without_measure_is_refused(tmp_path):
    """A compressed archive of zeros is refused before it is held."""
    stream = io.BytesIO()
    with gzip.open(stream, "wb", 9) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        info = tarfile.TarInfo("1.bin")
        info.size = 200 << 20
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    write(tmp_path, a_tar_gz=stream.getvalue())
    with pytest.raises(ld.DecodeError, match="are more than max_expansion=200"):
        ld.read_webdataset(tmp_path)
