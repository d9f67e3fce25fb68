r"""Bytes that are not UTF-8, written as text that is: for parsers that stumble over them, and give them back in values.

Byte 0xNN becomes the character U+10FFNN, at the end of the last plane for private use, where nobody has anything.
"""

from __future__ import annotations

import codecs
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_FIRST = 0x10FF00
_ESCAPES = re.compile("[\U0010ff80-\U0010ffff]")
_ESCAPED = re.compile(rb"\xf4\x8f[\xbe\xbf][\x80-\xbf]")
_LEAD = "\U0010ff80".encode()[:2]


def escaped(stream: Any) -> Any:
    r"""Read a stream of bytes as UTF-8; where it holds escapes already, reading raises ValueError.

    >>> escaped(pa.BufferReader(b"caf\xe9")).read()
    b'caf\xf4\x8f\xbf\xa9'
    """
    decoder = codecs.getincrementaldecoder("utf-8")("lightdata.escape")
    last = b""

    def escape(block: Any) -> bytes:
        nonlocal last
        held = bytes(block)
        if _ESCAPED.search(last + held):
            raise ValueError("it has bytes that are no UTF-8, and characters that stand for such")
        last = held[-3:]
        return decoder.decode(held, not held).encode()

    return pa.TransformInputStream(_of_arrow(stream), escape)


def text_only(stream: Any) -> Any:
    """Pass a stream on; where it is not UTF-8, reading raises UnicodeDecodeError."""
    decoder = codecs.getincrementaldecoder("utf-8")()

    def check(block: Any) -> bytes:
        held = bytes(block)
        decoder.decode(held, not held)
        return held

    return pa.TransformInputStream(_of_arrow(stream), check)


def _of_arrow(stream: Any) -> pa.NativeFile:
    return stream if isinstance(stream, pa.NativeFile) else pa.PythonFile(stream, mode="r")


def has_escapes(text: str) -> bool:
    """Say whether bytes that are not UTF-8 stand in a text."""
    return _ESCAPES.search(text) is not None


def shown(text: str) -> str:
    """Give a text as people see it whose encoding nobody knows."""
    return _ESCAPES.sub("\ufffd", text)


def unescaped(values: pa.Array) -> pa.Array:
    r"""Give a column as it was: text with bytes that are not UTF-8 is bytes.

    >>> unescaped(pa.array(["caf\U0010ffe9", None])).to_pylist()
    [b'caf\xe9', None]
    """
    kind = values.type
    if not (pa.types.is_string(kind) or pa.types.is_binary(kind)) or not _any_has(values, _LEAD):
        return values
    held = values.cast(pa.binary()).to_pylist()
    return pa.array([None if one is None else _ESCAPED.sub(_byte, one) for one in held], pa.binary())


def _any_has(values: pa.Array, part: bytes) -> bool:
    return bool(pc.any(pc.match_substring(values.cast(pa.binary()), part)).as_py())


def _byte(found: re.Match[bytes]) -> bytes:
    return bytes([ord(found[0].decode()) - _FIRST])


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(_FIRST + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("lightdata.escape", _escape)
