"""What is logged in workers is heard where the query runs."""

import io
import logging
import os
import tarfile

import pytest

import lightdata as ld


@pytest.fixture
def shards(tmp_path):
    """Hold two shards of a row each, with a link that is of no row."""
    for name in "ab":
        with tarfile.open(tmp_path / f"{name}.tar", "w") as archive:
            link = tarfile.TarInfo(f"{name}.txt")
            link.type, link.linkname = tarfile.SYMTYPE, "100%s"
            archive.addfile(link)
            content = tarfile.TarInfo("c.txt")
            content.size = 4
            archive.addfile(content, io.BytesIO(b"text"))
    return tmp_path


def pids(shards):
    return {row["pid"] for row in ld.read_webdataset(shards).map(lambda _: {"pid": os.getpid()}).take_all()}


@pytest.fixture(autouse=True)
def workers():
    before = ld.config().workers
    ld.config(workers=2)
    yield
    ld.config(workers=before)


def test_warnings_of_workers_are_logged_here(shards, caplog, capfd):
    """A warning comes from the logger that gave it, through the handlers that were set here, and is not printed."""
    caplog.clear()
    assert os.getpid() not in pids(shards)
    told = [record for record in caplog.records if "b.tar::b.txt: not a regular file" in record.getMessage()]
    assert {(record.name, record.levelname) for record in told} == {("lightdata.io.formats.tar", "WARNING")}
    assert capfd.readouterr().err == ""


def test_what_nobody_wants_to_hear_is_not_sent(shards, caplog):
    """The level that is set here counts in workers too."""
    with caplog.at_level(logging.ERROR, "lightdata"):
        assert os.getpid() not in pids(shards)
    assert caplog.records == []
