"""Find out how to run a detector: as any model, how images are fitted to its input, and what its outputs mean."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Unpack, get_args

import numpy as np

from lightdata.errors import ArgumentError, ModelError
from lightdata.inference.describe import describe_model
from lightdata.inference.detection import ClassScores, Detection, ScoredBoxes
from lightdata.inference.find_reading import Found, Outputs, find_reading
from lightdata.inference.graph import DTYPES, Port, read_graph
from lightdata.inference.labels import read_labels
from lightdata.inference.model import ImageInput, Model, Output
from lightdata.inference.model_file import ModelFile, find_model, read_json
from lightdata.inference.options import BoxFormat, DetectorOptions, RunOptions, checked_options
from lightdata.inference.postprocess import port_after
from lightdata.types.operation import Letterbox, Resize

FILL = 114
"""The grey that Ultralytics fills letterboxes with, and most others."""


class Wanted(NamedTuple):
    """What is made of what a detector finds, whatever its outputs are."""

    column: str
    fit: Literal["letterbox", "stretch"] | None
    score_threshold: float
    iou_threshold: float | Literal["auto"] | None
    max_detections: int


def describe_detector(source: Any, wanted: Wanted, **chosen: Unpack[DetectorOptions]) -> Model:
    """Find out how to run a detector; the arguments are those of ``Dataset.detect``.

    Raises
    ------
    ModelError
        If it cannot be told what its outputs mean, or it does not take images.
    ArgumentError
        If an argument has a value that cannot work.
    """
    if isinstance(source, Model):
        raise ArgumentError("detect makes an ld.Model itself: pass the path, folder or bytes that this one was made of")
    _check_wanted(wanted)
    said = checked_options(chosen, DetectorOptions, step="detect")
    _check_said(said)
    file = find_model(source, said.get("sha256"))
    graph = read_graph(file)
    ports = [port for port in graph.outputs if port.dtype in DTYPES.values() and port.shape]
    if not ports:
        raise ModelError(f"{file.name} has no output of numbers")
    run: RunOptions = {name: said[name] for name in RunOptions.__annotations__ if name in said}  # type: ignore[assignment]  # of these names
    model = describe_model(source, is_classifier=False, outputs=[port.name for port in ports], **run)
    image = _fitted(_only_input(model), wanted.fit, said, (file, graph.metadata))
    labels = read_labels(said.get("labels"), file, graph.metadata)
    size = image.size if image.fit is None else (image.fit.height, image.fit.width)
    found = find_reading(Outputs(ports, said, None if labels is None else len(labels), size))
    kept = [port for port in ports if port.name in found.names]
    return replace(
        model,
        inputs=(image,),
        outputs=tuple(_output(port, found) for port in kept),
        labels=labels,
        detection=_detection(found, wanted, said, kept),
    )


def _detection(found: Found, wanted: Wanted, said: Mapping[str, Any], kept: Sequence[Port]) -> Detection:
    normalized = said.get("normalized", found.normalized)
    if normalized is None:
        raise ModelError(
            "the model does not say whether boxes are in pixels of its input or go from 0 to 1: "
            f"pass normalized=False or normalized=True; they are read from {'; '.join(map(str, kept))}"
        )
    return Detection(
        column=wanted.column,
        reading=found.reading,
        box_format=said.get("box_format", found.box_format),
        normalized=normalized,
        score_threshold=wanted.score_threshold,
        iou_threshold=found.iou_threshold if wanted.iou_threshold == "auto" else wanted.iou_threshold,
        max_detections=wanted.max_detections,
    )


def _output(port: Port, found: Found) -> Output:
    is_scores = isinstance(found.reading, ScoredBoxes | ClassScores) and port.name == found.reading.scores
    how = found.postprocess if is_scores else None
    return Output(port.name, port.name, port_after(port, how), how)


def _only_input(model: Model) -> ImageInput:
    if len(model.inputs) != 1 or not isinstance(model.inputs[0], ImageInput):
        told = "; ".join(str(one.port) for one in model.inputs)
        raise ModelError(
            f"detect runs models of one input, of images; this one takes {told}: use infer for its outputs"
        )
    return model.inputs[0]


def _fitted(
    image: ImageInput,
    fit: Literal["letterbox", "stretch"] | None,
    said: Mapping[str, Any],
    place: tuple[ModelFile, Mapping[str, str]],
) -> ImageInput:
    for argument in ("size", "fill"):
        if argument in said and (fit is None or (fit, argument) == ("stretch", "fill")):
            raise ArgumentError(f"{argument}= has no meaning with fit={fit!r}")
    if fit is None:
        return image
    height, width = _input_size(image, said.get("size"), *place)
    if fit == "stretch":
        return replace(image, fit=Resize(height=height, width=width))
    return replace(image, fit=Letterbox(height=height, width=width, fill=said.get("fill", FILL)))


def _input_size(
    image: ImageInput, given: tuple[int, int] | None, file: ModelFile, metadata: Mapping[str, str]
) -> tuple[int, int]:
    """Tell the size images are fitted to: what the graph says, what is given, what metadata or the processor say."""
    wanted = given
    if wanted is None and None in image.size:
        wanted = _stated_size(metadata.get("imgsz"), read_json(file, "preprocessor_config.json"))
    sides = [known or (wanted and wanted[axis]) for axis, known in enumerate(image.size)]
    if given is not None and sides != list(given):
        raise ModelError(f"the model's input {image.port} takes no images of {given[0]}x{given[1]}, which size= says")
    if not sides[0] or not sides[1]:
        raise ModelError(
            f"the model's input {image.port} takes images of any size: pass size=(height, width) that they are fitted "
            "to, or fit=None to give them to it as they are"
        )
    return sides[0], sides[1]


def _stated_size(metadata: str | None, processor: Mapping[str, Any]) -> tuple[int, int] | None:
    """Read ``imgsz`` of Ultralytics' metadata, or a ``size`` of transformers that is a height and a width."""
    if metadata is not None:
        sides: Any = re.findall(r"\d+", metadata)
    else:
        size = processor.get("size")
        sides = [size.get("height"), size.get("width")] if isinstance(size, Mapping) else []
    return (int(sides[0]), int(sides[1])) if len(sides) == 2 and all(sides) else None  # noqa: PLR2004 - height, width


