"""Listing, reading and naming by folders."""

import logging
import os
import pickle
import socket

import fsspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import fs as arrow_fs

from lightdata.config import config
from lightdata.errors import ArgumentError, LimitError, ReadError
from lightdata.io.files import FileListSource, Partitioning, check_paths, list_files, read_file
from lightdata.io.source import Pushdowns, Source


@pytest.fixture
def tree(tmp_path):
    for name in (
        "b/2.JPG",
        "b/10.jpg",
        "a.png",
        "a/x.jpg",
        "c.txt",
        ".hidden/h.jpg",
        "_tmp/t.jpg",
        "b/.d.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


def names(root, *args, **options):
    return [os.path.relpath(path, root) for path in list_files(*args, **options)]


def table(source, task_rows=100, **pushdowns):
    tasks = list(source.tasks(Pushdowns(**pushdowns), task_rows=task_rows))
    batches = [batch for task in pickle.loads(pickle.dumps(tasks)) for batch in task.read()]
    return pa.Table.from_batches(batches)


def test_a_folder_is_listed_by_name_without_hidden_entries(tree):
    """A folder gives all files below it, each folder's entries by name, hidden ones left out."""
    assert names(tree, tree) == ["a/x.jpg", "a.png", "b/10.jpg", "b/2.JPG", "c.txt"]


def test_extensions_ignore_case_but_spare_named_files(tree):
    """Extensions choose within folders whatever their case; a named file is always taken."""
    assert names(tree, [tree, tree / "c.txt"], extensions=("jpg",)) == [
        "a/x.jpg",
        "b/10.jpg",
        "b/2.JPG",
        "c.txt",
    ]


def test_a_hidden_path_that_is_named_is_taken(tree):
    """A hidden file or folder is read when it is itself what was asked for."""
    assert names(tree, [tree / "b/.d.jpg", tree / "_tmp"]) == ["b/.d.jpg", "_tmp/t.jpg"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*/*.jpg", ["_tmp/t.jpg", "a/x.jpg", "b/10.jpg"]),
        ("**/*.jpg", ["a/x.jpg", "b/10.jpg"]),
        ("b/?.[jJ]*", ["b/2.JPG"]),
        ("*", ["a.png", "c.txt"]),
        ("b/**", ["b/10.jpg", "b/2.JPG"]),
        (".h*/*", [".hidden/h.jpg"]),
    ],
)
def test_patterns_match_as_in_a_shell(tree, pattern, expected):
    """A star stays within a folder, two stars cross folders, and dots must be written."""
    assert names(tree, f"{tree}/{pattern}") == expected


def test_relative_patterns_give_relative_paths(tree, monkeypatch):
    """A pattern without a folder starts where the process is."""
    monkeypatch.chdir(tree)
    assert list(list_files("*.png")) == ["a.png"]


def test_a_literal_path_wins_over_the_pattern_it_looks_like(tmp_path):
    """A file whose name has pattern characters is read by that name."""
    for name in ("a[1].jpg", "a1.jpg"):
        (tmp_path / name).touch()
    assert names(tmp_path, tmp_path / "a[1].jpg") == ["a[1].jpg"]


def test_links_that_loop_end(tree, caplog):
    """A link to a folder above is entered once, and a link to itself is skipped."""
    (tree / "a/up").symlink_to(tree, target_is_directory=True)
    (tree / "b/self").symlink_to(tree / "b/self")
    with caplog.at_level(logging.WARNING):
        assert names(tree, tree, extensions=("jpg",)) == ["a/x.jpg", "b/10.jpg", "b/2.JPG"]
    assert len(caplog.records) == 2


def test_pipes_and_sockets_are_skipped_without_being_opened(tree, caplog, monkeypatch):
    """What is not a regular file is left out with a warning, and refused when read by name."""
    os.mkfifo(tree / "b/pipe.jpg")
    monkeypatch.chdir(tree / "b")  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server, caplog.at_level(logging.WARNING):
        server.bind("s.jpg")
        assert names(tree, tree / "b") == ["b/10.jpg", "b/2.JPG"]
    assert "pipe.jpg: not a regular file" in caplog.text
    with pytest.raises(ReadError, match="not a regular file"):
        read_file(str(tree / "b/pipe.jpg"))


