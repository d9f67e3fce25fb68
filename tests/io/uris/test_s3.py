"""Objects in S3 are read and written as files are: against a server of this machine that speaks its protocol."""

import fsspec
import pytest

import lightdata as ld
from lightdata.io.uris.read import UriReader
from lightdata.io.uris.write import write_file
from lightdata.types.uri_operation import ReadUri

moto_server = pytest.importorskip("moto.server", reason="needs moto[server]")
s3fs = pytest.importorskip("s3fs", reason="needs s3fs")

pytestmark = [
    # Those of botocore and moto are theirs.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def endpoint():
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch):
    """Have an empty bucket, and settings that lead there."""
    settings = {"endpoint_url": endpoint, "key": "k", "secret": "s"}
    monkeypatch.setitem(fsspec.config.conf, "s3", settings)
    s3fs.S3FileSystem.clear_instance_cache()
    filesystem = fsspec.filesystem("s3")
    if filesystem.exists("photos"):
        filesystem.rm("photos", recursive=True)
    filesystem.mkdir("photos")
    before = ld.config()
    ld.config(workers=0, progress=False)
    yield filesystem
    ld.config(workers=before.workers, progress=before.progress)
    s3fs.S3FileSystem.clear_instance_cache()


def read(uri, **settings):
    """Read one object."""
    return UriReader(ReadUri(**settings)).read(uri)


def test_objects_are_read(bucket):
    """Many objects come in the order of their rows; an empty one is empty."""
    for n in range(40):
        bucket.pipe_file(f"photos/{n}.bin", b"%d" % n * n)
    rows = [{"url": f"s3://photos/{n}.bin"} for n in range(40)]
    frame = ld.from_items(rows).select(data=ld.col("url").uri.read()).collect()
    assert frame["data"].to_list() == [b"%d" % n * n for n in range(40)]


def test_missing_objects_and_buckets_are_told(bucket):
    """An object that is not there is a row that fails, and large ones are refused."""
    bucket.pipe_file("photos/a.bin", b"abc")
    for uri in ("s3://photos/missing.bin", "s3://nowhere/a.bin"):
        with pytest.raises(ld.ReadError, match=f"{uri}: there is no such file"):
            read(uri)
    assert read("s3://photos/a.bin", max_bytes=3) == b"abc"
    with pytest.raises(ld.ReadError, match="more bytes than max_bytes"):
        read("s3://photos/a.bin", max_bytes=2)


def test_values_become_objects(bucket):
    """Each row is written to an object of its own, and what exists is kept unless it may be replaced."""
    ds = ld.from_items([{"id": n, "data": b"%d" % n} for n in range(40)])
    paths = ds.select(path=ld.col("data").uri.write("s3://photos/out", name="{id}.bin")).collect()["path"].to_list()
    assert paths == [f"s3://photos/out/{n}.bin" for n in range(40)]
    assert [bucket.cat_file(path) for path in paths] == [b"%d" % n for n in range(40)]
    with pytest.raises(ld.OutputExistsError, match=r"s3://photos/out/0\.bin"):
        write_file("s3://photos/out", "0.bin", b"new", overwrite=False, retries=0)
    write_file("s3://photos/out", "0.bin", b"new", overwrite=True, retries=0)
    assert bucket.cat_file("photos/out/0.bin") == b"new"


def test_a_bucket_that_is_missing_is_told(bucket):
    """Writing makes no bucket by accident."""
    with pytest.raises(ld.WriteError, match=r"s3://nowhere-at-all/a/b\.bin"):
        write_file("s3://nowhere-at-all", "a/b.bin", b"x", overwrite=True, retries=0)
    assert bucket.ls("") == ["photos"]
