"""Boxes of objects: their forms, the way from a model's input back to the image, and which of them say the same.

All are arrays ``[M, 4]``; but for :func:`corners`, of float64 ``xmin, ymin, xmax, ymax`` in pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightdata.inference.options import BoxFormat
from lightdata.types.operation import Placed

Boxes = NDArray[np.float64]


def corners(boxes: NDArray[Any], box_format: BoxFormat) -> Boxes:
    """Give the corners of boxes that are written as a model does it.

    >>> corners(np.array([[10, 20, 4, 6]]), "cxcywh").tolist()
    [[8.0, 17.0, 12.0, 23.0]]
    """
    one, two, three, four = boxes.astype(np.float64).T
    match box_format:
        case "xyxy":
            sides = (one, two, three, four)
        case "yxyx":
            sides = (two, one, four, three)
        case "xywh":
            sides = (one, two, one + three, two + four)
        case "cxcywh":
            sides = (one - three / 2, two - four / 2, one + three / 2, two + four / 2)
    return np.stack(sides, axis=1)


def in_image(boxes: Boxes, place: Placed, height: int, width: int) -> Boxes:
    """Give boxes in pixels of an image that lay at ``place`` in what a model saw, and cut off what is outside of it.

    >>> in_image(np.array([[0.0, 80, 640, 320]]), Placed(80, 0, 480, 640), 375, 500).tolist()
    [[0.0, 0.0, 500.0, 187.5]]
    """
    across, down = width / place.width, height / place.height
    found = (boxes - (place.left, place.top, place.left, place.top)) * (across, down, across, down)
    return found.clip(0, (width, height, width, height))


def have_area(boxes: Boxes) -> NDArray[np.bool_]:
    """Say which boxes are wider and higher than nothing; those that are no numbers are not."""
    return (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])


def overlaps(box: Boxes, boxes: Boxes) -> NDArray[np.float64]:
    """Give the intersection over the union of one box ``[4]`` with each of several, all of which have an area.

    >>> overlaps(np.array([0.0, 0, 2, 2]), np.array([[0.0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]])).round(3).tolist()
    [1.0, 0.333, 0.0]
    """
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = sides.clip(0).prod(axis=1)
    return common / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - common)


def suppress(boxes: Boxes, classes: NDArray[np.int64], iou_threshold: float, most: int) -> NDArray[np.intp]:
    """Choose the boxes that stay: going down from the first, each takes away those of its class that it overlaps more.

    Parameters
    ----------
    boxes : float64 [M, 4]
        The best first; each has an area.
    classes : int64 [M]
    iou_threshold : float
        The intersection over the union above which two boxes are of one object.
    most : int
        How many to choose at most.

    Returns
    -------
    intp [K]
        Their places, in order.
    """
    kept: list[int] = []
    stays = np.ones(len(boxes), bool)
    of_class = {number: np.flatnonzero(classes == number) for number in np.unique(classes)}
    for best in range(len(boxes)):
        if len(kept) == most:
            break
        if stays[best]:
            kept.append(best)
            worse = of_class[classes[best]]
            worse = worse[worse > best]
            stays[worse[overlaps(boxes[best], boxes[worse]) > iou_threshold]] = False
    return np.array(kept, np.intp)
