"""Files that an ONNX model keeps its weights in, found without opening any of them.

The protobuf wire format is walked here, and large fields are stepped over, so that nothing a model says of other files
reaches ONNX Runtime before it was looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from lightdata.errors import ModelError

# Where tensors may stand in a model, by field numbers of onnx.proto.
_FIELDS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_MAX_DEPTH = 100


def external_locations(content: memoryview) -> list[str]:
    """List the files that a model's tensors lie in, as the model names them.

    Raises
    ------
    ModelError
        If the content is no protobuf message.
    """
    try:
        return sorted(set(_locations(content, "model", 0)))
    except (IndexError, UnicodeDecodeError) as error:
        raise ModelError("the file is not an ONNX model, or was cut short") from error


def _locations(content: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        raise ModelError("the model's graphs are nested too deeply")
    inner = _FIELDS[kind]
    for number, value in _fields(content):
        part = inner.get(number)
        if part == "entry":
            entry = dict(_fields(value))
            if bytes(entry.get(1, b"")) == b"location":
                yield bytes(entry.get(2, b"")).decode()
        elif part is not None:
            yield from _locations(value, part, depth + 1)


def _fields(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """List the fields of a message that have a length."""
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        match tag & 7:
            case 0:
                _, place = _varint(content, place)
            case 1:
                place += 8
            case 2:
                length, place = _varint(content, place)
                if place + length > len(content):
                    raise IndexError
                yield tag >> 3, content[place : place + length]
                place += length
            case 5:
                place += 4
            case _:
                raise IndexError


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte has no eighth bit
            return value, place
        shift += 7
        if shift > 63:  # noqa: PLR2004 - the bits of the longest number
            raise IndexError


def checked_files(locations: list[str], model_path: str) -> list[str]:
    """Give the paths of a model's external data.

    Raises
    ------
    ModelError
        Unless each is a plain file beside the model: no absolute path, no "..", no link of either kind.
    """
    folder = os.path.dirname(model_path)
    return [_checked(location, folder) for location in locations]


def _checked(location: str, folder: str) -> str:
    parts = location.replace("\\", "/").split("/")
    if not location or "\0" in location or ":" in parts[0] or not parts[0] or ".." in parts:
        raise ModelError(f"the model keeps weights in {location!r}; only files beside the model are read")
    path = folder
    for part in parts:
        path = os.path.join(path, part)
        if os.path.islink(path):
            raise ModelError(
                f"the model's weights {location!r} are a symbolic link; put the file itself beside the model "
                "(huggingface_hub: snapshot_download(..., local_dir=...))"
            )
    if not os.path.isfile(path):
        raise ModelError(f"the model keeps weights in {location!r}, and there is no such file beside it")
    if os.stat(path).st_nlink > 1:
        raise ModelError(f"the model's weights {location!r} are a hard link; put a copy beside the model")
    return path
