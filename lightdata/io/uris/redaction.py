"""Paths and messages as they may be shown: without secrets, and without what would steer a terminal."""

from __future__ import annotations

import re
import unicodedata

_URL = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*)://(?P<rest>[^\s'\"<>]*)")

_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of characters that are not seen but change what is."""


def safe_url(url: str) -> str:
    r"""Write a path or URL without password, query and fragment, control characters escaped.

    >>> safe_url("https://me:secret@example.org/a.jpg?sig=1#x")
    'https://…@example.org/a.jpg?…'
    >>> safe_url("what?\x1b[2J.jpg")
    'what?\\x1b[2J.jpg'
    """
    scheme, mark, rest = url.partition("://")
    return visible(f"{scheme}://{_without_secrets(rest)}" if mark else url)


def safe_text(text: str) -> str:
    """Write a message of others with all URLs in it as :func:`safe_url` does.

    >>> safe_text("Cannot GET http://a:b@c/d?token=e now")
    'Cannot GET http://…@c/d?… now'
    """
    return visible(_URL.sub(lambda found: f"{found['scheme']}://{_without_secrets(found['rest'])}", text))


def visible(text: str) -> str:
    r"""Escape characters that are not seen but change what is.

    >>> visible("a\nb\u202ec")
    'a\\nb\\u202ec'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(one) if unicodedata.category(one) in _STEERING else one for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def _without_secrets(rest: str) -> str:
    end = min((place for mark in "?#" if (place := rest.find(mark)) >= 0), default=len(rest))
    host, slash, path = rest[:end].partition("/")
    user, at, server = host.rpartition("@")
    return f"{'…@' if at else user}{server}{slash}{path}{'?…' if end < len(rest) else ''}"
