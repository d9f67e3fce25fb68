"""Which servers may be asked for a file whose URL somebody else wrote, and a connection to the very address allowed.

A name is looked up once; every address it has must be allowed, and one of them is connected to. So a name that means
another address the next time (DNS rebinding) changes nothing, nor does the way a number is written (``0x7f.1``).
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any

from lightdata.errors import ReadError

Address = IPv4Address | IPv6Address

_REFUSED = (
    IPv4Network("192.88.99.0/24"),  # relays of 6to4, which lead anywhere
    IPv4Network("168.63.129.16/32"),  # what Azure tells its machines, at a public number
    IPv4Network("192.0.0.0/24"),  # of protocols, and what Oracle tells its machines; Python knows some of it only
    IPv6Network("2001::/23"),
    IPv6Network("3fff::/20"),  # for examples, since 2024
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x5EFE, 0x0200_5EFE)


def is_public(address: Address) -> bool:
    """Whether an address is one that everybody on the Internet can reach, and so no secret of this network.

    >>> is_public(ip_address("1.1.1.1")), is_public(ip_address("::ffff:10.0.0.1"))
    (True, False)
    """
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not _is_refused(address)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    embedded = address.sixtofour
    if embedded is None and (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        embedded = IPv4Address(int(address) & 0xFFFF_FFFF)
    if embedded is not None and not is_public(embedded):
        return False
    return address in _GLOBAL_UNICAST and address.is_global and not _is_refused(address)


def _is_refused(address: Address) -> bool:
    return any(address in net for net in _REFUSED if net.version == address.version)


def resolved(host: str, port: int, *, deadline: float, allow_private: bool) -> list[tuple[int, tuple[object, ...]]]:
    """Look a name up, and give the address families and socket addresses to try.

    Raises
    ------
    ReadError
        If one of its addresses must not be asked.
    OSError
        If the name is not known, or not found out before the ``deadline``.
    """
    try:
        places = _looked_up(host, port, deadline)
    except UnicodeError as error:
        raise ReadError(f"{host!r} is not the name of a server") from error
    if not allow_private:
        for _, place in places:
            _check(host, str(place[0]))
    return places


def _looked_up(host: str, port: int, deadline: float) -> list[tuple[int, tuple[object, ...]]]:
    """Ask the system, which cannot be told how long it may take."""
    answers: SimpleQueue[Any] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    Thread(target=ask, name="lightdata-name", daemon=True).start()
    try:
        answer = answers.get(timeout=time_left(deadline))
    except Empty:
        raise TimeoutError(f"looking up {host!r} took longer than timeout_s allows") from None
    if isinstance(answer, Exception):
        raise answer
    return [(int(family), tuple(place)) for family, _, _, _, place in answer]


def _check(host: str, text: str) -> None:
    address = ip_address(text)
    if not is_public(address):
        named = "" if text == host else f", which is {text},"
        raise ReadError(
            f"the server {host!r}{named} is not on the public Internet; pass allow_private=True if you trust every URL"
        )


def connected(host: str, port: int, *, deadline: float, allow_private: bool) -> socket.socket:
    """Connect to a server, at an address that was checked.

    Raises
    ------
    ReadError
        If it must not be asked.
    OSError
        If it cannot be reached before the ``deadline`` of the monotonic clock.
    """
    failure: OSError = OSError(f"the name {host!r} has no address")
    for family, place in resolved(host, port, deadline=deadline, allow_private=allow_private):
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(time_left(deadline))
            connection.connect(place)
        except OSError as error:
            connection.close()
            failure = error
            continue
        except BaseException:
            connection.close()
            raise
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    raise failure


def time_left(deadline: float) -> float:
    """Give the seconds until a ``deadline`` of the monotonic clock.

    Raises
    ------
    TimeoutError
        If there are none.
    """
    left = deadline - monotonic()
    if left <= 0:
        raise TimeoutError("it took longer than timeout_s allows")
    return left
