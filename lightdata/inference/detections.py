"""Answers of a detector to a list of objects for each image, in pixels of that image, the best first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lightdata.inference.boxes import Boxes, corners, have_area, in_image, suppress
from lightdata.inference.detection import ClassScores, Detection, Grid, Reading, Rows, ScoredBoxes, detections_type
from lightdata.inference.labels import named_classes
from lightdata.inference.model import Fit, Model
from lightdata.types.operation import Placed
from lightdata.types.plain_array import number_array

Outputs = Mapping[str, NDArray[Any]]
"""What a model gives for one image, by output."""


class Objects(NamedTuple):
    """What was found in an image."""

    boxes: NDArray[Any]
    """[K, 4]"""

    scores: NDArray[Any]
    """[K]"""

    classes: NDArray[Any]
    """[K], whole numbers"""

    def at(self, places: NDArray[Any]) -> Objects:
        """Choose some, by their places or by whether they stay."""
        return Objects(self.boxes[places], self.scores[places], self.classes[places])


def found_objects(detection: Detection, outputs: Outputs, fit: Fit | None, size: tuple[int, int]) -> Objects:
    """Read what a model gives for an image of this height and width, which was fitted to its input as ``fit`` says."""
    found = candidates(detection.reading, outputs, detection.score_threshold)
    with np.errstate(invalid="ignore"):  # what becomes no number has no area
        found = found._replace(boxes=_in_image(detection, found.boxes, fit, size))
    found = found.at(have_area(found.boxes))
    found = found.at(np.argsort(-found.scores, kind="stable"))
    if detection.iou_threshold is None:
        return found.at(np.arange(min(len(found.scores), detection.max_detections)))
    return found.at(suppress(found.boxes, found.classes, detection.iou_threshold, detection.max_detections))


def _in_image(detection: Detection, boxes: NDArray[Any], fit: Fit | None, size: tuple[int, int]) -> Boxes:
    place = Placed(0, 0, *size) if fit is None else fit.placed(*size)
    down, across = size if fit is None else (fit.height, fit.width)
    seen = corners(boxes, detection.box_format) * ((across, down, across, down) if detection.normalized else 1)
    return in_image(seen, place, *size)


def candidates(reading: Reading, outputs: Outputs, least: float) -> Objects:
    """Give the boxes of an image whose score is no less than ``least``, as the model writes them."""
    match reading:
        case ScoredBoxes(boxes, scores, classes, counts):
            values = outputs[scores].astype(np.float32, copy=False)
            numbers = np.zeros(len(values)) if classes is None else outputs[classes]
            count = len(values) if counts is None else max(0, int(outputs[counts].reshape(())))
            return _above(least, Objects(outputs[boxes][:count], values[:count], numbers[:count]))
        case Rows(output):
            rows = outputs[output]
            return _above(least, Objects(rows[:, :4], rows[:, 4], rows[:, 5]))
        case ClassScores(boxes, scores, has_none):
            values = outputs[scores]
            return _best_classes(least, outputs[boxes], values[:, :-1] if has_none else values)
        case Grid(output, is_channels_first, has_objectness):
            rows = outputs[output].T if is_channels_first else outputs[output]
            if not has_objectness:
                return _best_classes(least, rows[:, :4], rows[:, 4:])
            rows = rows[rows[:, 4] >= least]  # a class is at most as sure as that there is anything
            return _best_classes(least, rows[:, :4], rows[:, 5:] * rows[:, 4:5])


def _above(least: float, found: Objects) -> Objects:
    found = found.at(found.scores >= least)
    return found._replace(classes=found.classes.astype(np.int64))


def _best_classes(least: float, boxes: NDArray[Any], scores: NDArray[Any]) -> Objects:
    best = scores.max(axis=1)
    kept = np.flatnonzero(best >= least)  # few of many
    return Objects(boxes[kept], best[kept], scores[kept].argmax(axis=1))


def detections_column(
    model: Model, answers: Sequence[tuple[Sequence[int] | NDArray[np.intp], Outputs]], sizes: NDArray[np.int64]
) -> pa.Array:
    """Build the column of a batch.

    Parameters
    ----------
    answers
        Rows that the model was run on, and its outputs for these: ``[N, ...]``.
    sizes : int64 [rows, 2]
        Height and width of every image; those that no answer is of are null.
    """
    (image,), detection = model.images, model.detection
    found: list[Objects | None] = [None] * len(sizes)
    for rows, outputs in answers:
        for place, row in enumerate(rows):
            of_image = {name: array[place] for name, array in outputs.items()}
            height, width = sizes[row].tolist()
            found[row] = found_objects(detection, of_image, image.fit, (height, width))  # type: ignore[arg-type]  # of a detector
    return _lists(found, model.labels)


def _lists(found: Sequence[Objects | None], labels: tuple[str, ...] | None) -> pa.Array:
    kind = detections_type(labels)
    known = [one for one in found if one is not None]
    boxes: Boxes = np.concatenate([np.zeros((0, 4)), *(one.boxes for one in known)]).astype(np.float32)
    scores = np.concatenate([np.zeros(0, np.float32), *(one.scores for one in known)]).astype(np.float32)
    classes = np.concatenate([np.zeros(0, np.int64), *(one.classes for one in known)])
    columns = [named_classes(labels, classes), number_array(scores), *map(number_array, boxes.T)]
    objects = pa.StructArray.from_arrays(columns, fields=[*kind.value_type])
    ends = np.cumsum([0, *(0 if one is None else len(one.scores) for one in found)], dtype=np.int64)
    present = np.array([one is not None for one in found], bool)
    validity = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(kind, len(found), [validity, pa.py_buffer(ends)], children=[objects])
