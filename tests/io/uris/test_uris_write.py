"""Single files are written whole, once, and inside their folder."""

import os
import threading

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import lightdata as ld
from lightdata.io.uris.write import write_file


def write(folder, name, content=b"abc", **settings):
    """Write one file."""
    return write_file(str(folder), name, content, **{"overwrite": False, "retries": 0, **settings})


def tree(folder):
    """List all that is below a folder."""
    return sorted(
        os.path.relpath(os.path.join(at, name), folder) for at, folders, files in os.walk(folder) for name in files
    )


def test_folders_are_made(tmp_path):
    """The folder and those inside of it come into being, and nothing else stays."""
    path = write(tmp_path / "a" / "b", "c/d/e.bin")
    assert path == str(tmp_path / "a/b/c/d/e.bin")
    assert tree(tmp_path) == ["a/b/c/d/e.bin"]
    assert (tmp_path / "a/b/c/d/e.bin").read_bytes() == b"abc"


def test_what_exists_is_kept_unless_it_may_be_replaced(tmp_path):
    """Replacing must be asked for."""
    write(tmp_path, "a.bin", b"old")
    with pytest.raises(ld.OutputExistsError, match=r"a\.bin' exists; .*overwrite=True"):
        write(tmp_path, "a.bin", b"new")
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    write(tmp_path, "a.bin", b"new", overwrite=True)
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert tree(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_links_lead_nowhere(tmp_path, overwrite):
    """Neither a folder nor a file that is a link is written through."""
    outside, target = tmp_path / "outside", tmp_path / "target"
    outside.mkdir()
    target.mkdir()
    (outside / "kept.bin").write_bytes(b"kept")
    (target / "folder").symlink_to(outside)
    (target / "file.bin").symlink_to(outside / "kept.bin")
    (target / "dangling.bin").symlink_to(outside / "new.bin")
    with pytest.raises(ld.OutputExistsError, match=r"'folder' in .* is a file or a link"):
        write(target, "folder/a.bin", overwrite=overwrite)
    for name in ("file.bin", "dangling.bin"):
        if overwrite:
            write(target, name, overwrite=True)
            assert not (target / name).is_symlink()
        else:
            with pytest.raises(ld.OutputExistsError):
                write(target, name)
    assert tree(outside) == ["kept.bin"]
    assert (outside / "kept.bin").read_bytes() == b"kept"


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path):
    """A file where a folder is needed stays, and so does a folder where a file is needed."""
    write(tmp_path, "a", b"file")
    with pytest.raises(ld.OutputExistsError, match="folder of that name is needed"):
        write(tmp_path, "a/b")
    (tmp_path / "c").mkdir()
    with pytest.raises(ld.OutputExistsError):
        write(tmp_path, "c")
    with pytest.raises(ld.WriteError):
        write(tmp_path, "c", overwrite=True)
    assert tree(tmp_path) == ["a"]


def test_of_many_writers_one_wins(tmp_path):
    """However many write one name at a time, one file is there, whole, and the others are told."""
    lost = []

    def one(number):
        try:
            write(tmp_path, "a.bin", bytes([number]) * 100_000)
        except ld.OutputExistsError:
            lost.append(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lost) == 7
    content = (tmp_path / "a.bin").read_bytes()
    assert content == bytes([content[0]]) * 100_000
    assert tree(tmp_path) == ["a.bin"]


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    """An error names the file."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((ld.WriteError, ld.OutputExistsError), match="file"):
        write(tmp_path / "file", "a.bin")


class Faulty(MemoryFileSystem):
    """A filesystem that loses the answer to a write now and then."""

    protocol = "faulty"
    store = {}  # noqa: RUF012 - as the class it derives from
    pseudo_dirs = [""]  # noqa: RUF012
    lost = []  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("faulty://"))

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        """Write, and perhaps say nothing about it."""
        super().pipe_file(path, value, mode=mode, **kwargs)
        if self.lost:
            raise self.lost.pop()


@pytest.fixture
def faulty():
    fsspec.register_implementation("faulty", Faulty, clobber=True)
    Faulty.store.clear()
    Faulty.lost.clear()
    return Faulty()


def test_filesystems_of_fsspec_are_written_to(faulty):
    """A URL as folder gives URLs of files."""
    assert write("faulty://bucket/out/", "a/b.bin") == "faulty://bucket/out/a/b.bin"
    assert faulty.cat_file("/bucket/out/a/b.bin") == b"abc"
    with pytest.raises(ld.OutputExistsError):
        write("faulty://bucket/out", "a/b.bin", b"new")
    write("faulty://bucket/out", "a/b.bin", b"new", overwrite=True)
    assert faulty.cat_file("/bucket/out/a/b.bin") == b"new"


def test_a_write_whose_answer_was_lost_has_succeeded(faulty):
    """Trying again does not stumble over the file of the first try."""
    faulty.lost[:] = [TimeoutError("lost")]
    write("faulty://bucket", "a.bin", retries=1)
    assert faulty.cat_file("/bucket/a.bin") == b"abc"


def test_what_does_not_pass_is_told_with_the_url(faulty):
    """The error of a filesystem comes with the file's name, without secrets."""
    faulty.lost[:] = [PermissionError("not yours")]
    with pytest.raises(ld.WriteError, match=r"faulty://bucket/a\.bin: not yours"):
        write("faulty://bucket", "a.bin", retries=5)
