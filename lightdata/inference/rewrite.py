"""A model's graph with other numbers in it: pixels normalised inside, half floats; the package onnx does it."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from lightdata.errors import ModelError
from lightdata.inference.graph import Port
from lightdata.inference.model import ImageInput, Model, ValueInput
from lightdata.inference.model_file import ModelFile
from lightdata.inference.preprocess import Preprocess

_LOG = logging.getLogger("lightdata")
_MAX_BYTES = 3 << 29
"""Protobuf messages hold 2 GiB at most, and what is added needs some of that."""

_BYTES = "/uint8"
"""Ends the name of an input that takes bytes in place of what it took before."""


def rewritten(model: Model, *, in_graph: bool) -> tuple[str | bytes, Model]:
    """Give what a session is opened with, and the model that it then is.

    Parameters
    ----------
    in_graph : bool
        Whether pixels go in as they are, uint8 [N, H, W, C], where that can be: with the package onnx, and a model
        that fits into memory twice.

    Raises
    ------
    ModelError
        If half floats were asked for and cannot be had.
    """
    source = model.file.checked()
    halves = model.precision == "fp16"
    floats = [one for one in model.images if one.port.dtype != "uint8" and _is_bytes(one)]
    if not halves and not (in_graph and floats):
        return source, model
    onnx = _onnx()
    if onnx is None or _size(model.file) > _MAX_BYTES:
        if halves:
            check_halves()
            raise ModelError("precision='fp16' needs a smaller model, or one that is exported in half floats")
        _LOG.info("pixels are normalised before they go to the device, which is slower; lightdata[onnx] does it there")
        return source, model
    proto = onnx.load(source) if isinstance(source, str) else onnx.load_from_string(source)
    if halves:
        proto = _halved(proto)
    if in_graph:
        for one in floats:
            _prepend(onnx, proto.graph, one)
        model = replace(model, inputs=tuple(_taking_bytes(one, floats) for one in model.inputs))
    return proto.SerializeToString(), model


def check_halves() -> None:
    """Refuse half floats where they cannot be made.

    Raises
    ------
    ModelError
        Without the package onnx.
    """
    if find_spec("onnx") is None:
        raise ModelError(
            "precision='fp16' needs the package onnx (run: pip install \"lightdata[onnx]\"), "
            "or a model that is exported in half floats"
        )


def _onnx() -> Any:
    try:
        import onnx  # noqa: PLC0415 - an extra, and a quarter of a second
        import onnx.numpy_helper  # noqa: PLC0415 - see above
    except ImportError:
        return None
    return onnx


def _is_bytes(one: ImageInput) -> bool:
    return one.mode in ("L", "RGB", "RGBA")


def _size(file: ModelFile) -> int:
    if file.content is not None:
        return len(file.content)
    folder = os.path.dirname(file.path)
    beside = sum(one.stat().st_size for one in os.scandir(folder) if one.is_file()) if file.has_external_data() else 0
    return max(beside, os.stat(file.path).st_size)


def _halved(proto: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415 - only for half floats

    return convert_float_to_float16(proto, keep_io_types=True)


def _taking_bytes(one: ImageInput | ValueInput, floats: list[ImageInput]) -> ImageInput | ValueInput:
    if not isinstance(one, ImageInput) or one not in floats:
        return one
    rows, (height, width) = one.port.shape[0], one.size
    port = Port(one.port.name + _BYTES, "uint8", (rows, height, width, one.channels))
    how = Preprocess(scale=None, mode=one.mode)
    return replace(one, port=port, layout="NHWC", preprocess=how)


def _prepend(onnx: Any, graph: Any, one: ImageInput) -> None:
    """Put ``(value * scale - mean) / std`` before an input, as one product and one sum; bytes are moved as bytes."""
    name, how = one.port.name, one.preprocess
    make, array = onnx.helper.make_node, onnx.numpy_helper.from_array
    std = np.asarray(how.std or (1,) * one.channels, np.float64)
    mean = np.asarray(how.mean or (0,) * one.channels, np.float64)
    along = (1, -1, 1, 1) if one.layout == "NCHW" else (1, 1, 1, -1)
    numbers = {
        f"{name}/factor": ((1.0 if how.scale is None else how.scale) / std).astype(np.float32).reshape(along),
        f"{name}/offset": (-mean / std).astype(np.float32).reshape(along),
    }
    moved = name + _BYTES
    nodes = []
    if one.layout == "NCHW":
        nodes.append(make("Transpose", [moved], [f"{name}/moved"], perm=[0, 3, 1, 2]))
        moved = f"{name}/moved"
    nodes += [
        make("Cast", [moved], [f"{name}/float"], to=onnx.TensorProto.FLOAT),
        make("Mul", [f"{name}/float", f"{name}/factor"], [f"{name}/scaled"]),
        make("Add", [f"{name}/scaled", f"{name}/offset"], [f"{name}/ready"]),
        make("Cast", [f"{name}/ready"], [name], to=onnx.helper.np_dtype_to_tensor_dtype(np.dtype(one.port.dtype))),
    ]
    later = [*graph.node]
    del graph.node[:]
    graph.node.extend([*nodes, *later])
    graph.initializer.extend(array(value, key) for key, value in numbers.items())
    height, width = one.size
    places = [number for number, given in enumerate(graph.input) if given.name == name]
    del graph.input[places[0]]
    shape = [one.port.shape[0] or "rows", height or f"{name}/height", width or f"{name}/width", one.channels]
    graph.input.append(onnx.helper.make_tensor_value_info(name + _BYTES, onnx.TensorProto.UINT8, shape))
