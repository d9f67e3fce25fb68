"""Names of classes: given, of the model's metadata, or of config.json beside it."""

from __future__ import annotations

import json
import os
from ast import literal_eval
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.errors import ArgumentError, ModelError
from lightdata.inference.model_file import ModelFile
from lightdata.types.plain_array import number_array, plain_array


def read_labels(labels: Any, file: ModelFile, metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Find the class names; ``None`` where nobody tells them.

    Given as a list or a text file with a line each, else from the model's metadata (``labels``, or Ultralytics'
    ``names``), else from ``id2label`` or timm's ``label_names`` of config.json.

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
    if is_of_ultralytics(metadata):
        return _parsed("the model's metadata", metadata["names"], literal_eval)
    for folder in file.beside():
        beside = folder / "config.json"
        if beside.is_file():
            return _parsed(str(beside), beside.read_text(encoding="utf-8"))
    return None


def is_of_ultralytics(metadata: Mapping[str, str]) -> bool:
    """Whether a model was exported by Ultralytics' tools, which say the size of its cells and the names of classes.

    >>> is_of_ultralytics({"stride": "32", "names": "{0: 'person'}"})
    True
    """
    return {"stride", "names"} <= metadata.keys()


def named_classes(labels: tuple[str, ...] | None, classes: NDArray[np.int64]) -> pa.Array:
    """Give classes their names, where there are some.

    Raises
    ------
    ModelError
        If there are names, and not for all.
    """
    if labels is None:
        return number_array(classes)
    outside = classes[(classes < 0) | (classes >= len(labels))]
    if len(outside):
        raise ModelError(f"there are {len(labels)} labels, and the model gives a class {outside[0]}")
    return plain_array([labels[place] for place in classes.tolist()], pa.large_string())


def _parsed(place: str, text: str, parse: Callable[[str], Any] = json.loads) -> tuple[str, ...] | None:
    try:
        found = parse(text)
        if isinstance(found, Mapping):
            names = found.get("id2label") or dict(enumerate(found.get("label_names") or ()))
            names = found if 0 in found else names
            found = [names[key] for key in sorted(names, key=int)]
        return tuple(str(label) for label in found) or None
    except (ValueError, TypeError, KeyError, SyntaxError) as error:
        raise ModelError(f"the labels in {place} cannot be read: {error}; pass labels=") from error