def test_names_that_are_not_text_are_skipped(tmp_path, caplog):
    """A file name that no string column can hold is left out with a warning."""
    (tmp_path / "a.jpg").touch()
    with open(os.fsencode(tmp_path) + b"/\xff.jpg", "wb"):
        assert names(tmp_path, tmp_path) == ["a.jpg"]
    assert "is not text" in caplog.text


def test_a_very_deep_tree_ends(tmp_path, monkeypatch):
    """A tree deeper than Python's call stack is listed."""
    monkeypatch.chdir(tmp_path)
    for _ in range(1500):
        os.mkdir("d")
        os.chdir("d")
    with open("f", "wb"):
        pass
    assert len(list(list_files(tmp_path))) == 1
    os.remove("f")
    for _ in range(1500):  # shutil.rmtree would recurse as deep
        os.chdir("..")
        os.rmdir("d")


def test_an_unreadable_folder_is_named(tmp_path):
    """A folder that cannot be listed is an error with its name."""
    folder = tmp_path
    for _ in range(30):  # a path that the system refuses: permissions do not stop root
        folder = folder / ("x" * 200)
    with pytest.raises(ReadError, match="too long"):
        list(list_files(folder))


def test_missing_paths_are_refused_unless_told(tree):
    """A missing path is an error when the query is built and when it runs, or is passed over."""
    missing = tree / "b/none/x.jpg"
    for check in (check_paths, lambda paths: list(list_files(paths))):
        with pytest.raises(ReadError, match=r"nearest folder that exists is .*/b$"):
            check(missing)
    assert names(tree, [missing, tree / "a.png"], ignore_missing_paths=True) == ["a.png"]
    check_paths(missing, ignore_missing_paths=True)


@pytest.mark.parametrize("pattern", ["a", "none/*.jpg", "*.gif"])
def test_finding_nothing_is_an_error_that_says_what_was_sought(tree, pattern):
    """A folder or pattern without a matching file is refused with its name and the extensions."""
    with pytest.raises(ReadError, match=r"no file ending in \.gif found"):
        list(list_files(f"{tree}/{pattern}", extensions=("gif",)))
    assert list(list_files(f"{tree}/{pattern}", extensions=("gif",), ignore_missing_paths=True)) == []


@pytest.mark.parametrize("paths", [[], "", [3.5], b"x", ["a\0b"], "nosuch://bucket/x"])
def test_what_is_not_a_path_is_refused_when_the_query_is_built(paths):
    """Empty lists, bytes, NULs and unknown schemes are argument errors."""
    with pytest.raises(ArgumentError):
        check_paths(paths)


def test_the_listing_streams(tree):
    """Nothing after the rows that are asked for is listed."""
    (tree / "z").mkdir()
    found = list_files([tree / "a", tree / "gone"])
    assert os.path.basename(next(found)) == "x.jpg"
    with pytest.raises(ReadError):
        next(found)


@given(content=st.binary(max_size=5000))
def test_files_are_read_whole(tmp_path_factory, content):
    """Reading gives every byte."""
    path = tmp_path_factory.mktemp("read") / "f"
    path.write_bytes(content)
    assert read_file(str(path)) == content


def test_a_file_that_says_it_is_empty_is_read_to_its_end():
    """Files whose size is not told beforehand are read all the same."""
    assert read_file("/proc/self/cmdline")


@pytest.mark.parametrize("path", ["gone", ".", "x\0y"])
def test_failures_to_read_name_the_file(path):
    """Whatever fails is a read error with the path."""
    with pytest.raises(ReadError) as caught:
        read_file(path)
    assert caught.value.uri == path


def test_file_urls_are_local(tree):
    """A file URL is read through the operating system, percent signs decoded."""
    (tree / "x y.jpg").write_bytes(b"1")
    assert read_file(f"file://{tree}/x%20y.jpg") == b"1"
    assert names(tree, f"file://{tree}/b") == ["b/10.jpg", "b/2.JPG"]


def test_remote_urls_are_listed_as_urls():
    """Folders and patterns of a URL give URLs that can be read."""
    memory = fsspec.filesystem("memory")
    memory.pipe({"/files/k=1/a.jpg": b"1", "/files/k=2/b.JPG": b"2", "/files/_x/c.jpg": b"3"})
    found = list(list_files("memory://files", extensions=("jpg",)))
    assert found == ["memory:///files/k=1/a.jpg", "memory:///files/k=2/b.JPG"]
    assert [read_file(path) for path in found] == [b"1", b"2"]
    assert list(list_files("memory://files/*/a.*")) == found[:1]
    with pytest.raises(ReadError):
        read_file("memory://files/none")
    source = FileListSource(paths="memory://files", partitioning=Partitioning())
    assert table(source.resolved())["k"].to_pylist() == ["1", "2"]


