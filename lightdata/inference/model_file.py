"""Where a model lies: a file, a folder as Hugging Face's optimum writes it, or bytes; and whether it may be opened."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightdata.errors import ArgumentError, ModelError
from lightdata.inference.external_data import checked_files, external_locations


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """An ONNX model that ONNX Runtime can be given, and what its files must hash to."""

    path: str = ""
    """Absolute; empty for a model that is bytes."""

    content: bytes | None = field(default=None, repr=False)
    pins: tuple[tuple[str, str], ...] = ()
    """Names of files, relative to the model's folder, with their SHA-256."""

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.path.replace("\\", "/").rpartition("/")[2] if self.path else "model of bytes"

    def checked(self) -> str | bytes:
        """Give what a session is opened with, once it is known to be what it should be.

        Raises
        ------
        ModelError
            If the file is missing, reads files elsewhere, or has another hash than was asked for.
        """
        if self.content is not None:
            if outside := external_locations(memoryview(self.content)):
                raise ModelError(f"a model of bytes must hold its weights; this one keeps them in {outside[0]!r}")
            _check_pins(self.pins, {"": self.content})
            return self.content
        files = [self.path, *checked_files(_locations(self.path), self.path)]
        folder = os.path.dirname(self.path)
        _check_pins(self.pins, {os.path.relpath(file, folder).replace(os.sep, "/"): file for file in files})
        return self.path

    def has_external_data(self) -> bool:
        """Whether weights lie in other files."""
        return bool(self.path and _locations(self.path))

    def beside(self) -> list[Path]:
        """List the folders that may hold the model's JSON files: its own, and the one above a folder named onnx."""
        folder = Path(self.path).parent
        return ([folder, folder.parent] if folder.name == "onnx" else [folder]) if self.path else []


def _locations(path: str) -> list[str]:
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise ModelError(f"{path} is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as content:
            try:
                return external_locations(content)
            except ModelError as error:
                raise ModelError(f"{path} cannot be used: {error}") from error.__cause__


def _check_pins(pins: tuple[tuple[str, str], ...], files: Mapping[str, str | bytes]) -> None:
    if not pins:
        return
    if unpinned := files.keys() - {name for name, _ in pins}:
        wanted = ", ".join(f"{name!r}: ..." for name in sorted(files))
        raise ModelError(f"sha256 must pin every file of the model, {min(unpinned)!r} too: {{{wanted}}}")
    for name, wanted in pins:
        if name not in files:
            raise ModelError(f"sha256 names {name!r}, which is no file of the model; it has {', '.join(files)}")
        found = _sha256(files[name])
        if found != wanted:
            raise ModelError(f"{name or 'the model'} has the SHA-256 {found}, and not {wanted}; it is another file")


def _sha256(file: str | bytes) -> str:
    if isinstance(file, bytes):
        return hashlib.sha256(file).hexdigest()
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def find_model(source: Any, sha256: str | Mapping[str, str] | None = None) -> ModelFile:
    """Find the model that a path, a folder or bytes stand for.

    Parameters
    ----------
    source : path or bytes
    sha256 : str or mapping of file name to str, optional
        Of the file; of a model whose weights lie in other files, of each of them.

    Raises
    ------
    ModelError
        If there is none, or several.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return ModelFile(content=bytes(source), pins=_pins(sha256, ""))
    if not isinstance(source, str | os.PathLike):
        raise ArgumentError(f"a model is a path, a folder, bytes or an ld.Model; got {type(source).__name__}")
    path = os.path.abspath(os.fspath(source))
    if os.path.isdir(path):
        path = _in_folder(Path(path))
    if not os.path.isfile(path):
        raise ModelError(f"there is no model at {os.fspath(source)!r}")
    return ModelFile(path=path, pins=_pins(sha256, os.path.basename(path)))


def _pins(sha256: Any, name: str) -> tuple[tuple[str, str], ...]:
    given = {name: sha256} if isinstance(sha256, str) else ({} if sha256 is None else sha256)
    if not isinstance(given, Mapping) or not all(
        isinstance(value, str) and re.fullmatch("[0-9a-fA-F]{64}", value) for value in given.values()
    ):
        raise ArgumentError(f"sha256 takes 64 hexadecimal digits, or a mapping of file names to them; got {sha256!r}")
    return tuple((key, value.lower()) for key, value in given.items())


def _in_folder(folder: Path) -> str:
    for place in (folder, folder / "onnx"):
        found = sorted(place.glob("*.onnx"))
        named = [one for one in found if one.name == "model.onnx"] or found
        if len(named) == 1:
            return str(named[0])
        if found:
            raise ModelError(f"{folder} holds several models, {', '.join(one.name for one in found)}; pass one's path")
    raise ModelError(f"there is no .onnx file in {folder} nor in its folder onnx")


def read_json(file: ModelFile, name: str) -> dict[str, Any]:
    """Read a JSON file beside the model; nothing where there is none or it holds something else.

    Raises
    ------
    ModelError
        If it cannot be read.
    """
    for folder in file.beside():
        path = folder / name
        if path.is_file():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise ModelError(f"{path} cannot be read: {error}") from error
            return found if isinstance(found, dict) else {}
    return {}
