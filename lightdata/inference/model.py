"""What is known of an ONNX model before it runs."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from lightdata.errors import ArgumentError, ModelError
from lightdata.inference.device import check_device, session_options
from lightdata.inference.preprocess import Preprocess, choose_preprocess
from lightdata.types.tensor import TensorType, fixed_tensor_type

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(bool)": "bool",
}


class Port(NamedTuple):
    """An input or output of a graph."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    """With ``None`` where any length goes; the first axis counts rows."""


_CPU_ROWS, _GPU_ROWS = 8, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Everything needed to run a model; a few strings and numbers, so it travels to workers for free."""

    path: str
    input: Port
    layout: str
    """"NCHW" or "NHWC"."""

    outputs: tuple[tuple[Port, str], ...]
    """Outputs that are kept, with the names of their columns."""

    preprocess: Preprocess
    labels: tuple[str, ...] | None = None
    top_k: int | None = None
    label_column: str = "label"
    score_column: str = "score"
    device: str = "auto"
    batch_rows: int | None = None
    """Rows of one session call; where the graph fixes them, that number. ``None`` is what suits the device."""

    def rows_of_call(self, *, on_gpu: bool) -> int:
        """Give the rows of one session call on a device.

        A CPU is fastest where activations stay in its caches, which takes few rows: of 1, 4, 8, 16, 32 and 64 rows of
        224x224, 8 were the fastest for SqueezeNet, by 8 % over 32. A GPU is idle with few.
        """
        return self.batch_rows or (_GPU_ROWS if on_gpu else _CPU_ROWS)

    @property
    def channels(self) -> int:
        """Channels of the input."""
        return self.input.shape[1 if self.layout == "NCHW" else 3] or 3

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Height and width of the input, pixels; ``None`` where any goes."""
        height, width = self.input.shape[2:] if self.layout == "NCHW" else self.input.shape[1:3]
        return height, width

    @property
    def mode(self) -> str:
        """The mode images are converted to."""
        return self.preprocess.mode or {1: "L", 3: "RGB", 4: "RGBA"}[self.channels]

    def output_types(self) -> dict[str, pa.DataType]:
        """Give the columns that running it adds."""
        if self.top_k is None:
            return {column: _column_type(port) for port, column in self.outputs}
        label = pa.int64() if self.labels is None else pa.large_string()
        score = pa.from_numpy_dtype(np.dtype(self.outputs[0][0].dtype))
        if self.top_k == 1:
            return {self.label_column: label, self.score_column: score}
        return {self.label_column: pa.large_list(label), self.score_column: pa.large_list(score)}


def _column_type(port: Port) -> pa.DataType:
    if None in port.shape[1:]:
        return TensorType(port.dtype)
    shape = tuple(length or 0 for length in port.shape[1:])
    return fixed_tensor_type(port.dtype, shape) if shape else pa.from_numpy_dtype(np.dtype(port.dtype))


class Graph(NamedTuple):
    """What a model file says of itself."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str]


def describe_model(path: str | os.PathLike[str], **options: Any) -> Model:
    """Find out how to run a model on images; what cannot be told must be given.

    Parameters
    ----------
    path : path of a .onnx file
    options : outputs, batch_rows, device, labels, top_k, preprocess
        As :meth:`lightdata.Dataset.infer` takes them.

    Raises
    ------
    ModelError
        If the file is missing or broken, or is no model of one image input.
    ArgumentError
        If an option has a value that cannot work.
    """
    file = os.path.abspath(os.fspath(path))
    if not os.path.isfile(file):
        raise ModelError(f"there is no model at {os.fspath(path)!r}")
    graph = read_graph(file, os.stat(file).st_mtime_ns)
    port, layout = _image_input(graph)
    channels = port.shape[1 if layout == "NCHW" else 3] or 3
    model = Model(
        path=file,
        input=port,
        layout=layout,
        outputs=tuple((output, output.name) for output in graph.outputs),
        preprocess=choose_preprocess(options.get("preprocess"), graph.metadata, port.dtype, channels),
    )
    return _with_options(model, graph, options)


def _with_options(model: Model, graph: Graph, options: Mapping[str, Any]) -> Model:
    device, batch_rows, top_k = (
        options.get("device", "auto"),
        options.get("batch_rows"),
        options.get("top_k"),
    )
    check_device(device)
    if batch_rows is not None and (not isinstance(batch_rows, int) or batch_rows < 1):
        raise ArgumentError(f"batch_size must be a positive number of rows; got {batch_rows!r}")
    if top_k is None and options.get("labels") is not None:
        top_k = 1
    labels = read_labels(options.get("labels"), model.path, graph.metadata) if top_k else None
    kept, extra = _chosen_outputs(graph, options.get("outputs"), bool(top_k))
    model = replace(
        model,
        device=device,
        batch_rows=model.input.shape[0] or batch_rows,
        labels=labels,
        top_k=top_k,
        outputs=kept,
        **extra,
    )
    if top_k is not None:
        _check_top_k(model)
    return model