def test_a_filesystem_may_be_given(tree):
    """Paths of a pyarrow or fsspec filesystem are listed and read through it."""
    arrow = arrow_fs.SubTreeFileSystem(str(tree), arrow_fs.LocalFileSystem())
    assert list(list_files("b", filesystem=arrow)) == ["b/10.jpg", "b/2.JPG"]
    assert read_file("b/10.jpg", arrow) == b"b/10.jpg"
    for local in (arrow_fs.LocalFileSystem(), fsspec.filesystem("file")):
        assert names(tree, tree / "b", filesystem=local) == ["b/10.jpg", "b/2.JPG"]


def test_hive_folders_name_columns(tmp_path):
    """Every key=value folder below the base is a value, unquoted."""
    hive = Partitioning("hive", base_dir=str(tmp_path))
    assert hive.partition_values(f"{tmp_path}/a=1/x/b%20c=d%2Fe/f.jpg") == {"a": "1", "b c": "d/e"}
    with pytest.raises(ArgumentError, match="does not lie below"):
        hive.partition_values("/elsewhere/a=1/f.jpg")
    with pytest.raises(ArgumentError, match="the folders name b"):
        Partitioning(field_names=["a"]).partition_values("b=1/f.jpg")


def test_dir_folders_are_named_by_place():
    """Folders take the given names in order; None leaves one out; another depth is an error."""
    places = Partitioning("dir", base_dir="root", field_names=["split", None, "label"])
    assert places.partition_values("root/train/x/cat/1.jpg") == {"split": "train", "label": "cat"}
    with pytest.raises(ArgumentError, match="names split/None/label, the folders are train"):
        places.partition_values("root/train/1.jpg")


@pytest.mark.parametrize(
    "arguments",
    [{"style": "x"}, {"style": "dir"}, {"field_types": {"a": list}}, {"style": "dir", "field_names": []}],
)
def test_partitionings_that_cannot_work_are_refused(arguments):
    """Unknown styles and types, and dir without names, are argument errors."""
    with pytest.raises(ArgumentError):
        Partitioning(**arguments)


