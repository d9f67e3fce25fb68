"""Which device a model runs on; CUDA only where it really works."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from functools import lru_cache
from typing import Any, Literal

from lightdata.errors import ArgumentError, DeviceError

Device = Literal["cpu", "cuda"]

_LOG = logging.getLogger("lightdata")


def check_device(device: str) -> None:
    """Refuse a device that has no meaning.

    Raises
    ------
    ArgumentError
        Unless it is "auto", "cpu", "cuda" or "cuda:N".
    """
    name, _, index = device.partition(":") if isinstance(device, str) else ("", "", "")
    if name not in ("auto", "cpu", "cuda") or (index and (name != "cuda" or not index.isdigit())):
        raise ArgumentError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N'; got {device!r}")


def resolve_device(device: str) -> str:
    """Choose where to run: "cpu", "cuda" or "cuda:N".

    "auto" takes CUDA where it works and says once which device it took.

    Raises
    ------
    DeviceError
        If CUDA was asked for and cannot be used; the message names what is missing.
    """
    check_device(device)
    if device == "cpu":
        return device
    missing = cuda_obstacle()
    if device != "auto":
        if missing:
            raise DeviceError(f"device={device!r} cannot be used: {missing}; use device='cpu' or 'auto'")
        return device
    return _announce("cpu" if missing else "cuda", missing)


@lru_cache(maxsize=1)
def cuda_obstacle() -> str | None:
    """Say what keeps ONNX Runtime from using CUDA, or ``None`` if nothing does.

    The GPU build of ONNX Runtime claims CUDA on machines that have none, and then silently runs on the CPU; so the
    driver and the libraries are asked themselves.
    """
    import onnxruntime as ort  # noqa: PLC0415 - half a second, only for those who infer

    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return "this build of ONNX Runtime has no CUDA (install onnxruntime-gpu, and uninstall onnxruntime)"
    return _driver_obstacle() or _library_obstacle(ort)


def _driver_obstacle() -> str | None:
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return f"there is no NVIDIA driver ({name} not found)"
    count = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        return "the NVIDIA driver finds no GPU" + (
            f" (CUDA_VISIBLE_DEVICES={visible!r})" if visible is not None else ""
        )
    return None


def _library_obstacle(ort: object) -> str | None:
    folder = os.path.dirname(ort.__file__)  # type: ignore[attr-defined]
    library = "onnxruntime_providers_cuda.dll" if sys.platform == "win32" else "libonnxruntime_providers_cuda.so"
    try:
        ctypes.CDLL(os.path.join(folder, "capi", library))
    except OSError as error:
        # The library only loads where everything it links against does; "undefined symbol" means it needs its host
        # first.
        if "undefined symbol" not in str(error):
            return f"{error} (install lightdata[gpu])"
    return None


@lru_cache(maxsize=2)
def _announce(device: str, missing: str | None) -> str:
    _LOG.info("inference runs on %s%s", device, f": {missing}" if missing else "")
    return device


def session_options(*, optimize: bool = True) -> Any:
    """Settings of a session that shares its machine with other workers: one thread, no spinning."""
    import onnxruntime as ort  # noqa: PLC0415 - half a second, only for those who infer

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised, and warnings would be printed
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options
