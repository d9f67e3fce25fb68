"""What a detector's outputs are: told from names and shapes where that is certain, asked for where it is not."""

import pytest

from lightdata.errors import ArgumentError, ModelError
from lightdata.inference.detection import ClassScores, Grid, Rows, ScoredBoxes
from lightdata.inference.find_reading import Outputs, find_reading
from lightdata.inference.graph import Port


def ports(**shapes):
    """Make outputs: of floats, but where the first of a shape is the name of another type."""
    return [
        Port(
            name,
            *(shape[0], (None, *shape[1:])) if shape and isinstance(shape[0], str) else ("float32", (None, *shape)),
        )
        for name, shape in shapes.items()
    ]


def found(outputs, labels=None, size=(640, 640), **said):
    return find_reading(Outputs(outputs, said, labels, size))


APART = {"boxes": (100, 4), "scores": (100,), "labels": ("int64", 100)}
TENSORFLOW = {
    "detection_boxes": (100, 4),
    "detection_classes": (100,),
    "detection_scores": (100,),
    "num_detections": (),
}
OPTIMUM = {"logits": (100, 92), "pred_boxes": (100, 4), "last_hidden_state": (100, 256), "hidden": (850, 256)}

CERTAIN = [
    (APART, {}, ScoredBoxes("boxes", "scores", "labels")),
    ({"a": (None, 4), "b": (None,), "c": ("int32", None)}, {}, ScoredBoxes("a", "b", "c")),
    ({"boxes": (9, 4), "scores": (9,)}, {}, ScoredBoxes("boxes", "scores")),
    (TENSORFLOW, {}, ScoredBoxes("detection_boxes", "detection_scores", "detection_classes", "num_detections")),
    (
        {"num_dets": ("int32", 1), "det_boxes": (None, 4), "det_scores": (None,), "det_classes": ("int32", None)},
        {},
        ScoredBoxes("det_boxes", "det_scores", "det_classes", "num_dets"),
    ),
    ({**APART, "masks": (100, 28, 28)}, {}, ScoredBoxes("boxes", "scores", "labels")),
    ({"boxes": (None, None), "scores": (None,)}, {}, ScoredBoxes("boxes", "scores")),
    (OPTIMUM, {"labels": 91}, ClassScores("pred_boxes", "logits", has_none=True)),
    (OPTIMUM, {"labels": 92}, ClassScores("pred_boxes", "logits")),
    (OPTIMUM, {"postprocess": "softmax"}, ClassScores("pred_boxes", "logits", has_none=True)),
    ({"boxes": (50, 4), "scores": (50, 80)}, {"labels": 80}, ClassScores("boxes", "scores")),
    ({"output0": (300, 6)}, {}, Rows("output0")),
    ({"output0": (300, 6)}, {"labels": 2}, Rows("output0")),
    ({"output0": (None, 6)}, {"labels": 80}, Rows("output0")),
    ({"output0": (None, 6)}, {"labels": 1, "box_format": "xyxy"}, Rows("output0")),
    ({"output0": (None, 6)}, {"labels": 1, "box_format": "cxcywh"}, Grid("output0", False, True)),
    ({"output0": (25200, 6)}, {"labels": 1}, Grid("output0", False, True)),
    ({"output0": (8400, 6)}, {"labels": 2}, Grid("output0", False)),
    ({"output0": (6, 8400)}, {"labels": 2}, Grid("output0", True)),
    ({"output0": (84, 8400)}, {}, Grid("output0", True)),
    ({"output0": (84, None)}, {}, Grid("output0", True)),
    ({"output0": (84, 8400)}, {"labels": 80}, Grid("output0", True)),
    ({"output0": (8400, 84)}, {"labels": 80}, Grid("output0", False)),
    ({"output0": (25200, 85)}, {"labels": 80}, Grid("output0", False, True)),
    ({"output0": (84, 8400), "aux": (3, 80, 80, 85)}, {"labels": 80}, Grid("output0", True)),
    ({"a": (100, 4), "b": (100, 4), "scores": (100,)}, {"boxes": "b"}, ScoredBoxes("b", "scores")),
    ({"boxes": (9, 4), "x": (9,), "y": (9,)}, {"scores": "y"}, ScoredBoxes("boxes", "y")),
    ({"boxes": (9, 4), "x": (9,), "y": (9,)}, {"scores": "y", "classes": "x"}, ScoredBoxes("boxes", "y", "x")),
]


