"""Find out how to run a model: what the file says, what lies beside it, what is given; all of it checked."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack, get_args

from lightdata.errors import ArgumentError, ModelError
from lightdata.inference.device import check_device, checked_providers
from lightdata.inference.graph import DTYPES, Graph, Port, read_graph
from lightdata.inference.labels import read_labels
from lightdata.inference.model import ImageInput, Model, Output, ValueInput
from lightdata.inference.model_file import ModelFile, find_model, read_json
from lightdata.inference.options import Layout, ModelOptions, Precision, RunOptions, checked_options
from lightdata.inference.postprocess import chosen_postprocess, port_after
from lightdata.inference.preprocess import Statements, choose_preprocess
from lightdata.inference.rewrite import check_halves

_CHANNELS = (1, 3, 4)
_CHANNEL_NAME = re.compile(r"c|.*chan.*", re.IGNORECASE)
_IMAGE_DTYPES = ("float32", "float16", "uint8")


def describe_model(source: Any, *, is_classifier: bool = True, **chosen: Unpack[ModelOptions]) -> Model:
    """Find out how to run a model on images; the arguments are those of :meth:`Model.of`.

    ``is_classifier`` decides how pixels are prepared where nobody says it.
    """
    options = checked_options(chosen, ModelOptions)
    _check_run(options)
    file = find_model(source, options.get("sha256"))
    graph = read_graph(file)
    top_k = options.get("top_k")
    if top_k is None and options.get("labels") is not None:
        top_k = 1
    config = {} if options.get("preprocess") is not None else _beside(file)
    stated = Statements(
        graph.metadata, config.get("preprocessor_config.json", {}), config.get("config.json", {}), is_classifier
    )
    kept, extra = _chosen_outputs(graph, options, bool(top_k))
    inputs = _inputs(graph, stated, options)
    model = Model(
        file=file,
        inputs=inputs,
        outputs=kept,
        labels=read_labels(options.get("labels"), file, graph.metadata) if top_k else None,
        top_k=top_k,
        device=options.get("device", "auto"),
        precision=options.get("precision", "tf32"),
        providers=checked_providers(options.get("providers")),
        batch_rows=options.get("batch_size"),
        label_column=extra.get("label", "label"),
        score_column=extra.get("score", "score"),
    )
    _check_top_k(model)
    return model if model.fixed_rows is None else replace(model, batch_rows=model.fixed_rows)


def embedding_output(source: Any, output: str | None, options: RunOptions) -> str:
    """Choose the output that gives a vector for each image, where nobody said which.

    Raises
    ------
    ModelError
        If there is none, or several.
    ArgumentError
        If there is an option that has no meaning for embeddings.
    """
    checked_options(options, RunOptions, step="embed")
    if output is not None:
        return output
    without_warning: RunOptions = {**options, "preprocess": {}}
    outputs = describe_model(source, **without_warning).outputs
    vectors = [one for one in outputs if len(one.port.shape) == 2] if len(outputs) > 1 else outputs  # noqa: PLR2004
    if len(vectors) != 1:
        told = "; ".join(str(one.port) for one in outputs)
        raise ModelError(f"cannot tell which output is the embedding: pass output= with one of {told}")
    return vectors[0].name


def _beside(file: ModelFile) -> dict[str, Any]:
    """Read the files beside a model that may say how pixels are prepared; one that is not JSON says nothing."""
    found = {}
    for name in ("preprocessor_config.json", "config.json"):
        try:
            found[name] = read_json(file, name)
        except ModelError:
            if name == "preprocessor_config.json":
                raise
    return found


def _check_run(options: Mapping[str, Any]) -> None:
    check_device(options.get("device", "auto"))
    rows, precision, layout = options.get("batch_size"), options.get("precision", "tf32"), options.get("layout")
    if rows not in (None, "auto") and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 1):
        raise ArgumentError(f"batch_size must be a positive number of rows, or 'auto'; got {rows!r}")
    if precision not in get_args(Precision):
        raise ArgumentError(f"precision must be one of {', '.join(map(repr, get_args(Precision)))}; got {precision!r}")
    if precision == "fp16":
        check_halves()
    if layout is not None and layout not in get_args(Layout):
        raise ArgumentError(f"layout must be 'NCHW' or 'NHWC'; got {layout!r}")


def _inputs(graph: Graph, stated: Statements, options: Mapping[str, Any]) -> tuple[ImageInput | ValueInput, ...]:
    found = tuple(_input(port, graph, stated, options) for port in graph.inputs)
    if not any(isinstance(one, ImageInput) for one in found):
        told = "; ".join(map(str, graph.inputs))
        raise ModelError(f"the model must have an input of images [N, C, H, W] or [N, H, W, C]; it has {told}")
    return found


def _input(port: Port, graph: Graph, stated: Statements, options: Mapping[str, Any]) -> ImageInput | ValueInput:
    is_alone = len(graph.inputs) == 1
    if len(port.shape) != 4:  # noqa: PLR2004 - rows, channels, height, width
        if port.dtype not in DTYPES.values() or not port.shape:
            raise ModelError(f"nothing can be given to the model's input {port}: it must have rows of numbers")
        return ValueInput(port=port)
    layout = options.get("layout") or _layout(port)
    if layout is None and not is_alone:
        return ValueInput(port=port)
    if layout is None:
        raise ModelError(
            f"cannot tell where the channels are in the model's input {port}: pass layout='NCHW' "
            f"({port.shape[1] or 'any'} channels of {_size(port.shape[2:])}) or layout='NHWC' "
            f"({port.shape[3] or 'any'} channels of {_size(port.shape[1:3])})"
        )
    if port.dtype not in _IMAGE_DTYPES:
        raise ModelError(f"an input of images must be float32, float16 or uint8; the model has {port}")
    channels = _channels(port, layout, stated, options)
    how = choose_preprocess(options.get("preprocess"), stated, port.dtype, channels)
    return ImageInput(port=port, layout=layout, channels=channels, preprocess=how)


def _size(lengths: Sequence[int | None]) -> str:
    return "x".join(str(length or "any") for length in lengths)


def _layout(port: Port) -> Layout | None:
    """Tell where the channels are: by their number, else by what the model calls the axis."""
    first, last = (port.shape[axis] in _CHANNELS for axis in (1, 3))
    if not first and not last and None in (port.shape[1], port.shape[3]) and port.axes:
        first, last = (bool(_CHANNEL_NAME.fullmatch(port.axes[axis])) for axis in (1, 3))
    if first == last:
        return None
    return "NCHW" if first else "NHWC"


def _channels(port: Port, layout: Layout, stated: Statements, options: Mapping[str, Any]) -> int:
    found = port.shape[1 if layout == "NCHW" else 3]
    if found is not None:
        if found not in _CHANNELS:
            raise ModelError(f"images have 1, 3 or 4 channels, and the model's input {port} as {layout} takes {found}")
        return found
    given = options.get("preprocess")
    mean = given.get("mean") if isinstance(given, Mapping) else getattr(given, "mean", None)
    for known in (mean, stated.processor.get("image_mean")):
        if isinstance(known, Sequence) and len(known) in _CHANNELS:
            return len(known)
    told = stated.config.get("num_channels")
    return told if told in _CHANNELS else 3


def _chosen_outputs(
    graph: Graph, options: Mapping[str, Any], ranked: bool
) -> tuple[tuple[Output, ...], dict[str, str]]:
    names = {port.name: port for port in graph.outputs}
    given = options.get("outputs")
    chosen = dict.fromkeys(names) if given is None else _output_names(given)
    extra = {key: chosen.pop(key) or key for key in ("label", "score") if ranked and key in chosen and key not in names}
    if unknown := chosen.keys() - names.keys():
        raise ModelError(f"the model has no output {', '.join(sorted(unknown))}; it has {', '.join(names)}")
    chosen = chosen or dict.fromkeys(names)
    for name in chosen:
        if names[name].dtype not in DTYPES.values() or not names[name].shape:
            raise ModelError(f"the model's output {names[name]} is no column of numbers; choose others with outputs=")
    how = chosen_postprocess(options.get("postprocess"), [*chosen])
    kept = tuple(
        Output(name, column or name, port_after(names[name], how.get(name)), how.get(name))
        for name, column in chosen.items()
    )
    columns = [output.column for output in kept]
    if twice := [column for number, column in enumerate(columns) if column in columns[:number]]:
        raise ArgumentError(f"outputs: two outputs cannot both become column {twice[0]!r}")
    return kept, extra


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
    if model.top_k is None:
        return
    port = model.outputs[0].port
    classes = None if None in port.shape[1:] else math.prod(length or 1 for length in port.shape[1:])
    if (
        isinstance(model.top_k, bool)
        or not isinstance(model.top_k, int)
        or model.top_k < 1
        or (classes and model.top_k > classes)
    ):
        raise ArgumentError(f"top_k must be from 1 to the number of classes ({classes}); got {model.top_k!r}")
    if len(model.outputs) > 1:
        names = ", ".join(output.name for output in model.outputs)
        raise ArgumentError(f"top_k ranks one output; choose one of {names} with outputs=")
    if model.labels is not None and classes is not None and len(model.labels) != classes:
        raise ModelError(f"there are {len(model.labels)} labels for an output of {classes} classes")
