"""ResNet-18 and ResNet-50 with random weights: the work of the real ones, without a download.

``python benchmarks/resnet.py 50 resnet50.onnx``
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


class Builder:
    """Adds layers to a graph, batch normalisation folded into each convolution as exporters do."""

    def __init__(self):
        self.nodes, self.weights, self.draw = [], [], np.random.default_rng(0)

    def node(self, kind, inputs, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def weight(self, *shape, scale):
        name = f"w{len(self.weights)}"
        values = self.draw.normal(0, scale, shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def conv(self, value, before, after, size, stride=1, gain=2.0):
        weight = self.weight(after, before, size, size, scale=np.sqrt(gain / (before * size * size)))
        bias = self.weight(after, scale=0.01)
        pads = [size // 2] * 4
        return self.node("Conv", [value, weight, bias], kernel_shape=[size, size], strides=[stride] * 2, pads=pads)

    def block(self, value, before, width, stride, wide):
        after = width * 4 if wide else width
        inner = self.node("Relu", [self.conv(value, before, width, 1 if wide else 3, 1 if wide else stride)])
        if wide:
            inner = self.node("Relu", [self.conv(inner, width, width, 3, stride)])
        inner = self.conv(inner, width, after, 1 if wide else 3, gain=0.2)
        if stride > 1 or before != after:
            value = self.conv(value, before, after, 1, stride, gain=1.0)
        return self.node("Relu", [self.node("Add", [inner, value])]), after


def resnet(depth):
    """Build a ResNet of [N, 3, 224, 224] float32 to 1,000 logits."""
    build = Builder()
    value = build.node("Relu", [build.conv("input", 3, 64, 7, 2)])
    value = build.node("MaxPool", [value], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for stage, blocks in enumerate(BLOCKS[depth]):
        for number in range(blocks):
            stride = 2 if stage and not number else 1
            value, channels = build.block(value, channels, 64 << stage, stride, depth >= 50)
    value = build.node("Flatten", [build.node("GlobalAveragePool", [value])])
    weight, bias = build.weight(channels, 1000, scale=channels**-0.5), build.weight(1000, scale=0.01)
    build.nodes.append(helper.make_node("Gemm", [value, weight, bias], ["logits"]))
    shapes = [("input", ["N", 3, 224, 224]), ("logits", ["N", 1000])]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes]
    graph = helper.make_graph(build.nodes, f"resnet{depth}", infos[:1], infos[1:], build.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"mean": "[0.485, 0.456, 0.406]", "std": "[0.229, 0.224, 0.225]"})
    onnx.checker.check_model(model)
    return model


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(resnet(int(sys.argv[1])).SerializeToString())
