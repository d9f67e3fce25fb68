"""What servers do wrong: what may pass is tried again, what does not costs one request, and nothing takes too long."""

import gzip
import os
import socket
import ssl
import subprocess
import threading
from time import monotonic

import pytest
from local_web import local_web

import lightdata as ld
from lightdata.io.uris import web as web_module
from lightdata.io.uris.read import UriReader
from lightdata.types.uri_operation import ReadUri


@pytest.fixture
def web():
    with local_web() as running:
        yield running.holding(b"first", bytes(range(256)) * 1000, b"")


def read(url, **settings):
    """Read one URL of this machine."""
    reader = UriReader(ReadUri(**{"allow_private": True, "timeout_s": 20.0, **settings}))
    try:
        return reader.read(url)
    finally:
        reader.close()


def test_files_are_read_whole_over_one_connection(web):
    """Large and empty files come as they are, and a server that keeps connections open gets one."""
    reader = UriReader(ReadUri(allow_private=True))
    found = [reader.read(f"{web.url}/file?n={n}") for n in (0, 1, 2, 0)]
    reader.close()
    assert found == [web.files[n] for n in (0, 1, 2, 0)]
    assert web.connections == 1


@pytest.mark.parametrize("how", ["reset", "hangup", "short", "408", "425", "429", "500", "502", "503", "504", "599"])
def test_faults_that_may_pass_are_tried_again(web, how):
    """Lost connections, short bodies and the statuses that say so: the third try gives the file."""
    assert read(f"{web.url}/flaky?how={how}&times=2&n=1") == web.files[1]
    assert len(web.requests) == 3


def test_a_server_that_stalls_is_tried_again(web):
    """A try that gets no answer ends with its time, and the next may succeed."""
    assert read(f"{web.url}/flaky?how=stall&times=1&n=0", timeout_s=0.5) == b"first"


def test_a_server_that_always_stalls_is_left_after_four_tries(web):
    """A try that takes all its time costs more than one that fails at once."""
    with pytest.raises(ld.ReadError, match="longer than timeout_s"):
        read(f"{web.url}/flaky?how=stall&times=99&n=0", timeout_s=0.2)
    assert len(web.requests) == 4


@pytest.mark.parametrize("how", ["reset", "503"])
def test_tries_are_counted(web, how):
    """After the retries there is an end, with the last fault."""
    with pytest.raises(ld.ReadError):
        read(f"{web.url}/flaky?how={how}&times=99", retries=2)
    assert len(web.requests) == 3


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 416, 451, 204, 206, 304])
def test_faults_that_stay_cost_one_request(web, code):
    """Whatever the server will say again is asked for once."""
    with pytest.raises(ld.ReadError, match=f"the server answered {code}"):
        read(f"{web.url}/status?code={code}")
    assert len(web.requests) == 1


def test_nobody_listening_is_tried_again_and_told():
    """A refused connection is a fault that may pass; in the end the error says what it was."""
    with local_web() as gone:
        url = gone.url
    with pytest.raises(ld.ReadError, match=r"[Cc]onnection refused"):
        read(f"{url}/file?n=0", retries=1)


@pytest.mark.parametrize("after", ["1", "Thu, 01 Jan 1970 00:00:00 GMT", "soon", "-5"])
def test_retry_after_is_heard(web, after):
    """A server's wish is kept if it can be understood: the second try does not come before."""
    started = monotonic()
    assert read(f"{web.url}/flaky?how=429&times=1&n=0&after={after.replace(' ', '+')}") == b"first"
    assert monotonic() - started >= (1.0 if after == "1" else 0.0)


@pytest.mark.parametrize("path", ["drip?part=header", "drip?part=body", "flaky?how=stall&times=9"])
def test_a_try_ends_with_its_time(web, path):
    """A byte now and then, in the headers or the body, does not make a try longer."""
    with pytest.raises(ld.ReadError, match="longer than timeout_s"):
        read(f"{web.url}/{path}", timeout_s=0.5, retries=0)


@pytest.mark.parametrize(
    "path", ["file?n=1", "chunked?chunks=1000", "endless?", "length?says=999999999999", "to?url=/endless"]
)
def test_no_more_than_max_bytes_are_read(web, path):
    """Announced, in chunks or without an end: too much is an error that is not tried again."""
    with pytest.raises(ld.ReadError, match="max_bytes"):
        read(f"{web.url}/{path}", max_bytes=100_000)
    assert web.seen[f"/{path}"] == 1


def test_a_line_without_an_end_is_not_kept(web):
    """What is no part of a body is bounded too."""
    with pytest.raises(ld.ReadError, match="more than 65536 bytes"):
        read(f"{web.url}/line", retries=0)


def test_exactly_max_bytes_are_read(web):
    """The bound itself is allowed."""
    assert read(f"{web.url}/file?n=1", max_bytes=256_000) == web.files[1]
    assert read(f"{web.url}/chunked?chunks=2", max_bytes=2048) == bytes(2048)


@pytest.mark.parametrize("how", ["gzip", "GZIP", "deflate", "br", "x-gzip"])
@pytest.mark.parametrize("header", ["Content-Encoding", "Transfer-Encoding"])
def test_compressed_answers_are_refused(web, how, header):
    """A bomb is never unpacked: nothing compressed is asked for, and what comes so is refused."""
    web.bomb = gzip.compress(bytes(50_000_000))
    with pytest.raises(ld.ReadError, match="compressed"):
        read(f"{web.url}/encoded?how={how}&header={header}")
    assert [one["Accept-Encoding"] for one in web.headers] == ["identity"]


