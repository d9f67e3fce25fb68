"""Files over http and https, from servers that nobody vouches for.

What a server may do to its reader. Code that disagrees with this is wrong.
  Be elsewhere   Only addresses that :mod:`~lightdata.io.uris.addresses` allows are connected to, redirects too.
  Take its time  A try ends when its seconds are over, however the bytes drip in: in a name, a header or a body.
  Send too much  Reading stops at ``max_bytes``, and what is compressed is refused, for nobody knows how large it is.
  Lie            A body that is shorter or longer than announced is an error.
  Send us away   Five redirects are followed, to http and https alone; a password goes to the server it was meant for.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from threading import Lock
from time import monotonic, time
from typing import Any, NamedTuple
from urllib.parse import unquote, urljoin

from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError, ProtocolError, ReadTimeoutError
from urllib3.util import Url, parse_url

from lightdata.errors import ReadError
from lightdata.io.uris.addresses import connected, time_left
from lightdata.io.uris.retries import PassingError, may_pass

MAX_REDIRECTS = 5

_REDIRECTS = {301, 302, 303, 307, 308}
_PASSING = {408, 425, 429}
_MOST_IDLE = 64
_PART_BYTES = 256 << 10

_LINE_BYTES = 64 << 10

_UNREAD_BYTES = 64 << 10
"""Of an answer that nobody wants: more is not read to keep the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far a server is trusted."""

    timeout_s: float
    max_bytes: int
    allow_private: bool


class _Server(NamedTuple):
    scheme: str
    host: str
    port: int


_Key = tuple[_Server, bool]
"""A server, and whether it may be a private one."""


class Web:
    """Reads files over http and https in many threads, and keeps connections open between them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._idle: list[tuple[_Key, _Checked]] = []
        self._busy: set[_Checked] = set()
        self._is_closed = False

    def read(self, url: str, bounds: Bounds) -> bytes:
        """Try once to read a file.

        Raises
        ------
        ReadError
            If it cannot be read, now or later.
        PassingError
            If it may be read later.
        """
        deadline = monotonic() + bounds.timeout_s
        with _told():
            at, headers = _parsed(url), _headers(_parsed(url))
            for _ in range(MAX_REDIRECTS + 1):
                answer = self._asked(at, headers, bounds, deadline)
                if isinstance(answer, bytes):
                    return answer
                target = _parsed(urljoin(at.url, answer))
                if _server(target) != _server(at) or target.auth is not None:
                    headers = _headers(target)
                at = target
        raise ReadError(f"more than {MAX_REDIRECTS} redirects")

    def close(self) -> None:
        """Cut all connections, also those that other threads read from."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            for busy in self._busy:
                busy.cut()
        for _, connection in idle:
            connection.close()

    def _asked(self, at: Url, headers: Mapping[str, str], bounds: Bounds, deadline: float) -> bytes | str:
        """Give the body, or the URL of a redirect."""
        key = (_server(at), bounds.allow_private)
        connection, is_used = self._connection(key, deadline)
        is_sound = False
        try:
            try:
                response = connection.ask(at.request_uri, headers, deadline)
            except (ConnectionError, http.client.BadStatusLine):
                if not is_used:
                    raise
                connection.close()  # the server has closed it meanwhile
                response = connection.ask(at.request_uri, headers, deadline)
            answer = _answer(response, bounds)
            is_sound = not connection.has_more()
        finally:
            self._give_back(key, connection, is_sound=is_sound)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes) and not is_sound:
            raise ReadError("the server sent more than its Content-Length says")
        return answer

    def _connection(self, key: _Key, deadline: float) -> tuple[_Checked, bool]:
        """Take a connection that is open, or a new one that is not yet."""
        server, allow_private = key
        with self._lock:
            if self._is_closed:
                raise ReadError("the query ended")
            connection = next((one for other, one in reversed(self._idle) if other == key), None)
            is_used = connection is not None
            if connection is None:
                connection = _new(server, time_left(deadline))
                connection.allow_private = allow_private
            else:
                self._idle.remove((key, connection))
            self._busy.add(connection)
        if is_used and not connection.is_connected:
            connection.close()
        return connection, is_used

    def _give_back(self, key: _Key, connection: _Checked, *, is_sound: bool) -> None:
        with self._lock:
            self._busy.discard(connection)
            gone = [connection]
            if is_sound and connection.sock is not None and not self._is_closed:
                self._idle.append((key, connection))
                gone = [one for _, one in self._idle[:-_MOST_IDLE]]
                del self._idle[:-_MOST_IDLE]
        for one in gone:
            one.close()


class _Checked(HTTPConnection):
    """Connects only where that is allowed, and only until a deadline."""

    deadline = 0.0
    allow_private = False
    incoming: _Incoming | None = None

    def ask(self, target: str, headers: Mapping[str, str], deadline: float) -> HTTPResponse:
        """Send a request, and give the response when its headers are here."""
        self.deadline = deadline
        self.timeout = time_left(deadline)
        self.response_class = partial(_TimedResponse, self)  # type: ignore[assignment]  # called as the class would be
        if self.sock is not None:
            self.sock.settimeout(self.timeout)
        self.request("GET", target, headers=headers, preload_content=False, decode_content=False)
        return self.getresponse()

    def has_more(self) -> bool:
        """Whether bytes came that belong to no answer."""
        return self.incoming is None or not self.incoming.closed or self.incoming.has_more

    def cut(self) -> None:
        """Let another thread, which waits for bytes, know that none will come."""
        if self.sock is not None:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def _new_conn(self) -> socket.socket:
        return connected(self.host, int(self.port), deadline=self.deadline, allow_private=self.allow_private)


class _CheckedHTTPS(_Checked, HTTPSConnection):
    """With a certificate for the name in the URL."""


class _TimedResponse(http.client.HTTPResponse):
    """Reads from its socket until the deadline of its connection."""

    def __init__(self, connection: _Checked, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()  # a buffered reader over the socket
        self.fp = connection.incoming = _Incoming(_TimedBytes(raw, sock, connection.deadline))


class _Incoming(io.BufferedReader):
    """What a connection sends; remembers whether that was more than anybody wanted."""

    has_more = False

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line, if it is no longer than those of HTTP are: the size of a chunk has no bound of its own."""
        line = super().readline(_LINE_BYTES if size is None or size < 0 else size)
        if len(line) >= _LINE_BYTES and not line.endswith(b"\n"):
            raise http.client.LineTooLong("line")
        return line

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError, ValueError):
                self.raw.is_over = True  # type: ignore[attr-defined]  # it is ours
                self.has_more = bool(self.peek(1))
        super().close()


