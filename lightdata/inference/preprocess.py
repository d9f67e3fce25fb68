"""How pixels become a model's input: what the user says, what the model says, what is usual."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from lightdata.errors import ArgumentError, ModelError
from lightdata.inference.labels import is_of_ultralytics
from lightdata.types.image_spec import MODES

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Per channel, on the 0..1 scale; what torchvision's classifiers were trained with."""


class Statements(NamedTuple):
    """What a model and the files beside it say of how pixels are prepared, the strongest word first."""

    metadata: Mapping[str, str]
    processor: Mapping[str, Any]
    """preprocessor_config.json, as transformers writes it."""

    config: Mapping[str, Any]
    """config.json; timm keeps mean and std there."""

    is_classifier: bool = True
    """What most take where none of them says anything: classifiers ImageNet's mean and std, detectors neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocess:
    """How pixels become what a model was trained on: ``(value * scale - mean) / std``."""

    mean: tuple[float, ...] | None = None
    """Per channel, on the scaled values."""

    std: tuple[float, ...] | None = None
    scale: float | None = 1 / 255
    mode: str | None = None
    """The mode images are converted to; by default what the model's channels say."""


def choose_preprocess(given: Any, stated: Statements, dtype: str, channels: int) -> Preprocess:
    """Choose how to prepare pixels: as given, else as the model or a file beside it says, else as is usual.

    Raises
    ------
    ArgumentError
        If what is given does not fit the model.
    ModelError
        If what the model says of itself does not.
    """
    match given:
        case Preprocess():
            return _checked(given, dtype, channels)
        case Mapping():
            return _checked(_from_mapping(given, dtype), dtype, channels)
        case None if dtype == "uint8":
            return Preprocess(scale=None)
        case None:
            return _stated(stated, dtype, channels) or _usual(stated, channels)
    raise ArgumentError(f"preprocess takes a mapping with mean, std, scale and mode; got {given!r}")


def _stated(stated: Statements, dtype: str, channels: int) -> Preprocess | None:
    for place, found in (
        ("the model's metadata", _from_metadata),
        ("the model's metadata", _from_ultralytics),
        ("preprocessor_config.json", _from_processor),
        ("config.json", _from_timm),
    ):
        try:
            how = found(stated)
            if how is not None:
                return _checked(how, dtype, channels)
        except (ValueError, TypeError) as error:
            raise ModelError(
                f"mean and std in {place} cannot be used: {error}; pass preprocess={{'mean': ..., 'std': ...}}"
            ) from error
    return None


def _usual(stated: Statements, channels: int) -> Preprocess:
    if channels != 3:  # noqa: PLR2004 - RGB
        return Preprocess()
    how = Preprocess(mean=IMAGENET_MEAN, std=IMAGENET_STD) if stated.is_classifier else Preprocess()
    taken = "ImageNet's mean and std" if stated.is_classifier else "values from 0 to 1"
    warnings.warn(
        f"the model does not say how its input was normalised; using {taken}. "
        "Pass preprocess={'mean': ..., 'std': ...} to choose, or preprocess={} for values from 0 to 1",
        stacklevel=_frames_of_ours(),
    )
    return how


def _frames_of_ours() -> int:
    """Count the frames up to the line that called this library, from the caller on."""
    frame, count = sys._getframe(1), 1  # noqa: SLF001 - inspect.stack reads the source of every frame
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("lightdata."):
        frame, count = frame.f_back, count + 1
    return count


def _from_mapping(given: Mapping[str, Any], dtype: str) -> Preprocess:
    if unknown := given.keys() - {"mean", "std", "scale", "mode"}:
        raise ArgumentError(f"preprocess has no {', '.join(sorted(unknown))}; it has mean, std, scale and mode")
    default = Preprocess(scale=None) if dtype == "uint8" else Preprocess()
    return replace(default, **given)


def _from_metadata(stated: Statements) -> Preprocess | None:
    metadata = stated.metadata
    if "mean" not in metadata or "std" not in metadata:
        return None
    return Preprocess(mean=json.loads(metadata["mean"]), std=json.loads(metadata["std"]))


def _from_ultralytics(stated: Statements) -> Preprocess | None:
    """Their models take values from 0 to 1."""
    return Preprocess() if is_of_ultralytics(stated.metadata) else None


def _from_processor(stated: Statements) -> Preprocess | None:
    """Read what an image processor of transformers does after resizing."""
    found = stated.processor
    if not found.keys() & {"do_normalize", "image_mean", "do_rescale", "rescale_factor"}:
        return None
    scale = found.get("rescale_factor", 1 / 255) if found.get("do_rescale", True) else None
    if not found.get("do_normalize", "image_mean" in found):
        return Preprocess(scale=scale)
    return Preprocess(mean=found.get("image_mean"), std=found.get("image_std"), scale=scale)


def _from_timm(stated: Statements) -> Preprocess | None:
    found = stated.config.get("pretrained_cfg", stated.config)
    if not isinstance(found, Mapping) or "mean" not in found or "std" not in found:
        return None
    return Preprocess(mean=found["mean"], std=found["std"])


def _checked(how: Preprocess, dtype: str, channels: int) -> Preprocess:
    if dtype == "uint8" and (how.mean, how.std, how.scale) != (None, None, None):
        raise ArgumentError("preprocess: the model takes uint8 values as they are; mean, std and scale have no meaning")
    if how.scale is not None and not isinstance(how.scale, int | float):
        raise ArgumentError(f"preprocess: scale must be a number; got {how.scale!r}")
    if how.mode is not None and (how.mode not in MODES or MODES[how.mode][1] != channels):
        fitting = ", ".join(mode for mode, (_, count) in MODES.items() if count == channels)
        raise ArgumentError(f"preprocess: mode must be one of {channels} channels ({fitting}); got {how.mode!r}")
    mean, std = _numbers("mean", how.mean, channels), _numbers("std", how.std, channels)
    if std is not None and 0.0 in std:
        raise ArgumentError(f"preprocess: std must not be zero; got {how.std!r}")
    return replace(how, mean=mean, std=std)


def _numbers(name: str, values: Any, channels: int) -> tuple[float, ...] | None:
    if values is None:
        return None
    try:
        numbers = tuple(map(float, values))
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != channels:
        raise ArgumentError(f"preprocess: {name} must have {channels} numbers, one for each channel; got {values!r}")
    return numbers
