"""Open a model where it runs."""

from __future__ import annotations

from typing import Any

from lightdata.errors import DeviceError
from lightdata.inference.device import resolve_device, session_options
from lightdata.inference.model import Model


def open_session(model: Model) -> Any:
    """Open an ONNX Runtime session on the device the model asks for.

    Raises
    ------
    DeviceError
        If the session would run elsewhere than it was asked to.
    """
    import onnxruntime as ort  # noqa: PLC0415 - half a second, only for those who infer

    device = resolve_device(model.device)
    if device == "cpu":
        return ort.InferenceSession(model.path, session_options(), providers=["CPUExecutionProvider"])
    index = int(device.partition(":")[2] or 0)
    cuda = ("CUDAExecutionProvider", {"device_id": index, "arena_extend_strategy": "kSameAsRequested"})
    ort.preload_dlls()
    session = ort.InferenceSession(model.path, session_options(), providers=[cuda, "CPUExecutionProvider"])
    if session.get_providers()[0] != "CUDAExecutionProvider":
        raise DeviceError(
            f"ONNX Runtime refused CUDA and would run {model.path} on the CPU; use device='cpu' to accept that"
        )
    return session