class _TimedBytes(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw, self._sock, self._deadline = raw, sock, deadline
        self.is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(0 if self.is_over else time_left(self._deadline))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _new(server: _Server, timeout_s: float) -> _Checked:
    if server.scheme == "https":
        return _CheckedHTTPS(server.host, server.port, timeout=timeout_s, ssl_context=_tls())
    return _Checked(server.host, server.port, timeout=timeout_s)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Trust whom this system trusts."""
    return ssl.create_default_context()


def _parsed(url: str) -> Url:
    try:
        at = parse_url(url)
    except LocationParseError as error:
        raise ReadError("not a URL") from error
    if at.scheme not in ("http", "https") or not at.host:
        raise ReadError(f"this leads to {at.scheme}, and only http and https with the name of a server are followed")
    return at


def _server(at: Url) -> _Server:
    port = at.port or (443 if at.scheme == "https" else 80)
    return _Server(str(at.scheme), str(at.host).strip("[]"), port)


def _headers(at: Url) -> dict[str, str]:
    """Ask for the bytes as they are."""
    known = {"Accept-Encoding": "identity", "User-Agent": "lightdata"}
    if at.auth is None:
        return known
    return {**known, "Authorization": f"Basic {b64encode(unquote(at.auth).encode()).decode()}"}


def _answer(response: HTTPResponse, bounds: Bounds) -> bytes | str | Exception:
    """Give the body, the URL of a redirect, or what is wrong; what nobody wants is read if it is short."""
    status, location = response.status, response.headers.get("Location")
    if status == http.HTTPStatus.OK:
        _check_plain(response)
        return _body(response, bounds.max_bytes)
    words = f"the server answered {status} {response.reason or ''}".rstrip()
    with suppress(ReadError, HTTPError, OSError):
        _body(response, _UNREAD_BYTES)
    if status in _REDIRECTS and location:
        return location
    if status in _PASSING or status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return PassingError(words, pause_s=_asked_pause_s(response.headers.get("Retry-After")))
    return ReadError(words)


def _check_plain(response: HTTPResponse) -> None:
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    transfer = response.headers.get("Transfer-Encoding", "chunked").strip().lower()
    length = response.headers.get("Content-Length", "0")
    if coding not in ("", "identity") or transfer not in ("chunked", "identity"):
        raise ReadError("the server sent it compressed although it was asked not to, and its size is not known")
    if not length.isascii() or not length.isdecimal():
        raise ReadError("the server sent a Content-Length that is no number")


def _body(response: HTTPResponse, max_bytes: int) -> bytes:
    if (response.length_remaining or 0) > max_bytes:
        raise ReadError(f"it has {response.length_remaining} bytes, and max_bytes is {max_bytes}")
    parts, size = [], 0
    for part in response.stream(_PART_BYTES, decode_content=False):
        parts.append(part)
        size += len(part)
        if size > max_bytes:
            raise ReadError(f"it has more bytes than max_bytes, which is {max_bytes}")
    return b"".join(parts)


def _asked_pause_s(header: str | None) -> float:
    """Read how long a server asks to be left alone: seconds, or a time."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(parsedate_to_datetime(header).timestamp() - time(), 0.0)
    except (ValueError, OverflowError):
        return 0.0


@contextmanager
def _told() -> Iterator[None]:
    """Turn what goes wrong in a try into the two errors that say whether there is a point in another."""
    try:
        yield
    except (ReadError, PassingError):
        raise
    except (ReadTimeoutError, TimeoutError) as error:
        raise PassingError("it took longer than timeout_s allows") from error
    except ssl.SSLCertVerificationError as error:
        raise ReadError(f"the server's certificate is not valid: {error.verify_message}") from error
    except (ProtocolError, http.client.RemoteDisconnected, http.client.IncompleteRead, ssl.SSLEOFError) as error:
        raise PassingError(f"the connection broke: {error}") from error
    except socket.gaierror as error:
        kind = PassingError if error.errno == socket.EAI_AGAIN else ReadError
        raise kind(f"the server's name is not known: {error.strerror}") from error
    except OSError as error:
        raise (PassingError if may_pass(error) else ReadError)(f"{error.strerror or error}") from error
    except (HTTPError, http.client.HTTPException, ValueError) as error:
        raise ReadError(f"the server's answer is not HTTP: {error}") from error
