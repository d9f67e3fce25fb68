"""Models that are made in a moment, for tests."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def save(path, nodes, inputs, outputs, weights=(), metadata=None):
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(*one) for one in inputs],
        [helper.make_tensor_value_info(*one) for one in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def classifier(path, *, shape=("N", 3, 8, 8), classes=7, dtype=FLOAT, metadata=None, tail=(), name="scores"):
    """Save a model: a mean over pixels, then one matrix; outputs [N, classes, *tail]."""
    channels_last = shape[3] in (1, 3, 4)
    channels = shape[3] if channels_last else shape[1]
    axes = np.array([1, 2] if channels_last else [2, 3])
    weight = np.random.default_rng(3).normal(size=(channels, classes)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["input"], ["f"], to=FLOAT),
        helper.make_node("ReduceMean", ["f"], ["m"], axes=axes.tolist(), keepdims=0),
        helper.make_node("MatMul", ["m", "w"], ["y"]),
        helper.make_node("Reshape", ["y", "s"], [name]),
    ]
    weights = [("w", weight), ("s", np.array([0, classes, *tail], np.int64))]
    out = (name, FLOAT, [shape[0], classes, *tail])
    return save(path, nodes, [("input", dtype, list(shape))], [out], weights, metadata)


def images(rows, height=8, width=8, channels=3, seed=0):
    shape = (rows, height, width, channels) if channels else (rows, height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
