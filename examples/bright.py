"""Writes ``bright.onnx``, a detector that needs no training: the box around what is bright red, green or blue.

``python examples/bright.py``
"""

from pathlib import Path

import onnx
import onnx.parser

MODEL = Path(__file__).with_name("bright.onnx")

# Each row of the output is a box, its score and its class, as YOLOs give them that suppress by themselves.
GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
bright (float[N, 3, 320, 320] image) => (float[N, 3, 6] output0)
<float half = {0.5}, int64 one = {1}, float[1, 3, 1] numbers = {0, 1, 2}, float zero = {0}>
{
    across = ReduceMax<axes = [2], keepdims = 0>(image)
    down = ReduceMax<axes = [3], keepdims = 0>(image)
    is_in_column = Greater(across, half)
    is_in_row = Greater(down, half)
    columns = Cast<to = 1>(is_in_column)
    rows = Cast<to = 1>(is_in_row)
    xmin = ArgMax<axis = 2>(columns)
    ymin = ArgMax<axis = 2>(rows)
    last_column = ArgMax<axis = 2, select_last_index = 1>(columns)
    last_row = ArgMax<axis = 2, select_last_index = 1>(rows)
    xmax = Add(last_column, one)
    ymax = Add(last_row, one)
    corners = Concat<axis = 2>(xmin, ymin, xmax, ymax)
    boxes = Cast<to = 1>(corners)
    brightest = ReduceMax<axes = [2], keepdims = 1>(across)
    is_bright = Greater(brightest, half)
    scores = Where(is_bright, brightest, zero)
    none = Mul(scores, zero)
    classes = Add(none, numbers)
    output0 = Concat<axis = 2>(boxes, scores, classes)
}
"""


def bright() -> onnx.ModelProto:
    """Build the model; its metadata say what Ultralytics' exports say."""
    model = onnx.parser.parse_model(GRAPH)
    onnx.helper.set_model_props(model, {"stride": "32", "names": "{0: 'red', 1: 'green', 2: 'blue'}"})
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    onnx.save(bright(), MODEL)
