"""What a model's graph says of itself: inputs, outputs, metadata."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from lightdata.errors import ModelError
from lightdata.inference.device import session_options
from lightdata.inference.model_file import ModelFile

DTYPES = {
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

    axes: tuple[str, ...] = ()
    """What the model calls each axis; empty text where it has a length or no name."""

    def __str__(self) -> str:
        lengths = [name or length or "?" for name, length in zip(self.axes or self.shape, self.shape, strict=True)]
        return f"{self.name}: {self.dtype} [{', '.join(map(str, lengths))}]"


class Graph(NamedTuple):
    """What a model file says of itself."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: Mapping[str, str]


def read_graph(file: ModelFile) -> Graph:
    """Read the inputs, outputs and metadata of a model.

    Raises
    ------
    ModelError
        If it is not a model that may be opened, or that can be.
    """
    file.checked()
    return _read_graph(file, 0 if file.content is not None else os.stat(file.path).st_mtime_ns)


@lru_cache(maxsize=64)
def _read_graph(file: ModelFile, modified_ns: int) -> Graph:  # noqa: ARG001 - a changed file is another graph
    import onnxruntime as ort  # noqa: PLC0415 - half a second, only for those who infer

    try:
        session = ort.InferenceSession(
            file.path or file.content, session_options(optimize=False), providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ModelError(f"{file.path or file.name} is not a model that ONNX Runtime can load: {error}") from error
    ports = ([_port(node) for node in nodes] for nodes in (session.get_inputs(), session.get_outputs()))
    inputs, outputs = map(tuple, ports)
    return Graph(inputs, outputs, dict(session.get_modelmeta().custom_metadata_map))


def _port(node: Any) -> Port:
    shape = tuple(length if isinstance(length, int) and length > 0 else None for length in node.shape)
    axes = tuple(length if isinstance(length, str) else "" for length in node.shape)
    return Port(node.name, DTYPES.get(node.type, node.type), shape, axes)