@lru_cache(maxsize=64)
def read_graph(path: str, modified_ns: int) -> Graph:  # noqa: ARG001 - a changed file is another graph
    """Read the inputs, outputs and metadata of a model file."""
    import onnxruntime as ort  # noqa: PLC0415 - half a second, only for those who infer

    try:
        session = ort.InferenceSession(path, session_options(optimize=False), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"{path} is not a model that ONNX Runtime can load: {error}") from error
    ports = ([_port(node) for node in nodes] for nodes in (session.get_inputs(), session.get_outputs()))
    inputs, outputs = map(tuple, ports)
    return Graph(inputs, outputs, dict(session.get_modelmeta().custom_metadata_map))


def _port(node: Any) -> Port:
    shape = tuple(length if isinstance(length, int) and length > 0 else None for length in node.shape)
    return Port(node.name, _DTYPES.get(node.type, node.type), shape)


def _image_input(graph: Graph) -> tuple[Port, str]:
    found = ", ".join(f"{port.name}: {port.dtype} {list(port.shape)}" for port in graph.inputs)
    if len(graph.inputs) != 1 or len(graph.inputs[0].shape) != 4:  # noqa: PLR2004 - rows, channels, height, width
        raise ModelError(f"the model must have one input of images [N, C, H, W] or [N, H, W, C]; it has {found}")
    port = graph.inputs[0]
    if port.dtype not in ("float32", "float16", "uint8"):
        raise ModelError(f"the model's input must be float32, float16 or uint8; it has {found}")
    first, last = port.shape[1] in (1, 3, 4), port.shape[3] in (1, 3, 4)
    if first == last:
        raise ModelError(f"cannot tell where the channels are in the model's input {found}")
    return port, "NCHW" if first else "NHWC"


def _chosen_outputs(graph: Graph, outputs: Any, ranked: bool) -> tuple[tuple[tuple[Port, str], ...], dict[str, Any]]:
    names = {port.name: port for port in graph.outputs}
    chosen = dict.fromkeys(names) if outputs is None else _output_names(outputs)
    extra: dict[str, Any] = {
        f"{key}_column": chosen.pop(key) or key for key in ("label", "score") if ranked and key in chosen
    }
    if unknown := chosen.keys() - names.keys():
        raise ModelError(f"the model has no output {', '.join(sorted(unknown))}; it has {', '.join(names)}")
    chosen = chosen or dict.fromkeys(names)
    kept = tuple((names[name], column or name) for name, column in chosen.items())
    _check_columns(kept)
    return kept, extra


def _check_columns(kept: Sequence[tuple[Port, str]]) -> None:
    columns = [column for _, column in kept]
    if twice := [column for number, column in enumerate(columns) if column in columns[:number]]:
        raise ArgumentError(f"outputs: two outputs cannot both become column {twice[0]!r}")
    for port, _ in kept:
        if port.dtype not in _DTYPES.values():
            raise ModelError(f"the model's output {port.name!r} is {port.dtype}; choose others with outputs=")


def _output_names(outputs: Any) -> dict[str, str | None]:
    match outputs:
        case str():
            return {outputs: None}
        case Mapping():
            return dict(outputs)
        case Sequence():
            return dict.fromkeys(outputs)
    raise ArgumentError(f"outputs takes a name, names, or a mapping of output to column; got {outputs!r}")


def _check_top_k(model: Model) -> None:
    port = model.outputs[0][0]
    classes = None if None in port.shape[1:] else math.prod(length or 1 for length in port.shape[1:])
    if not isinstance(model.top_k, int) or model.top_k < 1 or (classes and model.top_k > classes):
        raise ArgumentError(f"top_k must be from 1 to the number of classes ({classes}); got {model.top_k!r}")
    if len(model.outputs) > 1:
        names = ", ".join(port.name for port, _ in model.outputs)
        raise ArgumentError(f"top_k ranks one output; choose one of {names} with outputs=")
    if model.labels is not None and classes is not None and len(model.labels) != classes:
        raise ModelError(f"there are {len(model.labels)} labels for an output of {classes} classes")


def read_labels(labels: Any, model_path: str, metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Find the class names.

    Given as a list or a text file with a line each, else from the model's metadata, else from config.json beside it.

    Raises
    ------
    ModelError
        If the file is missing.
    """
    if isinstance(labels, str | os.PathLike):
        try:
            return tuple(Path(labels).read_text(encoding="utf-8").splitlines())
        except OSError as error:
            raise ModelError(f"labels: {error}") from error
    if labels is not None:
        return tuple(str(label) for label in labels)
    if "labels" in metadata:
        return _parsed_labels("the model's metadata", metadata["labels"])
    beside = Path(model_path).with_name("config.json")
    return _parsed_labels(str(beside), beside.read_text(encoding="utf-8")) if beside.is_file() else None


def _parsed_labels(place: str, text: str) -> tuple[str, ...] | None:
    """Read a JSON list of labels, or a mapping with ``id2label``; ``None`` where it tells of none."""
    try:
        found = json.loads(text)
        if isinstance(found, Mapping):
            names = found.get("id2label", {})
            found = [names[key] for key in sorted(names, key=int)]
        return tuple(str(label) for label in found) or None
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"the labels in {place} cannot be read: {error}; pass labels=") from error
