"""Find out how a detector's outputs are read: from their names and shapes where these are certain, else as is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from lightdata.errors import ArgumentError, ModelError
from lightdata.inference.detection import ClassScores, Grid, Reading, Rows, ScoredBoxes
from lightdata.inference.graph import Port
from lightdata.inference.options import BoxFormat

_SIDES, _ROW = 4, 6
"""Values of a box, and of a box with its score and its class."""

_STRIDES = ((8, 16, 32), (8, 16, 32, 64))
"""Pixels of the cells of the grids that detectors of the YOLO kind lay over an image."""

_IOU = 0.45
"""The overlap above which Ultralytics takes two boxes for one object."""

_WORDS = {
    name: re.compile(words, re.IGNORECASE)
    for name, words in {
        "boxes": "box",
        "scores": "score|conf|prob|logit",
        "classes": "label|class|cls",
        "counts": "num|count|valid",
    }.items()
}
_FORMS = {
    "boxes": "[N, M, 4], or of three axes with all in it",
    "scores": "[N, M] or [N, M, C] of floats, for the boxes [N, M, 4]",
    "classes": "[N, M], for the boxes [N, M, 4]",
    "counts": "[N] or [N, 1]",
}


class Found(NamedTuple):
    """How outputs are read, and what is usual where that is how."""

    reading: Reading
    box_format: BoxFormat = "xyxy"
    normalized: bool | None = None
    """``None`` where nobody knows."""

    iou_threshold: float | None = None
    postprocess: Literal["softmax", "sigmoid"] | None = None
    """What makes scores of the output that holds them."""

    @property
    def names(self) -> tuple[str, ...]:
        """The outputs that are read."""
        values = (getattr(self.reading, field) for field in self.reading.__dataclass_fields__)
        return tuple(value for value in values if isinstance(value, str))


class Outputs(NamedTuple):
    """What a model gives, and what was said of it."""

    ports: Sequence[Port]
    said: Mapping[str, Any]
    """The arguments of ``Dataset.detect`` that were given."""

    labels: int | None
    """How many class names there are, if there are any."""

    size: tuple[int | None, int | None]
    """Height and width of the input, pixels."""

    def find(
        self, argument: str, fits: Callable[[Port], bool], is_likely: Callable[[Port], bool] = lambda _: True
    ) -> Port | None:
        """Give the output that was named for an argument, or the only one that fits and is likely to be meant.

        Raises
        ------
        ModelError
            If what was named does not fit, or there are several.
        """
        if argument in self.said:
            return self._named(argument, fits)
        fitting = [port for port in self.ports if fits(port) and is_likely(port)]
        for some in (fitting, [port for port in fitting if says(port, argument)]):
            if len(some) == 1:
                return some[0]
        if not fitting:
            return None
        raise ModelError(
            f"cannot tell which output holds the {argument}: pass {argument}= with one of {_told(fitting)}"
        )

    def _named(self, argument: str, fits: Callable[[Port], bool]) -> Port:
        name = self.said[argument]
        for port in self.ports:
            if port.name == name and fits(port):
                return port
            if port.name == name:
                raise ModelError(f"{argument}={name!r} must name an output {_FORMS[argument]}; the model has {port}")
        raise ModelError(f"{argument}: the model has no output {name!r} of numbers; it has {_told(self.ports)}")


def says(port: Port, argument: str) -> bool:
    """Whether the name of an output says what an argument means."""
    return bool(_WORDS[argument].search(port.name))


def _told(ports: Sequence[Port]) -> str:
    return "; ".join(map(str, ports))


def find_reading(outputs: Outputs) -> Found:
    """Find out what each output is.

    Raises
    ------
    ModelError
        If it cannot be told, naming the candidates and the argument that settles it.
    ArgumentError
        If an argument has no meaning for such outputs.
    """
    three = [port for port in outputs.ports if len(port.shape) == 3]  # noqa: PLR2004 - [N, M, ...]
    apart = [port for port in three if port.shape[2] == _SIDES or (port.shape[2] is None and says(port, "boxes"))]
    boxes = outputs.find("boxes", three.__contains__, lambda port: port in apart or not apart)
    if boxes is None:
        raise ModelError(
            f"there must be an output of boxes [N, M, 4], or one of three axes; it has {_told(outputs.ports)}"
        )
    if boxes in apart:
        return _apart(boxes, outputs)
    for argument in ("scores", "classes", "counts", "postprocess"):
        if argument in outputs.said:
            raise ArgumentError(f"{argument}= is for boxes [N, M, 4], and the model has {boxes}")
    return _together(boxes, outputs)


def _apart(boxes: Port, outputs: Outputs) -> Found:
    """Find what belongs to boxes [N, M, 4]."""

    def belongs(port: Port, *axes: int) -> bool:
        is_as_long = None in (port.shape[1:2] + boxes.shape[1:2]) or port.shape[1:2] == boxes.shape[1:2]
        return port != boxes and len(port.shape) in axes and is_as_long

    scores = outputs.find("scores", lambda port: port.dtype.startswith("float") and belongs(port, 2, 3))
    if scores is None:
        raise ModelError(
            f"there must be an output of scores for the boxes {boxes}; the model has {_told(outputs.ports)}"
        )
    if len(scores.shape) == 3:  # noqa: PLR2004 - [N, M, C]
        return _class_scores(boxes, scores, outputs)
    how = outputs.said.get("postprocess")
    if how == "softmax":
        raise ArgumentError(f"postprocess='softmax' is for scores of all classes [N, M, C]; the model has {scores}")
    counts = outputs.find("counts", _is_count, lambda port: port != scores and says(port, "counts"))
    classes = outputs.find(
        "classes",
        lambda port: port not in (scores, counts) and belongs(port, 2),
        lambda port: "int" in port.dtype or says(port, "classes"),
    )
    reading = ScoredBoxes(boxes.name, scores.name, classes and classes.name, counts and counts.name)
    if boxes.name.startswith("detection_boxes"):  # what TensorFlow's exports are called
        return Found(reading, "yxyx", normalized=True, postprocess=how)
    return Found(reading, postprocess=how)


def _is_count(port: Port) -> bool:
    return port.shape[1:] in ((), (1,))


def _class_scores(boxes: Port, scores: Port, outputs: Outputs) -> Found:
    for argument in ("classes", "counts"):
        if argument in outputs.said:
            raise ArgumentError(f"{argument}= is for one score for each box [N, M]; the model has {scores}")
    how, count, labels = outputs.said.get("postprocess"), scores.shape[2], outputs.labels
    if how is None and "logit" in scores.name.lower():
        how = _activation(scores, labels)
    has_none = how == "softmax"
    if labels is not None and count is not None and count - has_none != labels:
        none = ", the last of which is that of no object" if has_none else ""
        raise ModelError(f"there are {labels} labels for the scores {scores} of {count} classes{none}")
    reading = ClassScores(boxes.name, scores.name, has_none)
    if boxes.name == "pred_boxes":  # what transformers calls those of DETR and its kin, one for each object
        return Found(reading, "cxcywh", normalized=True, postprocess=how)
    return Found(reading, iou_threshold=_IOU, postprocess=how)


def _activation(scores: Port, labels: int | None) -> Literal["softmax", "sigmoid"]:
    """Tell what makes scores of logits: with softmax there is a class more than there are names, that of no object."""
    count = scores.shape[2]
    if labels is not None and count in (labels, labels + 1):
        return "sigmoid" if count == labels else "softmax"
    known = "" if labels is None else f"there are {labels} labels; "
    raise ModelError(
        f"cannot tell how scores are made of {scores}: {known}pass labels=, or postprocess='softmax' where the last "
        "class is that of no object, or postprocess='sigmoid' where each class stands for itself"
    )


def _together(port: Port, outputs: Outputs) -> Found:
    """Tell how one output holds it all."""
    form, labels = outputs.said.get("box_format"), outputs.labels
    if port.shape[2] == _ROW and not _is_grid(port.shape[1], outputs.size):
        if port.shape[1] is not None or labels not in (1, 2) or form == "xyxy":
            return Found(Rows(port.name), normalized=False)
        if form is None:
            raise ModelError(
                f"cannot tell what {port} holds: pass box_format='xyxy' if rows are a box, its score and its class, "
                f"or box_format='cxcywh' if they are a box and the scores of {labels} classes"
            )
    axis = _axis_of_values(port, labels)
    values = port.shape[axis]
    if labels is None and axis == 2:  # noqa: PLR2004 - [N, M, 4 + C]
        raise ModelError(
            f"cannot tell whether the first of the scores in {port} is that of any object: pass labels= "
            "with the names of the classes, whose number tells"
        )
    has_objectness = labels is not None and values == _SIDES + 1 + labels
    return Found(Grid(port.name, axis == 1, has_objectness), "cxcywh", normalized=False, iou_threshold=_IOU)


def _axis_of_values(port: Port, labels: int | None) -> int:
    """Tell which axis of [N, 4 + C, M], [N, M, 4 + C] or [N, M, 5 + C] holds what is said of one box; M is more."""
    first, last = port.shape[1:]
    if labels is not None:
        values = _SIDES + labels
        fitting = [first == values, last in (values, values + 1)]
        if sum(fitting) == 1:
            return fitting.index(True) + 1
        raise ModelError(
            f"there are {labels} labels, so the output must be [N, {values}, M] or [N, M, {values}], "
            f"or [N, M, {values + 1}] with a score of any object before those of the classes; the model has {port}"
        )
    known = [length for length in (first, last) if length is not None]
    if not known or first == last or min(known) <= _SIDES:
        raise ModelError(
            f"cannot tell which axis of {port} holds the boxes: pass labels= with the names of the classes"
        )
    return 1 if first == min(known) else 2


def _is_grid(boxes: int | None, size: tuple[int | None, int | None]) -> bool:
    """Whether there are so many boxes as cells of a YOLO's grids, or three for each.

    >>> _is_grid(8400, (640, 640)), _is_grid(25200, (640, 640)), _is_grid(300, (640, 640))
    (True, True, False)
    """
    height, width = size
    if height is None or width is None:
        return False
    cells = [sum(-(-height // one) * -(-width // one) for one in strides) for strides in _STRIDES]
    return boxes in [times * count for count in cells for times in (1, 3)]