@pytest.mark.parametrize(("shapes", "said", "reading"), CERTAIN, ids=lambda value: str(value)[:60])
def test_what_is_certain_is_found_out(shapes, said, reading):
    """Names, types, lengths, the number of labels and what is said are enough."""
    assert found(ports(**shapes), **said).reading == reading


ASKED = [
    ({"a": (100, 4), "b": (100, 4), "scores": (100,)}, {}, r"pass boxes= with one of a: float32 \[\?, 100, 4\]; b: "),
    ({"a": (100, 9), "b": (100, 7)}, {}, "pass boxes= with one of a.*b"),
    ({"boxes": (9, 4), "x": (9,), "y": (9,)}, {}, "pass scores= with one of x.*y"),
    ({"boxes": (9, 4), "scores": (9,), "x": ("int64", 9), "y": ("int64", 9)}, {}, "pass classes= with one of x.*y"),
    ({"boxes": (9, 4)}, {}, "must be an output of scores"),
    ({"boxes": (9, 4), "scores": (8,)}, {}, "must be an output of scores"),
    ({"logits": (1000,)}, {}, r"must be an output of boxes.*logits: float32 \[\?, 1000\]"),
    (OPTIMUM, {}, "pass labels=, or postprocess='softmax'"),
    (OPTIMUM, {"labels": 80}, "there are 80 labels; pass labels="),
    (OPTIMUM, {"labels": 92, "postprocess": "softmax"}, "92 labels.*92 classes, the last of which"),
    ({"boxes": (50, 4), "scores": (50, 80)}, {"labels": 81}, "81 labels.*80 classes"),
    ({"output0": (None, 6)}, {"labels": 1}, "pass box_format='xyxy' if .* or box_format='cxcywh' if .* 1 classes"),
    ({"output0": (25200, 85)}, {}, "pass labels= with the names"),
    ({"output0": (8400, 84)}, {"labels": 3}, r"there are 3 labels, so .* \[N, 7, M\] .* \[N, M, 8\]"),
    ({"output0": (84, 84)}, {"labels": 80}, "there are 80 labels"),
    ({"output0": (84, 8400)}, {"labels": 79}, "there are 79 labels"),
    ({"output0": (None, None)}, {}, "cannot tell which axis"),
    ({"output0": (84, 84)}, {}, "cannot tell which axis"),
    (
        APART,
        {"boxes": "nope"},
        r"boxes: the model has no output 'nope' of numbers; it has boxes: float32 \[\?, 100, 4\]",
    ),
    (APART, {"boxes": "scores"}, r"boxes='scores' must name an output \[N, M, 4\]"),
    (APART, {"scores": "labels"}, r"scores='labels' must name an output \[N, M\] or \[N, M, C\] of floats"),
    (APART, {"classes": "boxes"}, r"classes='boxes' must name an output \[N, M\]"),
    (APART, {"counts": "labels"}, r"counts='labels' must name an output \[N\] or \[N, 1\]"),
]


@pytest.mark.parametrize(("shapes", "said", "words"), ASKED, ids=lambda value: str(value)[:60])
def test_what_is_not_certain_is_asked_for(shapes, said, words):
    """The error names the candidates, and the argument that settles it."""
    with pytest.raises(ModelError, match=words):
        found(ports(**shapes), **said)


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ({"output0": (300, 6)}, {"scores": "output0"}),
        ({"output0": (300, 6)}, {"postprocess": "sigmoid"}),
        ({"boxes": (50, 4), "scores": (50, 80)}, {"classes": "scores"}),
        (APART, {"postprocess": "softmax"}),
    ],
)
def test_what_has_no_meaning_for_such_outputs_is_refused(shapes, said):
    """An argument that would be ignored is an error."""
    with pytest.raises(ArgumentError, match=f"{next(iter(said))}="):
        found(ports(**shapes), **said)


def test_what_is_usual_follows_from_the_convention():
    """Corners or centres, shares or pixels, and whether boxes suppress each other: as each kind of model does it."""
    assert found(ports(**APART))[1:4] == ("xyxy", None, None)
    assert found(ports(**TENSORFLOW))[1:4] == ("yxyx", True, None)
    assert found(ports(**OPTIMUM), labels=91)[1:] == ("cxcywh", True, None, "softmax")
    assert found(ports(**OPTIMUM), labels=92)[1:] == ("cxcywh", True, None, "sigmoid")
    assert found(ports(boxes=(50, 4), scores=(50, 80)))[1:4] == ("xyxy", None, 0.45)
    assert found(ports(output0=(300, 6)))[1:4] == ("xyxy", False, None)
    assert found(ports(output0=(84, 8400)))[1:4] == ("cxcywh", False, 0.45)
