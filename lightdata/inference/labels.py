"""Names of classes: given, of the model's metadata, or of config.json beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightdata.errors import ArgumentError, ModelError
from lightdata.inference.model_file import ModelFile


def read_labels(labels: Any, file: ModelFile, metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Find the class names; ``None`` where nobody tells them.

    Given as a list or a text file with a line each, else from the model's metadata, else from ``id2label`` or timm's
    ``label_names`` of config.json.

    Raises
    ------
    ModelError
        If a file is missing or cannot be read.
    """
    if isinstance(labels, str | os.PathLike):
        try:
            return tuple(Path(labels).read_text(encoding="utf-8").splitlines())
        except (OSError, ValueError) as error:
            raise ModelError(f"labels: {error}") from error
    if labels is not None:
        try:
            return tuple(str(label) for label in labels)
        except TypeError:
            raise ArgumentError(f"labels takes a list of names or a text file; got {labels!r}") from None
    if "labels" in metadata:
        return _parsed("the model's metadata", metadata["labels"])
    for folder in file.beside():
        beside = folder / "config.json"
        if beside.is_file():
            return _parsed(str(beside), beside.read_text(encoding="utf-8"))
    return None


def _parsed(place: str, text: str) -> tuple[str, ...] | None:
    try:
        found = json.loads(text)
        if isinstance(found, Mapping):
            names = found.get("id2label") or dict(enumerate(found.get("label_names") or ()))
            found = [names[key] for key in sorted(names, key=int)]
        return tuple(str(label) for label in found) or None
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"the labels in {place} cannot be read: {error}; pass labels=") from error
