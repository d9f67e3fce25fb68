"""Only public addresses are asked, and the one that was checked is the one that is connected to."""

import socket
import threading
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_web import local_web

import lightdata as ld
from lightdata.io.uris.addresses import is_public
from lightdata.io.uris.read import UriReader
from lightdata.types.uri_operation import ReadUri

LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0177.0x0.0.1",
    "00000177.1",
    "0",
    "0.0.0.0",  # noqa: S104 - nothing is bound
    "0.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
]

PRIVATE = [
    "10.0.0.1",
    "10.255.255.255",
    "012.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.1",
    "0xc0a80001",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.170.2",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "[::ffff:10.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b::169.254.169.254]",
    "[2002:a00:1::]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[2001:4860:4860::5efe:127.0.0.1]",
    "[2001:db8::1]",
    "[100::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[5f00::1]",
    "[::10.0.0.1]",
]


@pytest.fixture(scope="module")
def everywhere():
    """Listen on both loopback addresses at one port, and log who comes."""
    came = []
    four = socket.create_server(("127.0.0.1", 0))
    listeners = [four]
    if socket.has_ipv6:
        six = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        six.bind(("::1", four.getsockname()[1]))
        six.listen()
        listeners.append(six)

    def accept(listener):
        while True:
            try:
                accepted, place = listener.accept()
            except OSError:
                return
            came.append(place)
            accepted.close()

    for listener in listeners:
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
    yield four.getsockname()[1], came
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def read(url, **settings):
    """Read one URL."""
    reader = UriReader(ReadUri(retries=settings.pop("retries", 0), timeout_s=5.0, **settings))
    try:
        return reader.read(url)
    finally:
        reader.close()


def test_there_are_enough_cases():
    """The promise is of sixty addresses and more."""
    assert len({*LOOPBACK, *PRIVATE}) >= 60


@pytest.mark.parametrize("host", [*LOOPBACK, *PRIVATE])
def test_no_forbidden_address_is_connected_to(everywhere, host):
    """However an address that is not public is written, nobody is asked, and the error says what would help."""
    port, came = everywhere
    with pytest.raises(ld.ReadError) as caught:
        read(f"http://{host}:{port}/secret")
    assert "allow_private=True" in str(caught.value) or "not known" in str(caught.value)
    assert came == []


@pytest.mark.parametrize("host", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "64:ff9b::8.8.8.8", "2002:808:808::1"])
def test_public_addresses_are_allowed(host):
    """What everybody can reach may be asked."""
    assert is_public(ip_address(host))


@given(st.ip_addresses(v=4))
def test_no_way_to_embed_an_address_makes_it_public(address):
    """What is not public by itself is not public inside of IPv6 either."""
    number = int(address)
    embedded = [
        (0xFFFF << 32) | number,
        number,
        (0x64FF9B << 96) | number,
        (0x2002 << 112) | (number << 80),
        (0x20014860 << 96) | (0x5EFE << 32) | number,
    ]
    inside = [is_public(ip_address(one.to_bytes(16))) for one in embedded]
    assert is_public(address) or not any(inside)


def test_a_name_with_one_private_address_is_refused(everywhere, monkeypatch):
    """Every address of a name is checked, not only the one that would be tried first."""
    port, came = everywhere
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("1.1.1.1", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: both)
    with pytest.raises(ld.ReadError, match=r"'two\.example', which is 127\.0\.0\.1"):
        read(f"http://two.example:{port}/")
    assert came == []


def test_a_name_is_looked_up_once(monkeypatch):
    """A name that means something else the second time changes nothing: what was checked is connected to."""
    with local_web() as web:
        answers = iter([[(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", web.port))]])
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: next(answers))
        found = read(f"http://changing.example:{web.port}/whoami", allow_private=True)
    assert found == f"changing.example:{web.port} None".encode()
    assert next(answers, None) is None


def test_private_servers_are_asked_if_allowed():
    """``allow_private`` is the way to a server of one's own."""
    with local_web() as web:
        assert read(f"http://127.1:{web.port}/whoami", allow_private=True).startswith(b"127.1:")
