"""Options that every reader of files that hold rows has alike."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import polars as pl
import pytest

import lightdata as ld
from lightdata.dataset.run import executed_by
from lightdata.execute.inline import InlineExecutor


def webdataset(path, values):
    with tarfile.open(path, "w") as archive:
        for value in values:
            data = json.dumps(value).encode()
            info = tarfile.TarInfo(f"{value:04d}.json")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


KINDS = {
    "parquet": (ld.read_parquet, lambda path, values: pl.DataFrame({"x": values}).write_parquet(path)),
    "csv": (ld.read_csv, lambda path, values: pl.DataFrame({"x": values}).write_csv(path)),
    "jsonl": (ld.read_json, lambda path, values: pl.DataFrame({"x": values}).write_ndjson(path)),
    "txt": (ld.read_text, lambda path, values: path.write_text("".join(f"{value}\n" for value in values))),
    "arrow": (ld.read_arrow, lambda path, values: pl.DataFrame({"x": values}).write_ipc(path)),
    "npy": (ld.read_numpy, lambda path, values: np.save(path, np.array(values))),
    "tar": (ld.read_webdataset, webdataset),
}


@pytest.fixture(autouse=True)
def inline():
    """Runs queries in this process."""
    with executed_by(lambda _, log: InlineExecutor(log)):
        yield


@pytest.fixture(params=KINDS)
def kind(request):
    """The ending of a format's files."""
    return request.param


@pytest.fixture
def folder(kind, tmp_path):
    """Three files of four rows, in folders named as Hive does."""
    for number in range(3):
        place = tmp_path / f"part={number}"
        place.mkdir()
        KINDS[kind][1](place / f"f.{kind}", list(range(4 * number, 4 * number + 4)))
    return tmp_path


def test_rows_tell_their_file(kind, folder):
    """With include_paths each row has the path of its file, in the order of the files."""
    rows = KINDS[kind][0](folder, include_paths=True).take_all()
    assert [row["path"] for row in rows] == [
        str(folder / f"part={n}" / f"f.{kind}") for n in range(3) for _ in range(4)
    ]


def test_folders_name_columns_and_filter_files(kind, folder):
    """Hive folders give a column, and partition_filter leaves whole files out."""
    options = {"partitioning": "hive", "partition_filter": lambda values: values["part"] != "1"}
    rows = KINDS[kind][0](folder, **options).take_all()
    assert [str(row["part"]) for row in rows] == ["0"] * 4 + ["2"] * 4


def test_a_seed_shuffles_files_the_same_way_twice(kind, folder):
    """A seeded shuffle gives all rows, in the same order each time."""
    first, second = (
        [row["path"] for row in KINDS[kind][0](folder, include_paths=True, shuffle=3).take_all()] for _ in "ab"
    )
    assert first == second
    assert len(first) == 12
    assert len(set(first)) == 3


def test_missing_files_are_let_go_only_if_asked(kind, folder):
    """A path that is not there raises, unless ignore_missing_paths is true."""
    paths = [str(folder / "part=0" / f"f.{kind}"), str(folder / f"gone.{kind}")]
    assert KINDS[kind][0](paths, ignore_missing_paths=True).count() == 4
    with pytest.raises(ld.LightdataError, match="gone"):
        KINDS[kind][0](paths).take_all()


def test_counts_limits_and_paths_alone(kind, folder):
    """Counting, limiting and asking only for the path agree on the rows."""
    ds = KINDS[kind][0](folder, include_paths=True)
    assert ds.count() == 12
    assert len(ds.limit(5).take_all()) == 5
    assert [set(row) for row in ds.select("path").take_all()] == [{"path"}] * 12


def test_an_unknown_option_is_refused(kind, folder):
    """A keyword that no reader has fails when the query is built."""
    with pytest.raises((TypeError, ld.LightdataError), match="include_path"):
        KINDS[kind][0](folder, include_pathz=True)


@pytest.mark.parametrize("broken", [0, 1, 2])
@pytest.mark.parametrize("ending", ["parquet", "arrow", "npy", "tar", "jsonl"])
def test_a_broken_file_among_three(ending, broken, tmp_path):
    """A file that cannot be read at all raises, named, or is let go; also where it is the one to learn from."""
    read, write = KINDS[ending]
    for number in range(3):
        write(tmp_path / f"{number}.{ending}", list(range(4 * number, 4 * number + 4)))
    (tmp_path / f"{broken}.{ending}").write_bytes(b"broken \xff" * 100)
    with pytest.raises(ld.LightdataError, match=rf"{broken}\.{ending}"):
        read(tmp_path).take_all()
    assert len(read(tmp_path, on_error="skip").take_all()) == 8
    assert len(read(tmp_path, on_error="null").take_all()) == 9


@pytest.mark.parametrize("on_error", ["null", "skip"])
def test_columns_are_learned_from_the_next_file_if_no_row_of_the_first_can_be_read(on_error, tmp_path):
    """Where rows may fail, a first JSON file of nothing but broken rows is passed over to learn the columns."""
    (tmp_path / "a.jsonl").write_text("{bad\n{bad\n")
    (tmp_path / "b.jsonl").write_text('{"x": 1}\n')
    rows = ld.read_json(tmp_path, on_error=on_error).take_all()
    assert rows[-1] == {"x": 1}
