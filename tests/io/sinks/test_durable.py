"""Bytes that are forced to disk, beside other work."""

import os

import pytest

from lightdata.io.sinks import durable
from lightdata.io.sinks.durable import drain_drive, sync_to_disk, syncing


@pytest.fixture
def forced(monkeypatch):
    """The files that the system was asked to force to disk, in the order in which it was done."""
    found, fsync = [], os.fsync

    def noted(descriptor):
        fsync(descriptor)
        found.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(durable.os, "fsync", noted)
    return found


def written(folder, count):
    files = [folder / f"{number}" for number in range(count)]
    for file in files:
        file.write_bytes(b"x" * 1000)
    return files


def test_all_files_are_forced(tmp_path, forced):
    """When the block has ended, each file was forced to disk, once."""
    files = written(tmp_path, 50)
    with syncing() as begin:
        for file in files:
            begin(str(file))
    assert sorted(forced) == sorted(file.stat().st_ino for file in files)


def test_one_that_fails_is_told(tmp_path, forced):
    """A file that cannot be forced to disk is an OSError at the end, and nobody is at the others any more."""
    files = written(tmp_path, 20)
    with pytest.raises(FileNotFoundError, match="gone"), syncing() as begin:  # noqa: PT012 - all of it is one use
        begin(str(tmp_path / "gone"))
        for file in files:
            begin(str(file))
    before = len(forced)
    for file in files:
        file.unlink()
    assert len(forced) == before <= len(files)


def test_an_error_of_the_caller_stays(tmp_path, forced):
    """An error in the block is raised as it is, though a file could not be forced to disk either."""
    with pytest.raises(KeyError), syncing() as begin:  # noqa: PT012 - as above
        begin(str(tmp_path / "gone"))
        raise KeyError


def test_folders_are_forced(tmp_path, forced):
    """The names in a folder can be forced to disk, and its drive be drained."""
    sync_to_disk(tmp_path)
    drain_drive(tmp_path)
    assert len(forced) == (os.name != "nt")


def test_a_file_that_is_gone_is_an_error(tmp_path):
    """Nothing pretends that a file is on disk which is nowhere."""
    with pytest.raises(FileNotFoundError):
        sync_to_disk(tmp_path / "gone")