def _check_wanted(wanted: Wanted) -> None:
    if not isinstance(wanted.column, str) or not wanted.column:
        raise ArgumentError(f"name must be that of a column; got {wanted.column!r}")
    if wanted.fit not in ("letterbox", "stretch", None):
        raise ArgumentError(f"fit must be 'letterbox', 'stretch' or None; got {wanted.fit!r}")
    _check_share("score_threshold", wanted.score_threshold)
    if wanted.iou_threshold not in ("auto", None):
        _check_share("iou_threshold", wanted.iou_threshold, " or 'auto', or None for no suppression")
    most = wanted.max_detections
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ArgumentError(f"max_detections must be a positive number; got {most!r}")


def _check_share(name: str, value: Any, more: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
        raise ArgumentError(f"{name} must be from 0 to 1{more}; got {value!r}")


def _check_said(said: Mapping[str, Any]) -> None:
    for name, choices in (("box_format", get_args(BoxFormat)), ("postprocess", ("softmax", "sigmoid"))):
        if name in said and said[name] not in choices:
            raise ArgumentError(f"{name} must be one of {', '.join(map(repr, choices))}; got {said[name]!r}")
    if not isinstance(said.get("normalized", False), bool):
        raise ArgumentError(f"normalized must be True or False; got {said['normalized']!r}")
    fill = said.get("fill", FILL)
    if isinstance(fill, bool) or not isinstance(fill, int) or not 0 <= fill <= 255:  # noqa: PLR2004 - a grey level
        raise ArgumentError(f"fill must be a grey level from 0 to 255; got {fill!r}")
    match said.get("size", (1, 1)):
        case (int(height), int(width)) if height > 0 and width > 0:
            return
    raise ArgumentError(f"size must be (height, width) in pixels; got {said['size']!r}")