@pytest.fixture
def hive(tmp_path):
    for name in ("n=1/ok=true/a.jpg", "n=2/ok=false/b.jpg", "n=__HIVE_DEFAULT_PARTITION__/ok=true/c.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    return FileListSource(paths=tmp_path, partitioning=Partitioning(field_types={"n": int, "ok": bool})).resolved()


def test_partition_columns_have_their_types(hive):
    """Values are converted to the declared types and the default partition is null."""
    assert isinstance(hive, Source)
    assert hive.schema == {"path": pa.large_string(), "n": pa.int64(), "ok": pa.bool_()}
    found = table(hive)
    assert found.schema == hive.schema.to_arrow()
    assert found.drop_columns("path").to_pydict() == {"n": [1, 2, None], "ok": [True, False, True]}


def test_a_filter_on_partitions_chooses_files(hive):
    """The filter sees the folders' text and decides which files are rows."""
    kept = FileListSource(
        paths=hive.paths, partitioning=hive.partitioning, partition_filter=lambda values: values["n"] == "2"
    )
    assert kept.count() == 1
    assert [os.path.basename(row) for task in kept.tasks(Pushdowns(), task_rows=9) for row in _paths(task)] == ["b.jpg"]
    with pytest.raises(ArgumentError, match="needs a partitioning"):
        FileListSource(paths=hive.paths, partition_filter=bool)


def _paths(task):
    return [path for batch in task.read() for path in batch["path"].to_pylist()]


def test_a_partition_that_does_not_convert_is_refused(hive):
    """A folder whose text is not of the declared type is an error with both."""
    wrong = FileListSource(paths=hive.paths, partitioning=Partitioning(field_types={"n": bool}))
    with pytest.raises(ArgumentError, match="n=2 is not bool"):
        table(wrong)


def test_files_with_other_partitions_than_the_first_are_refused(hive):
    """A file outside the hive layout is an error, not a row of nulls."""
    with open(f"{hive.paths[0]}/zz.jpg", "wb"):
        pass
    with pytest.raises(ArgumentError, match=r"zz\.jpg"):
        table(hive)


@pytest.fixture
def ten(tmp_path):
    for i in range(10):
        (tmp_path / f"{i}.jpg").touch()
    return tmp_path


def test_tasks_have_exactly_the_rows_asked_for(ten):
    """Listed rows are cut every task_rows rows, columns and n_rows pushed down."""
    source = FileListSource(paths=ten, extensions=("jpg",))
    sizes = [task.batch.num_rows for task in source.tasks(Pushdowns(), task_rows=4)]
    assert sizes == [4, 4, 2]
    assert [task.batch.num_rows for task in source.tasks(Pushdowns(n_rows=5), task_rows=4)] == [4, 1]
    assert [task.batch.num_rows for task in source.tasks(Pushdowns(columns=()), task_rows=20)] == [10]
    assert list(source.tasks(Pushdowns(n_rows=0), task_rows=4)) == []
    assert source.count() == 10


def test_shuffled_files_are_a_permutation_that_a_seed_fixes(ten):
    """The same seed gives the same order, another seed another, each with every file once."""
    orders = [table(FileListSource(paths=ten, shuffle_seed=seed))["path"].to_pylist() for seed in (None, 1, 1, 2)]
    assert orders[1] == orders[2] != orders[3]
    assert sorted(orders[1]) == sorted(orders[3]) == orders[0] != orders[1]


def test_sources_say_what_they_read():
    """The text of a source is short and names paths and extensions."""
    assert str(FileListSource(paths="photos/", extensions=("jpg", "png"))) == "files[photos/, *.jpg|*.png]"
    assert str(FileListSource(paths=["a", "b", "c", "d"])) == "files[a, … 4 paths]"


def test_tasks_of_tiny_files_grow(tmp_path):
    """After a few tasks as large as asked for, those of tiny files are larger, and no file is lost or moved."""
    for number in range(700):
        (tmp_path / f"{number:04}.jpg").write_bytes(b"tiny")
    source = FileListSource(paths=str(tmp_path))
    tasks = [next(task.read()) for task in source.tasks(Pushdowns(), task_rows=32)]
    assert [task.num_rows for task in tasks] == [32] * 16 + [188]
    names = [path for task in tasks for path in task.column("path").to_pylist()]
    assert names == sorted(names)
    assert len(names) == 700
    asked = source.tasks(Pushdowns(n_rows=600), task_rows=32)
    assert sum(next(task.read()).num_rows for task in asked) == 600


def test_tasks_of_large_files_stay(tmp_path):
    """Tasks of files that take a while to read keep the size that was asked for."""
    for number in range(700):
        with open(tmp_path / f"{number:04}.jpg", "wb") as file:
            file.truncate(100_000)
    sizes = [
        next(task.read()).num_rows for task in FileListSource(paths=str(tmp_path)).tasks(Pushdowns(), task_rows=32)
    ]
    assert sizes == [32] * 21 + [28]


@pytest.mark.parametrize("remote", ["memory", "arrow", None])
def test_a_file_beyond_the_limit_is_not_read(tmp_path, settings, remote):
    """A file of more bytes than ``max_file_bytes`` is refused by name, wherever it is; an empty one is read."""
    content = {"a.bin": b"12345", "b.bin": b"123456", "c.bin": b""}
    filesystem, folder = None, str(tmp_path)
    if remote == "memory":
        filesystem, folder = fsspec.filesystem("memory"), "/limits"
        filesystem.makedirs(folder, exist_ok=True)
    elif remote == "arrow":
        filesystem, folder = arrow_fs.SubTreeFileSystem(str(tmp_path), arrow_fs.LocalFileSystem()), ""
    for name, body in content.items():
        if remote == "memory":
            filesystem.pipe_file(f"{folder}/{name}", body)
        else:
            (tmp_path / name).write_bytes(body)
    config(max_file_bytes=5)
    where = f"{folder}/" if folder else ""
    assert read_file(f"{where}a.bin", filesystem) == b"12345"
    assert read_file(f"{where}c.bin", filesystem) == b""
    with pytest.raises(LimitError, match=r"b\.bin: 6 bytes of the file are more than max_file_bytes=5"):
        read_file(f"{where}b.bin", filesystem)
    assert read_file(f"{where}b.bin", filesystem, max_bytes=6) == b"123456"
