"""A web server of this machine that misbehaves as its paths say, and remembers who came."""

from __future__ import annotations

import http.server
import random
import socket
import struct
import threading
from collections import Counter
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        """Keep quiet."""

    def do_GET(self):
        """Answer as the path says: ``/name?key=value``, see the methods below."""
        web = self.server.web
        split = urlsplit(self.path)
        asked = {key: values[-1] for key, values in parse_qs(split.query).items()}
        with web.lock:
            web.requests.append(self.path)
            web.headers.append(dict(self.headers))
            web.seen[self.path] += 1
            turn = web.seen[self.path]
            web.now += 1
            web.most = max(web.most, web.now)
        try:
            getattr(self, split.path.strip("/").partition("/")[0])(asked, turn)
        except OSError:
            self.close_connection = True
        finally:
            with web.lock:
                web.now -= 1

    def _say(self, body, status=200, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def file(self, asked, turn):
        """Give what was stored under a number."""
        self._say(self.server.web.files[int(asked["n"])])

    def flaky(self, asked, turn):
        """Fail the first times in one way, then give a file."""
        if turn > int(asked.get("times", 2)):
            self.file(asked, turn)
            return
        match asked["how"]:
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
            case "hangup":
                self.close_connection = True
            case "short":
                self.send_response(200)
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                self.wfile.write(b"x")
                self.close_connection = True
            case "stall":
                self.server.web.closing.wait(60)
            case status:
                self._say(b"try later", int(status), **({"Retry_After": asked["after"]} if "after" in asked else {}))

    def weather(self, asked, turn):
        """Fail by chance, 30 times in 100, in one of many ways, or send a body slowly; else give a file."""
        drawn = random.Random(f"{asked['seed']} {asked['n']} {turn}")
        if drawn.random() < 0.3:
            how = drawn.choice(["500", "502", "503", "429", "reset", "hangup", "short"])
            self.flaky({**asked, "how": how, "times": turn}, turn)
        elif drawn.random() < 0.1:
            body = self.server.web.files[int(asked["n"])]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for start in range(0, len(body), 100):
                self.wfile.write(body[start : start + 100])
                self.server.web.closing.wait(0.05)
        else:
            self.file(asked, turn)

    def status(self, asked, turn):
        """Answer with a status for ever."""
        self._say(b"no", int(asked["code"]))

    def to(self, asked, turn):
        """Send the client elsewhere."""
        self._say(b"", int(asked.get("code", 302)), Location=asked["url"])

    def loop(self, asked, turn):
        """Send the client here again."""
        self._say(b"", 302, Location=self.path)

    def drip(self, asked, turn):
        """Send a byte now and then: of the headers, or of the body."""
        start = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n"
        self.wfile.write(start + (b"X: " if asked["part"] == "header" else b"\r\n"))
        while not self.server.web.closing.wait(0.1):
            self.wfile.write(b"a")

    def endless(self, asked, turn):
        """Send a body without an end."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while not self.server.web.closing.is_set():
            self.wfile.write(bytes(1 << 16))

    def chunked(self, asked, turn):
        """Send a body in chunks, of a size that is not announced."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(int(asked["chunks"])):
            self.wfile.write(b"400\r\n" + bytes(1 << 10) + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def line(self, asked, turn):
        """Begin a chunk, and never end the line that says how long it is."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not self.server.web.closing.is_set():
            self.wfile.write(b"0" * (1 << 16))

    def length(self, asked, turn):
        """Announce another length than that of the 6 bytes that come."""
        self.send_response(200)
        self.send_header("Content-Length", asked["says"])
        self.end_headers()
        self.wfile.write(b"abcdef")
        self.close_connection = "close" in asked

    def encoded(self, asked, turn):
        """Send what has to be unpacked."""
        self._say(self.server.web.bomb, **{asked.get("header", "Content-Encoding"): asked["how"]})

    def whoami(self, asked, turn):
        """Give the headers of the request that say who asks."""
        self._say(f"{self.headers['Host']} {self.headers.get('Authorization')}".encode())


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def get_request(self):
        """Count those who come in."""
        accepted = super().get_request()
        with self.web.lock:
            self.web.connections += 1
        return accepted

    def handle_error(self, request, client_address):
        """Clients may go away."""


class LocalWeb:
    """A running server, and its log."""

    def __init__(self, address="127.0.0.1", *, context=None):
        self.files, self.bomb = {}, b""
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.requests, self.headers, self.seen = [], [], Counter()
        self.connections = self.now = self.most = 0
        kind = type("_Server6", (_Server,), {"address_family": socket.AF_INET6}) if ":" in address else _Server
        self._server = kind((address, 0), _Handler)
        self._server.web = self
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' * (context is not None)}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def holding(self, *files):
        """Store files under their numbers."""
        self.files = dict(enumerate(files))
        return self

    def close(self):
        """Stop serving."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def local_web(*args, **kwargs):
    """Have a server for a while."""
    web = LocalWeb(*args, **kwargs)
    try:
        yield web
    finally:
        web.close()
