"""Files of this machine and of fsspec's filesystems, by path and by URL."""

import os

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import lightdata as ld
from lightdata.io.uris.read import UriReader
from lightdata.types.uri_operation import ReadUri


def read(uri, **settings):
    """Read one file."""
    reader = UriReader(ReadUri(**settings))
    try:
        return reader.read(uri)
    finally:
        reader.close()


class Shaky(MemoryFileSystem):
    """A filesystem that fails the first times, as its files say."""

    protocol = "shaky"
    store = {}  # noqa: RUF012 - as the class it derives from
    pseudo_dirs = [""]  # noqa: RUF012
    faults = []  # noqa: RUF012
    calls = []  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("shaky://"))

    def cat_file(self, path, start=None, end=None, **kwargs):
        """Fail, or read."""
        self.calls.append(path)
        if self.faults:
            raise self.faults.pop()
        return super().cat_file(path, start=start, end=end, **kwargs)


@pytest.fixture
def shaky():
    fsspec.register_implementation("shaky", Shaky, clobber=True)
    Shaky.store.clear()
    Shaky.faults.clear()
    Shaky.calls.clear()
    filesystem = Shaky()
    filesystem.pipe_file("/a.bin", b"abc")
    return filesystem


@pytest.mark.parametrize("write", ["{}", "file://{}"])
def test_files_of_this_machine(tmp_path, write):
    """A plain path and a file URL name the same file."""
    (tmp_path / "a b.bin").write_bytes(b"abc")
    assert read(write.format(tmp_path / "a b.bin")) == b"abc"


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    """A path may begin with the home folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.bin").write_bytes(b"abc")
    assert read("~/a.bin") == b"abc"


def test_what_is_no_file_is_an_error(tmp_path):
    """Missing files, folders and pipes are told by name."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", ".", "pipe", "nul\0"):
        with pytest.raises(ld.ReadError) as caught:
            read(f"{tmp_path}/{name}")
        assert "\0" not in str(caught.value)


def test_large_local_files_are_refused(tmp_path):
    """``max_bytes`` is a bound for every kind of file."""
    (tmp_path / "a.bin").write_bytes(b"abc")
    assert read(str(tmp_path / "a.bin"), max_bytes=3) == b"abc"
    with pytest.raises(ld.ReadError, match="it has 3 bytes, and max_bytes is 2"):
        read(str(tmp_path / "a.bin"), max_bytes=2)


def test_filesystems_of_fsspec(shaky):
    """What a URL's scheme stands for is asked of fsspec."""
    assert read("shaky://a.bin", allow_private=True) == b"abc"
    assert read("shaky://a.bin", allow_private=True, max_bytes=3) == b"abc"
    with pytest.raises(ld.ReadError, match="more bytes than max_bytes"):
        read("shaky://a.bin", allow_private=True, max_bytes=2)


def test_their_faults_that_may_pass_are_tried_again(shaky):
    """Timeouts and lost connections of a filesystem are tried again."""
    shaky.faults[:] = [TimeoutError("slow"), ConnectionResetError("gone")]
    assert read("shaky://a.bin", allow_private=True) == b"abc"
    assert len(shaky.calls) == 3


@pytest.mark.parametrize("error", [FileNotFoundError("there is no such file"), PermissionError("no"), ValueError("no")])
def test_their_other_faults_cost_one_try(shaky, error):
    """A file that is missing or forbidden is asked for once."""
    shaky.faults[:] = [error] * 5
    with pytest.raises(ld.ReadError, match=r"shaky://a\.bin: .*no"):
        read("shaky://a.bin", allow_private=True)
    assert len(shaky.calls) == 1


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://127.0.0.1/x",
        "sftp://127.0.0.1/x",
        "smb://127.0.0.1/x",
        "webhdfs://127.0.0.1/x",
        "simplecache::http://127.0.0.1/x",
        "zip://x::http://127.0.0.1/x",
        "s3://bucket/x::http://127.0.0.1/x",
        "reference://x",
        "github://a:b@c/d",
    ],
)
def test_urls_that_name_servers_are_not_for_everybody(uri):
    """A filesystem that connects wherever a URL says is no way around the check of addresses."""
    with pytest.raises(ld.ReadError, match="allow_private=True"):
        read(uri)


def test_a_scheme_that_nobody_knows_is_the_rows_fault():
    """A URL of an unknown kind is a row that fails, by name and without secrets."""
    with pytest.raises(ld.ReadError, match=r"nothing://…@a/b: no filesystem for this URL"):
        read("nothing://u:hidden@a/b", allow_private=True)


def test_a_missing_package_is_named():
    """An error that no row can help says what to install."""
    missing = [("gs://b/k", "gcs"), ("az://c/k", "azure"), ("s3://b/k", "s3")]
    found = [(uri, extra) for uri, extra in missing if not _is_installed(uri)]
    assert found
    for uri, extra in found:
        with pytest.raises(ld.ArgumentError, match=rf"nstall .*; pip install 'lightdata\[{extra}\]'"):
            read(uri)


def _is_installed(uri):
    try:
        fsspec.get_filesystem_class(uri.partition("://")[0])
    except ImportError:
        return False
    return True
