"""Arguments by keyword of the verbs that run a model, each stated once; what they mean is told by the verbs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from lightdata.errors import ArgumentError
from lightdata.inference.preprocess import Preprocess

Layout = Literal["NCHW", "NHWC"]
Precision = Literal["fp32", "tf32", "fp16"]
Postprocess = Literal["softmax", "sigmoid", "l2"] | Callable[[Any], Any]
BoxFormat = Literal["xyxy", "xywh", "cxcywh", "yxyx"]
Labels = str | os.PathLike[str] | Sequence[str]
"""Class names: a text file with a line each, or a list."""


class RunOptions(TypedDict, total=False):
    """What goes into a model and how it is run: see ``Dataset.infer``."""

    preprocess: Mapping[str, Any] | Preprocess | None
    layout: Layout | None
    batch_size: int | Literal["auto"] | None
    device: str | None
    precision: Precision | None
    providers: Sequence[str | tuple[str, Mapping[str, Any]]] | None
    sha256: str | Mapping[str, str] | None


class ModelOptions(RunOptions, total=False):
    """And what becomes of its outputs: see ``Dataset.infer``."""

    outputs: str | Sequence[str] | Mapping[str, str] | None
    labels: Labels | None
    top_k: int | None
    postprocess: Postprocess | Mapping[str, Postprocess] | None


class DetectorOptions(RunOptions, total=False):
    """What goes into a detector, and how its outputs are read where that cannot be told: see ``Dataset.detect``."""

    labels: Labels | None
    boxes: str | None
    scores: str | None
    classes: str | None
    counts: str | None
    box_format: BoxFormat | None
    normalized: bool | None
    postprocess: Literal["softmax", "sigmoid"] | None
    size: tuple[int, int] | None
    fill: int | None


def checked_options(options: Mapping[str, Any], known: type[RunOptions], *, step: str = "a model") -> dict[str, Any]:
    """Give the options that have a value.

    Raises
    ------
    ArgumentError
        If one is not among those that are known.
    """
    for name in options:
        if name not in known.__annotations__:
            raise ArgumentError.unknown(name, step=step, known=known.__annotations__)
    return {name: value for name, value in options.items() if value is not None}
