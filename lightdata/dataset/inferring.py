"""Models over columns of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack

from lightdata.dataset.function_arguments import checked_on_error
from lightdata.dataset.verbs import Verbs
from lightdata.errors import ArgumentError
from lightdata.plan.node import Infer

if TYPE_CHECKING:
    import os
    from typing import Self

    from lightdata.inference.model import Model
    from lightdata.inference.options import DetectorOptions, ModelOptions, Postprocess, RunOptions
    from lightdata.io.source import OnError


class Inferring(Verbs):
    """Adds what models say of images."""

    def infer(
        self,
        model: str | os.PathLike[str] | bytes | Model,
        column: str | Mapping[str, str] = "image",
        *,
        on_error: OnError | None = None,
        **options: Unpack[ModelOptions],
    ) -> Self:
        """Run an ONNX model on a column of images and add its outputs.

        Images are converted to the model's channels and normalised; they must have its size already. Models are
        code: run only those you trust. Arguments beside the first two and ``on_error`` are those of
        :meth:`lightdata.Model.of`, which gives a model that can be looked at and used several times.

        Parameters
        ----------
        model : path, folder, bytes or Model
            A .onnx file; a folder with one, as Hugging Face's optimum writes it, whose preprocessor_config.json and
            config.json say how pixels are normalised and what classes are called; the bytes of one; or an
            :class:`lightdata.Model`, which has its options already.
        column : str or mapping
            Images, or uint8 pixels; for a model of several inputs, the column of each.
        outputs : str, sequence or mapping, optional
            The outputs to keep, or a mapping to the names of their columns; by default all, under their own names.
        labels : path or sequence, optional
            Class names: a text file with a line each, or a list. By default those of the model's metadata or of the
            config.json beside it.
        top_k : int, optional
            Add ``label`` and ``score`` of the highest values instead of the output itself: single values for 1,
            lists for more. ``labels`` alone means 1.
        preprocess : mapping, optional
            ``mean`` and ``std`` per channel on the 0..1 scale, ``scale`` (1/255), ``mode``. By default what the model's
            metadata say, else preprocessor_config.json, else timm's config.json, else ImageNet's with a warning.
        postprocess : "softmax", "sigmoid", "l2", callable, or a mapping of output to one of them
            What is made of an output first: probabilities, vectors of length one, or what a function gives for
            ``[N, ...]``; it is called once with zeros to learn its type.
        layout : "NCHW" or "NHWC", optional
            Where the channels are, where the model does not tell.
        batch_size : int or "auto", optional
            Rows of one call of the model, by default what suits the device; "auto" measures it. Does not change
            results, but for rounding.
        device : "auto", "cpu", "cuda" or "cuda:N"
            "cuda" never runs on the CPU, and takes all GPUs, a process for each; "auto" takes CUDA where it works,
            and logs which it took.
        precision : "fp32", "tf32" or "fp16"
            Of computations on a GPU, where tf32 is the default; "fp16" halves the weights on every device.
        providers : sequence, optional
            Execution providers of ONNX Runtime, with options, in place of ``device``.
        sha256 : str or mapping of file name to str, optional
            What the model's file must hash to, or each of its files.
        on_error : "raise", "null" or "skip"
            What becomes of an image that cannot be decoded, or has another size than the model takes: see :meth:`map`.
            The model never gets it. By default as configured.

        Raises
        ------
        ModelError
            If the model cannot be used, or an image column has another size than it takes.
        ArgumentError
            If an argument has a value that cannot work.

        Examples
        --------
        >>> import lightdata as ld
        >>> import numpy as np
        >>> ds = ld.from_numpy({"image": np.zeros((2, 64, 64, 3), np.uint8)})
        >>> ds.infer("examples/shapes.onnx", top_k=2, postprocess="softmax").columns
        ['image', 'label', 'score']
        """
        described = _described(model, options)
        lenient = checked_on_error("infer", on_error, described.output_types())
        columns = _columns(described, column)
        return type(self)(Infer(input=self._plan, columns=columns, model=described, on_error=lenient))

    def classify(
        self,
        model: str | os.PathLike[str] | bytes,
        column: str | Mapping[str, str] = "image",
        *,
        on_error: OnError | None = None,
        **options: Unpack[ModelOptions],
    ) -> Self:
        """Add the best class of each image, as ``label``, and its probability, as ``score``.

        :meth:`infer` with ``top_k=1`` and ``postprocess="softmax"``, which may be given otherwise.

        >>> import lightdata as ld
        >>> import numpy as np
        >>> ds = ld.from_numpy({"image": np.full((1, 64, 64, 3), 90, np.uint8)})
        >>> [row["score"] <= 1 for row in ds.classify("examples/shapes.onnx").take_all()]
        [True]
        """
        ranked: ModelOptions = {"top_k": 1, "postprocess": "softmax", **options}
        return self.infer(model, column, on_error=on_error, **ranked)

    def embed(
        self,
        model: str | os.PathLike[str] | bytes,
        column: str | Mapping[str, str] = "image",
        *,
        output: str | None = None,
        name: str = "embedding",
        postprocess: Postprocess = "l2",
        on_error: OnError | None = None,
        **options: Unpack[RunOptions],
    ) -> Self:
        """Add a vector of length one for each image, so that products of two are cosine similarities.

        :meth:`infer` with one output, named ``name``, and ``postprocess="l2"``, which may be given otherwise.

        >>> import lightdata as ld
        >>> import numpy as np
        >>> ds = ld.from_numpy({"image": np.full((1, 64, 64, 3), 90, np.uint8)})
        >>> ds.embed("examples/shapes.onnx").schema()["embedding"]
        FixedShapeTensorType(extension<arrow.fixed_shape_tensor[value_type=float, shape=[8]]>)
        """
        from lightdata.inference.describe import embedding_output  # noqa: PLC0415 - only for queries with a model

        chosen = embedding_output(model, output, options)
        return self.infer(model, column, outputs={chosen: name}, postprocess=postprocess, on_error=on_error, **options)

    def detect(
        self,
        model: str | os.PathLike[str] | bytes,
        column: str = "image",
        *,
        name: str = "detections",
        fit: Literal["letterbox", "stretch"] | None = "letterbox",
        score_threshold: float = 0.25,
        iou_threshold: float | Literal["auto"] | None = "auto",
        max_detections: int = 100,
        on_error: OnError | None = None,
        **options: Unpack[DetectorOptions],
    ) -> Self:
        """Add a list of the objects that an ONNX model finds in each image, the best first.

        Each is a struct of ``label``, ``score`` and the corners ``xmin``, ``ymin``, ``xmax``, ``ymax`` of its box, as
        float32 in pixels of the image as the column holds it, whatever the model saw of it. Boxes are cut off at the
        image's edges, and left out where nothing of them is inside. An image without objects has an empty list, a null
        image has null.

        What the model's outputs mean is found out from their names and shapes: boxes [N, M, 4] with scores [N, M] or
        [N, M, C], classes [N, M] and counts [N]; rows [N, M, 6] of a box, its score and its class, as YOLOs that
        suppress by themselves give; what else YOLOs give, [N, 4 + C, M] or [N, M, 5 + C]; ``logits`` and ``pred_boxes``
        of DETR and its kin. What is not certain is asked for.

        Parameters
        ----------
        model : path, folder or bytes
            As for :meth:`infer`; it has one input, of images.
        column : str
            Images of any size, or uint8 pixels. The column stays as it is.
        name : str
            The column to add.
        fit : "letterbox", "stretch" or None
            How images are brought to the model's size: to fit inside of it, as ``.image.letterbox`` does it, or to fill
            it. ``None`` gives them to the model as they are.
        score_threshold : float
            Objects of a lower score are left out.
        iou_threshold : float, "auto" or None
            Of two boxes of one class whose intersection over their union is above it, the worse is left out. ``None``
            lets both stay; "auto" is 0.45 for models that give many boxes for one object, and None for others.
        max_detections : int
            Objects of one image, at most.
        on_error : "raise", "null" or "skip"
            What becomes of an image that cannot be decoded: see :meth:`map`. By default as configured.
        labels : path or sequence, optional
            Class names: a text file with a line each, or a list. By default those of the model's metadata or of the
            config.json beside it; without any, ``label`` is a number.
        boxes, scores, classes, counts : str, optional
            The outputs that hold them.
        box_format : "xyxy", "xywh", "cxcywh" or "yxyx", optional
            What the four values of a box are: corners, a corner and the size, the centre and the size.
        normalized : bool, optional
            Whether boxes go from 0 to 1 over the model's input, and not in its pixels.
        postprocess : "softmax" or "sigmoid", optional
            What makes scores of logits [N, M, C]; with "softmax" the last class is that of no object.
        size : (height, width), optional
            What images are fitted to, where the model takes any size.
        fill : int
            The grey around letterboxed images: 114.
        preprocess, layout, batch_size, device, precision, providers, sha256
            As for :meth:`infer`; where nobody says how pixels are prepared, values go from 0 to 1, with a warning.

        Raises
        ------
        ModelError
            If the model cannot be used, or does not say what must be known.
        ArgumentError
            If an argument has a value that cannot work.

        Examples
        --------
        >>> import lightdata as ld
        >>> import numpy as np
        >>> pixels = np.zeros((1, 90, 120, 3), np.uint8)
        >>> pixels[0, 30:60, 40:80] = 255
        >>> found = ld.from_numpy({"image": pixels}).detect("examples/bright.onnx").take_all()[0]["detections"]
        >>> [round(found[0][side]) for side in ("xmin", "ymin", "xmax", "ymax")]
        [40, 30, 80, 60]
        """
        from lightdata.inference.describe_detector import Wanted, describe_detector  # noqa: PLC0415 - only for queries with a model

        wanted = Wanted(name, fit, score_threshold, iou_threshold, max_detections)
        described = describe_detector(model, wanted, **options)
        lenient = checked_on_error("detect", on_error, described.output_types())
        return type(self)(Infer(input=self._plan, columns=(column,), model=described, on_error=lenient))


def _described(model: Any, options: ModelOptions) -> Model:
    from lightdata.inference.model import Model  # noqa: PLC0415 - only for queries with a model
    from lightdata.inference.options import ModelOptions, checked_options  # noqa: PLC0415 - as above

    if not isinstance(model, Model):
        return Model.of(model, **options)
    if given := checked_options(options, ModelOptions):
        raise ArgumentError(f"an ld.Model has its options already: pass {next(iter(given))}= to ld.Model.of")
    return model


def _columns(model: Model, column: str | Mapping[str, str]) -> tuple[str, ...]:
    names = [one.port.name for one in model.inputs]
    if isinstance(column, str) and len(names) == 1:
        return (column,)
    if not isinstance(column, Mapping) or column.keys() != set(names):
        wanted = ", ".join(f"{one.port.name!r}: column" for one in model.inputs)
        told = "; ".join(str(one.port) for one in model.inputs)
        raise ArgumentError(f"say which column each input gets, as {{{wanted}}}; the model takes {told}")
    return tuple(column[name] for name in names)