@pytest.mark.parametrize(
    ("says", "error"), [("3", "more than its Content-Length"), ("x", "Content-Length"), ("-1", "Content-Length")]
)
def test_a_wrong_length_is_an_error(web, says, error):
    """A body that goes on after its end, and an end that is no number, are not taken for a file."""
    with pytest.raises(ld.ReadError, match=error):
        read(f"{web.url}/length?says={says}")
    assert len(web.requests) == 1


def test_a_short_body_is_an_error(web):
    """A body that stops before its end is never a file."""
    with pytest.raises(ld.ReadError, match="the connection broke"):
        read(f"{web.url}/length?says=7&close=1", retries=1)
    assert len(web.requests) == 2


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(web, code):
    """Each kind of redirect leads to the file, whether the place is written in full or not."""
    assert read(f"{web.url}/to?code={code}&url=/file%3Fn%3D0") == b"first"
    assert read(f"{web.url}/to?code={code}&url={web.url}/file%3Fn%3D0") == b"first"


def test_five_redirects_are_followed_and_no_sixth(web):
    """A loop ends."""
    with pytest.raises(ld.ReadError, match="more than 5 redirects"):
        read(f"{web.url}/loop")
    assert len(web.requests) == 6


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "s3://b/k", "gopher://x/", "data:,x"])
def test_redirects_stay_on_the_web(web, target):
    """No redirect leads to a file of this machine or another protocol."""
    with pytest.raises(ld.ReadError, match="only http and https"):
        read(f"{web.url}/to?url={target}")
    assert len(web.requests) == 1


def test_a_redirect_into_a_private_network_is_refused(web, monkeypatch):
    """Where a server sends its client is checked as the first URL was."""
    from lightdata.io.uris import addresses

    first = f"{web.url}/to?url=http://localhost:{web.port}/file%3Fn%3D0"
    public = addresses.is_public
    allowed = iter([True])
    monkeypatch.setattr(addresses, "is_public", lambda address: next(allowed, False) or public(address))
    with pytest.raises(ld.ReadError, match=r"'localhost'.* not on the public Internet"):
        read(first, allow_private=False)
    assert len(web.requests) == 1


def test_passwords_go_to_their_server_only(web):
    """A password in a URL is sent there, and not to where that server redirects."""
    mine = web.url.replace("//", "//me:se%40cret@")
    assert read(f"{mine}/whoami").endswith(b" Basic bWU6c2VAY3JldA==")
    assert read(f"{mine}/to?url=/whoami").endswith(b" Basic bWU6c2VAY3JldA==")
    with local_web() as other:
        assert read(f"{mine}/to?url={other.url}/whoami").endswith(b" None")


def test_errors_keep_secrets(web):
    """Passwords, signatures and what would steer a terminal are not in messages."""
    url = web.url.replace("//", "//me:hidden@") + "/status?code=404&X-Amz-Signature=hidden#hidden"
    with pytest.raises(ld.ReadError) as caught:
        read(url)
    assert "hidden" not in f"{caught.value}{caught.value.uri}{caught.value.__cause__}"
    assert f"…@127.0.0.1:{web.port}/status?…" in str(caught.value)


def test_a_closed_connection_that_was_kept_is_replaced(web):
    """A server that closes between two files costs no try."""
    reader = UriReader(ReadUri(allow_private=True, retries=0))
    assert reader.read(f"{web.url}/file?n=0") == b"first"
    for _, connection in reader._web._idle:
        connection.cut()
    assert reader.read(f"{web.url}/file?n=0") == b"first"
    reader.close()


def test_closing_ends_those_who_wait(web):
    """Threads that read from a server that stalls end when the reader is closed, long before their time."""
    reader = UriReader(ReadUri(allow_private=True, timeout_s=100.0, retries=5))
    ended = []

    def wait():
        try:
            reader.read(f"{web.url}/drip?part=body")
        except ld.ReadError as error:
            ended.append(error)

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for one in threads:
        one.start()
    while len(web.requests) < 4:
        threading.Event().wait(0.01)
    reader.close()
    for one in threads:
        one.join(30)
    assert len(ended) == 4


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Make a certificate for localhost, which nobody has signed."""
    folder = tmp_path_factory.mktemp("tls")
    if not any(os.access(f"{path}/openssl", os.X_OK) for path in os.environ["PATH"].split(":")):
        pytest.skip("there is no openssl")
    made = ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem", "-subj", "/CN=localhost"]
    more = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", "req", "-x509", *more, *made], check=True, capture_output=True)  # noqa: S607
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    return context, f"{folder}/cert.pem"


@pytest.fixture
def trusting(certificate, monkeypatch):
    """Trust that certificate, as a system does that is told to."""
    monkeypatch.setenv("SSL_CERT_FILE", certificate[1])
    web_module._tls.cache_clear()
    yield certificate[0]
    web_module._tls.cache_clear()


def test_https_checks_the_name_in_the_url(trusting):
    """The certificate must be for the name that was asked for, although an address is connected to."""
    with local_web(context=trusting) as web:
        web.holding(b"secret")
        assert read(f"https://localhost:{web.port}/file?n=0") == b"secret"
        with pytest.raises(ld.ReadError, match=r"certificate is not valid.*127"):
            read(f"https://127.0.0.1:{web.port}/file?n=0")
        assert len(web.requests) == 1


def test_servers_with_ipv6(web):
    """An address in brackets is asked as it is."""
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    with local_web("::1") as six:
        found = read(f"http://[::1]:{six.port}/whoami")
    assert found == f"[::1]:{six.port} None".encode()


def test_https_trusts_nobody_unknown(certificate):
    """A certificate that nobody has signed is an error that is not tried again."""
    with local_web(context=certificate[0]) as web:
        with pytest.raises(ld.ReadError, match="certificate is not valid"):
            read(f"https://localhost:{web.port}/file?n=0")
        assert web.requests == []
