"""Which device a model runs on; CUDA only where it really works."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from lightdata.errors import ArgumentError, DeviceError

Device = Literal["cpu", "cuda"]

Providers = tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]
"""Execution providers of ONNX Runtime, each with its options."""

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


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a session runs."""

    providers: Providers
    """Execution providers of ONNX Runtime with their options, the first one first."""

    kind: Device = "cpu"
    index: int | None = None
    """The number of the GPU; ``None`` for all of them, one process each."""

    @property
    def on_gpu(self) -> bool:
        """Whether one process has the device for itself."""
        return self.kind == "cuda"


def checked_providers(given: Any) -> Providers:
    """Check execution providers: names of those that this build of ONNX Runtime has, or pairs of name and options.

    Raises
    ------
    ArgumentError
        If one is unknown or malformed.
    """
    if given is None:
        return ()
    import onnxruntime as ort  # noqa: PLC0415 - half a second, only for those who infer

    known = ort.get_available_providers()
    pairs = [(one, {}) if isinstance(one, str) else one for one in ([given] if isinstance(given, str) else given)]
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Mapping)):  # noqa: PLR2004
            raise ArgumentError(f"providers takes names, or pairs of name and options; got {pair!r}")
        if pair[0] not in known:
            raise ArgumentError(f"providers: this build of ONNX Runtime has no {pair[0]!r}; it has {', '.join(known)}")
    return tuple((name, tuple(options.items())) for name, options in pairs)


def resolve_placement(device: str, providers: Providers) -> Placement:
    """Choose where a model runs; what is given as ``providers`` wins.

    Raises
    ------
    DeviceError
        If CUDA was asked for and cannot be used.
    """
    if providers:
        is_cpu = providers[0][0] == "CPUExecutionProvider"
        return Placement(providers, "cpu" if is_cpu else "cuda", None if is_cpu else 0)
    name, _, index = resolve_device(device).partition(":")
    if name == "cpu":
        return Placement((("CPUExecutionProvider", ()),))
    return Placement((), "cuda", int(index) if index else None)


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
    chosen = choose_device(device, missing, 0 if missing else gpu_count())
    return _announce(chosen, missing) if device == "auto" else chosen


def choose_device(device: str, missing: str | None, gpus: int) -> str:
    """Choose a device where ``missing`` keeps CUDA from working, or there are so many GPUs.

    >>> choose_device("auto", "there is no NVIDIA driver", 0), choose_device("auto", None, 2)
    ('cpu', 'cuda')

    Raises
    ------
    DeviceError
        If CUDA was asked for and there is none, or no such GPU.
    """
    if device == "auto":
        return "cpu" if missing else "cuda"
    if device == "cpu":
        return device
    if missing:
        raise DeviceError(f"device={device!r} cannot be used: {missing}; use device='cpu' or 'auto'")
    index = device.partition(":")[2]
    if index and int(index) >= gpus:
        raise DeviceError(f"device={device!r} cannot be used: there are {gpus} GPUs, counted from 0")
    return device


@lru_cache(maxsize=1)
def cuda_obstacle() -> str | None:
    """Say what keeps ONNX Runtime from using CUDA, or ``None`` if nothing does.

    The GPU build of ONNX Runtime claims CUDA on machines that have none, and then silently runs on the CPU; so the
    driver and the libraries are asked themselves.
    """
    import onnxruntime as ort  # noqa: PLC0415 - half a second, only for those who infer

    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return f"this build of ONNX Runtime has no CUDA ({_BOTH if _both_builds() else _NO_GPU_BUILD})"
    if not gpu_count():
        return _driver_obstacle()
    return _library_obstacle(ort)


_NO_GPU_BUILD = 'run: pip uninstall -y onnxruntime; pip install "lightdata[gpu]"'
_BOTH = (
    "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files; "
    'run: pip uninstall -y onnxruntime onnxruntime-gpu; pip install "lightdata[gpu]"'
)


def _both_builds() -> bool:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - only where something is missing

    for name in ("onnxruntime", "onnxruntime-gpu"):
        try:
            version(name)
        except PackageNotFoundError:
            return False
    return True


_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


@lru_cache(maxsize=1)
def gpu_count() -> int:
    """Count the GPUs that the NVIDIA driver shows to this process; none where there is no driver."""
    try:
        driver = ctypes.CDLL(_DRIVER)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    return 0 if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) else count.value


def gpu_names() -> list[str]:
    """Name the GPUs, as the driver does."""
    if not gpu_count():
        return []
    driver, names = ctypes.CDLL(_DRIVER), []
    for index in range(gpu_count()):
        name, device = ctypes.create_string_buffer(100), ctypes.c_int(0)
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDeviceGetName(name, len(name), device)
        names.append(name.value.decode(errors="replace"))
    return names


def visible_gpus() -> tuple[str, ...]:
    """Name the GPUs of this process as CUDA_VISIBLE_DEVICES does."""
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    count = gpu_count()
    return tuple(named[:count]) if len(named) >= count else tuple(map(str, range(count)))


def _driver_obstacle() -> str:
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return f"there is no NVIDIA driver ({_DRIVER} not found); install one of version 580 or later"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "the NVIDIA driver finds no GPU" + (f" (CUDA_VISIBLE_DEVICES={visible!r})" if visible is not None else "")


def _library_obstacle(ort: Any) -> str | None:
    preload(ort)
    folder = os.path.dirname(ort.__file__)
    library = "onnxruntime_providers_cuda.dll" if sys.platform == "win32" else "libonnxruntime_providers_cuda.so"
    try:
        ctypes.CDLL(os.path.join(folder, "capi", library))
    except OSError as error:
        # The library only loads where everything it links against does; "undefined symbol" means it needs its host
        # first.
        if "undefined symbol" not in str(error):
            return f'{error} (run: pip install "lightdata[gpu]")'
    return None


def preload(ort: Any) -> None:
    """Load the CUDA libraries that pip installed, without what ONNX Runtime prints of those it does not find."""
    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls()


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
