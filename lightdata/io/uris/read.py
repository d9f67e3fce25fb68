"""The bytes of whatever a path or URL names, from one reader for many threads."""

from __future__ import annotations

from threading import Event, Lock
from typing import TYPE_CHECKING

from lightdata.errors import ArgumentError, ReadError
from lightdata.io.location import Location, file_content, locate, read_error, read_file, read_start
from lightdata.io.uris.redaction import safe_text, safe_url
from lightdata.io.uris.retries import PassingError, may_pass, retried
from lightdata.types.uri_operation import ReadUri

if TYPE_CHECKING:
    from lightdata.io.uris.web import Web

_SAFE_SCHEMES = frozenset(
    ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "hf", "memory", "file", "local")
)
"""Whose server is chosen by the settings of this machine, not by the URL."""

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "az": "azure", "abfs": "azure", "abfss": "azure"}
"""What to install lightdata with, by scheme."""


_LONG_TRIES = 4
"""Tries for a server that lets each of them run out of time; others fail sooner, and are tried more often."""


class UriReader:
    """Reads files by path or URL, and tries again what may pass; any thread may ask it."""

    def __init__(self, settings: ReadUri) -> None:
        self._settings = settings
        self._web: Web | None = None
        self._lock = Lock()
        self._ended = Event()

    def read(self, uri: str) -> bytes:
        """Read a file.

        Raises
        ------
        ReadError
            If it cannot be read; its name is shown without secrets.
        ArgumentError
            If a package is missing, which no row can help.
        """
        try:
            return retried(
                lambda _: self._attempt(uri),
                retries=self._settings.retries,
                pause=self._pause,
                most_s=_LONG_TRIES * self._settings.timeout_s,
            )
        except (ReadError, PassingError) as error:
            message = error.message if isinstance(error, ReadError) else f"{error}"
            raise ReadError(safe_text(message), uri=safe_url(uri)) from error

    def close(self) -> None:
        """Let all threads that read or wait end soon."""
        with self._lock:
            self._ended.set()
        if self._web is not None:
            self._web.close()

    def _pause(self, seconds: float) -> None:
        if self._ended.wait(seconds):
            raise ReadError("the query ended")

    def _attempt(self, uri: str) -> bytes:
        scheme = uri.partition("://")[0].lower() if "://" in uri else ""
        if scheme in ("http", "https"):
            return self._read_web(uri)
        if scheme in ("", "file"):
            return self._read_local(uri)
        if not self._settings.allow_private and (scheme not in _SAFE_SCHEMES or "::" in uri):
            raise ReadError(
                f"{scheme}:// names a server that cannot be checked; pass allow_private=True if you trust every URL"
            )
        return self._read_remote(located(uri))

    def _read_web(self, uri: str) -> bytes:
        from lightdata.io.uris.web import Bounds, Web  # noqa: PLC0415 - most queries do without HTTP

        with self._lock:
            if self._web is None and not self._ended.is_set():
                self._web = Web()
        if self._web is None:
            raise ReadError("the query ended")
        most, private = self._settings.max_bytes, self._settings.allow_private
        return self._web.read(uri, Bounds(timeout_s=self._settings.timeout_s, max_bytes=most, allow_private=private))

    def _read_local(self, uri: str) -> bytes:
        try:
            return read_file(locate(uri).path, max_bytes=self._settings.max_bytes)
        except ReadError as error:
            if may_pass(error.__cause__):
                raise PassingError(error.message) from error
            raise

    def _read_remote(self, location: Location) -> bytes:
        most = self._settings.max_bytes
        try:
            is_local = location.remote is None
            content = file_content(location.path, max_bytes=most) if is_local else read_start(location, most + 1)
        except FileNotFoundError as error:
            raise ReadError("there is no such file") from error
        except Exception as error:  # every filesystem has exceptions of its own
            if may_pass(error):
                raise PassingError(str(error) or type(error).__name__) from error
            raise read_error(error, "") from error
        if len(content) > most:
            raise ReadError(f"it has more bytes than max_bytes, which is {most}")
        return content


def located(uri: str) -> Location:
    """Find the filesystem that a URL belongs to.

    Raises
    ------
    ReadError
        If there is none of this name.
    ArgumentError
        If its package is not installed.
    """
    try:
        return locate(uri)
    except ArgumentError as error:
        if isinstance(error.__cause__, ImportError):
            extra = _EXTRAS.get(uri.partition("://")[0].lower())
            hint = "" if extra is None else f"; pip install 'lightdata[{extra}]'"
            raise ArgumentError(f"{safe_url(uri)}: {error.__cause__}{hint}") from error
        raise ReadError(f"no filesystem for this URL: {error.__cause__}") from error
    except Exception as error:  # every filesystem has exceptions of its own
        raise read_error(error, safe_url(uri)) from error
