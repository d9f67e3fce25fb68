"""What a detector's outputs mean, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from lightdata.inference.options import BoxFormat


@dataclass(frozen=True, slots=True)
class ScoredBoxes:
    """Boxes [N, M, 4] with a score [N, M] and perhaps a class [N, M] each; only the first of a count [N] are any."""

    boxes: str
    scores: str
    classes: str | None = None
    counts: str | None = None


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Boxes [N, M, 4] with scores of all classes [N, M, C]; the best one counts."""

    boxes: str
    scores: str
    has_none: bool = False
    """Whether the last class is that of no object."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One output [N, M, 6]: a box, its score and its class."""

    output: str


@dataclass(frozen=True, slots=True)
class Grid:
    """One output [N, M, 4 + C] or [N, 4 + C, M]: a box and the scores of all classes for each cell of a grid."""

    output: str
    is_channels_first: bool
    has_objectness: bool = False
    """Whether the score of any object comes first, of which those of the classes are parts: [N, M, 5 + C]."""


Reading = ScoredBoxes | ClassScores | Rows | Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """How the outputs of a model become a column with a list of objects for each image."""

    column: str
    reading: Reading
    box_format: BoxFormat
    normalized: bool
    """Whether boxes go from 0 to 1 over the model's input, and not in its pixels."""

    score_threshold: float
    iou_threshold: float | None
    """``None`` where boxes do not suppress each other."""

    max_detections: int


def detections_type(labels: tuple[str, ...] | None) -> pa.DataType:
    """Give the type of the column: ``label`` is a text where there are names, else a number.

    >>> detections_type(None).value_type.names
    ['label', 'score', 'xmin', 'ymin', 'xmax', 'ymax']
    """
    numbers = [pa.field(name, pa.float32()) for name in ("score", "xmin", "ymin", "xmax", "ymax")]
    return pa.large_list(pa.struct([pa.field("label", pa.int64() if labels is None else pa.large_string()), *numbers]))
