"""Detectors that need no training: each of three channels has one object, the box around what is bright in it."""

import numpy as np
import onnx
import onnx.parser
from onnx import numpy_helper

LABELS = ("red", "green", "blue")

_BODY = """
    across = ReduceMax<axes = [2], keepdims = 0>(image)
    down = ReduceMax<axes = [3], keepdims = 0>(image)
    is_in_column = Greater(across, half)
    is_in_row = Greater(down, half)
    columns = Cast<to = 1>(is_in_column)
    rows = Cast<to = 1>(is_in_row)
    left = ArgMax<axis = 2>(columns)
    top = ArgMax<axis = 2>(rows)
    last_column = ArgMax<axis = 2, select_last_index = 1>(columns)
    last_row = ArgMax<axis = 2, select_last_index = 1>(rows)
    x0 = Cast<to = 1>(left)
    y0 = Cast<to = 1>(top)
    x9 = Cast<to = 1>(last_column)
    y9 = Cast<to = 1>(last_row)
    x1 = Add(x9, unit)
    y1 = Add(y9, unit)
    w = Sub(x1, x0)
    h = Sub(y1, y0)
    twice_x = Add(x0, x1)
    twice_y = Add(y0, y1)
    cx = Mul(twice_x, half)
    cy = Mul(twice_y, half)
    xyxy = Concat<axis = 2>(x0, y0, x1, y1)
    yxyx = Concat<axis = 2>(y0, x0, y1, x1)
    xywh = Concat<axis = 2>(x0, y0, w, h)
    cxcywh = Concat<axis = 2>(cx, cy, w, h)
    brightest = ReduceMax<axes = [2], keepdims = 1>(across)
    is_bright = Greater(brightest, half)
    score = Where(is_bright, brightest, zero)
    scores_of_all = Squeeze(score, two)
    none = Mul(scores_of_all, zero)
    class_of_all = Add(none, numbers)
    whole_class = Cast<to = 7>(class_of_all)
    class = Unsqueeze(class_of_all, two)
    sure = Add(none, unit)
    each = Mul(score, eye)
    no_hot = Mul(score, zero)
    hot = Add(no_hot, eye)
"""

FORMS = {
    "apart": (
        "float[N, 3, 4] boxes, float[N, 3] scores, int64[N, 3] labels",
        "boxes = Identity(xyxy) scores = Identity(scores_of_all) labels = Identity(whole_class)",
        {"normalized": False},
    ),
    "a corner and the size, from 0 to 1": (
        "float[N, 3, 4] boxes, float[N, 3] conf, float[N, 3] cls",
        "boxes = Div(xywh, sides) conf = Identity(scores_of_all) cls = Identity(class_of_all)",
        {"normalized": True, "box_format": "xywh"},
    ),
    "of TensorFlow, with a count": (
        "float[N] num_detections, float[N, 6, 4] detection_boxes, float[N, 6] detection_scores, "
        "float[N, 6] detection_classes",
        """
            num_detections = ReduceSum<keepdims = 0>(sure, axis_one)
            share = Div(yxyx, down_sides)
            detection_boxes = Concat<axis = 1>(share, share)
            detection_scores = Concat<axis = 1>(scores_of_all, sure)
            detection_classes = Concat<axis = 1>(class_of_all, class_of_all)
        """,
        {},
    ),
    "with a count that has an axis": (
        "int64[N, 1] num_dets, float[N, M, 4] det_boxes, float[N, M] det_scores, int64[N, M] det_classes",
        """
            count = ReduceSum<keepdims = 1>(sure, axis_one)
            num_dets = Cast<to = 7>(count)
            det_boxes = Concat<axis = 1>(xyxy, xyxy)
            det_scores = Concat<axis = 1>(scores_of_all, sure)
            det_classes = Concat<axis = 1>(whole_class, whole_class)
        """,
        {"normalized": False},
    ),
    "scores of all classes": (
        "float[N, 3, 4] boxes, float[N, 3, 3] scores",
        "boxes = Identity(cxcywh) scores = Identity(each)",
        {"normalized": False, "box_format": "cxcywh"},
    ),
    "rows": ("float[N, 3, 6] output0", "output0 = Concat<axis = 2>(xyxy, score, class)", {}),
    "YOLO": (
        "float[N, 7, 84] output0",
        """
            seen = Concat<axis = 2>(cxcywh, each)
            often = Tile(seen, times)
            jittered = Add(often, jitter)
            output0 = Transpose<perm = [0, 2, 1]>(jittered)
        """,
        {},
    ),
    "YOLO, boxes first": (
        "float[N, 84, 7] output0",
        "seen = Concat<axis = 2>(cxcywh, each) often = Tile(seen, times) output0 = Add(often, jitter)",
        {},
    ),
    "YOLO with objectness": (
        "float[N, 84, 8] output0",
        "seen = Concat<axis = 2>(cxcywh, score, hot) output0 = Tile(seen, times)",
        {},
    ),
    "DETR": (
        "float[N, 3, 4] logits, float[N, 3, 4] pred_boxes, float[N, 3, 9] last_hidden_state",
        """
            rest = Sub(unit, score)
            share = Concat<axis = 2>(each, rest)
            positive = Max(share, tiny)
            logits = Log(positive)
            pred_boxes = Div(cxcywh, sides)
            last_hidden_state = Concat<axis = 2>(each, each, each)
        """,
        {},
    ),
    "RT-DETR": (
        "float[N, 3, 3] logits, float[N, 3, 4] pred_boxes",
        """
            low = Min(each, nearly)
            share = Max(low, tiny)
            rest = Sub(unit, share)
            odds = Div(share, rest)
            logits = Log(odds)
            pred_boxes = Div(cxcywh, sides)
        """,
        {},
    ),
}
"""For each convention the outputs, what makes them, and what must be said of them."""


def detector(path, form="apart", *, height=64, width=64, metadata=None, labels=True, rows="N"):
    """Save a detector whose input has this size, or any where that is ``None``, and so many rows in a call."""
    outputs, tail, _ = FORMS[form]
    text = f"""
        <ir_version: 8, opset_import: ["" : 17]>
        tiny (float[N, 3, {height or "h"}, {width or "w"}] image) => ({outputs})
        <float half = {{0.5}}, float unit = {{1}}, float zero = {{0}},
         float tiny = {{0.0001}}, float nearly = {{0.9999}},
         int64[1] two = {{2}}, int64[1] axis_one = {{1}}, int64[3] times = {{1, 28, 1}}>
        {{ {_BODY} {tail} }}
    """
    model = onnx.parser.parse_model(text.replace("[N,", f"[{rows},").replace("[N]", f"[{rows}]"))
    across, down = width or 64, height or 64
    jitter = np.random.default_rng(0).uniform(-0.3, 0.3, (1, 84, 7)).astype(np.float32)
    jitter[..., 4:] = -0.02
    jitter[:, :3] = 0
    for name, values in {
        "numbers": np.array([[0, 1, 2]], np.float32),
        "eye": np.eye(3, dtype=np.float32)[np.newaxis],
        "sides": np.array([across, down, across, down], np.float32),
        "down_sides": np.array([down, across, down, across], np.float32),
        "jitter": jitter,
    }.items():
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    told = {"stride": "32", "names": str(dict(enumerate(LABELS)))} if labels else {}
    onnx.helper.set_model_props(model, {**told, **(metadata or {})})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
