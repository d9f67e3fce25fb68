"""What is known of an ONNX model before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Unpack

import numpy as np
import pyarrow as pa

from lightdata.inference.detection import Detection, detections_type
from lightdata.inference.device import Providers
from lightdata.inference.options import Layout, ModelOptions, Postprocess, Precision
from lightdata.inference.preprocess import Preprocess
from lightdata.types.operation import Letterbox, Resize
from lightdata.types.tensor import TensorType, fixed_tensor_type

if TYPE_CHECKING:
    import os

    from lightdata.inference.graph import Port
    from lightdata.inference.model_file import ModelFile

CPU_ROWS, GPU_ROWS = 8, 32


Fit = Letterbox | Resize
"""How an image of any size is brought to that of an input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInput:
    """An input that takes images."""

    port: Port
    layout: Layout
    channels: int
    preprocess: Preprocess
    fit: Fit | None = None
    """``None`` where images have its size already."""

    @property
    def size(self) -> tuple[int | None, int | None]:
        """Height and width, pixels; ``None`` where any goes."""
        height, width = self.port.shape[2:] if self.layout == "NCHW" else self.port.shape[1:3]
        return height, width

    def fits(self, height: int, width: int) -> bool:
        """Whether images of this size, in pixels, can be given as they are."""
        wanted = self.size if self.fit is None else (self.fit.height, self.fit.width)
        return all(side in (None, found) for found, side in zip((height, width), wanted, strict=True))

    @property
    def mode(self) -> str:
        """The mode images are converted to."""
        return self.preprocess.mode or {1: "L", 3: "RGB", 4: "RGBA"}[self.channels]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueInput:
    """An input that takes numbers or tensors as they are."""

    port: Port


class Output(NamedTuple):
    """An output that is kept."""

    name: str
    """What the graph calls it."""

    column: str
    port: Port
    """What becomes of it: dtype and shape after postprocessing."""

    postprocess: Postprocess | None = None

    @property
    def dtype(self) -> pa.DataType:
        """The type of its column."""
        if None in self.port.shape[1:]:
            return TensorType(self.port.dtype)
        shape = tuple(length or 0 for length in self.port.shape[1:])
        return fixed_tensor_type(self.port.dtype, shape) if shape else pa.from_numpy_dtype(np.dtype(self.port.dtype))


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """An ONNX model and how it is run: a frozen description that travels to workers, made by :meth:`Model.of`.

    >>> import lightdata as ld
    >>> model = ld.Model.of("examples/shapes.onnx", top_k=2)
    >>> model
    Model(shapes.onnx, input image: float32 [N, 3, 64, 64] of RGB images, -> label, score)
    >>> model.labels[:2], model.inputs[0].size
    (('circle', 'square'), (64, 64))
    """

    file: ModelFile
    inputs: tuple[ImageInput | ValueInput, ...]
    outputs: tuple[Output, ...]
    labels: tuple[str, ...] | None = None
    top_k: int | None = None
    label_column: str = "label"
    score_column: str = "score"
    device: str = "auto"
    precision: Precision = "tf32"
    providers: Providers = ()
    """Execution providers of ONNX Runtime with their options, in place of ``device``."""

    detection: Detection | None = None
    """How outputs become a list of objects for each image, where they do."""

    batch_rows: int | Literal["auto"] | None = None
    """Rows of one session call; where the graph fixes them, that number. ``None`` is what suits the device."""

    @classmethod
    def of(cls, source: str | os.PathLike[str] | bytes, **options: Unpack[ModelOptions]) -> Model:
        """Find out how to run a model; what it does not say must be given. Arguments are those of ``Dataset.infer``.

        Raises
        ------
        ModelError
            If there is no model, it cannot be opened, or it does not say what must be known.
        ArgumentError
            If an argument has a value that cannot work.
        """
        from lightdata.inference.describe import describe_model  # noqa: PLC0415 - which makes what this class defines

        return describe_model(source, **options)

    def rows_of_call(self, *, on_gpu: bool) -> int:
        """Give the rows of one session call on a device, at most.

        A CPU is fastest where activations stay in its caches, which takes few rows: of 1, 4, 8, 16, 32 and 64 rows of
        224x224, 8 were the fastest for SqueezeNet, by 8 % over 32. A GPU is idle with few.
        """
        if isinstance(self.batch_rows, int):
            return self.batch_rows
        return GPU_ROWS if on_gpu else CPU_ROWS

    @property
    def verb(self) -> str:
        """What users call running it."""
        return "infer" if self.detection is None else "detect"

    @property
    def images(self) -> tuple[ImageInput, ...]:
        """The inputs that take images."""
        return tuple(one for one in self.inputs if isinstance(one, ImageInput))

    @property
    def fixed_rows(self) -> int | None:
        """The rows that the graph takes, where it takes no others."""
        return next((one.port.shape[0] for one in self.inputs if one.port.shape and one.port.shape[0]), None)

    def output_types(self) -> dict[str, pa.DataType]:
        """Give the columns that running it adds."""
        if self.detection is not None:
            return {self.detection.column: detections_type(self.labels)}
        if self.top_k is None:
            return {output.column: output.dtype for output in self.outputs}
        label = pa.int64() if self.labels is None else pa.large_string()
        score = pa.from_numpy_dtype(np.dtype(self.outputs[0].port.dtype))
        if self.top_k == 1:
            return {self.label_column: label, self.score_column: score}
        return {self.label_column: pa.large_list(label), self.score_column: pa.large_list(score)}

    def __repr__(self) -> str:
        inputs = ", ".join(
            f"input {one.port}" + (f" of {one.mode} images" if isinstance(one, ImageInput) else "")
            for one in self.inputs
        )
        return f"Model({self.file.name}, {inputs}, -> {', '.join(self.output_types())})"
