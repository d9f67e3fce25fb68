"""Open a model where it runs."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import NDArray

from lightdata.errors import DeviceError, ModelError
from lightdata.inference.device import Placement, preload, session_options
from lightdata.inference.model import Model
from lightdata.inference.profile import nodes_by_provider
from lightdata.inference.rewrite import rewritten
from lightdata.inference.runner import Runner

_LOG = logging.getLogger("lightdata")
_MOST_CPU_ROWS, _MOST_GPU_ROWS = 32, 256
"""Rows that ``batch_size="auto"`` tries at most."""

_PORTABLE = 1
"""cudaHostRegisterPortable: locked for every GPU."""

GPU_LANES = 2
"""Calls at a time: while one computes, the pixels of the next are copied."""


def open_runner(
    model: Model,
    placement: Placement,
    *,
    lanes: int | None = None,
    in_graph: bool | None = None,
    is_profiled: bool | None = None,
) -> Runner:
    """Open a session on a device, and what runs it there.

    Parameters
    ----------
    lanes : int, optional
        Calls at a time, by default one on the CPU, which is busy with one, and two on a GPU.
    in_graph : bool, optional
        Whether pixels are normalised by the model itself, by default on a GPU: fewer bytes go there. A CPU takes the
        same time either way, and would have to rewrite the model in every worker.

    is_profiled : bool, optional
        Whether the first call tells where the nodes of the graph run, by default on a GPU.

    Raises
    ------
    DeviceError
        If the session would run elsewhere than it was asked to.
    """
    on_gpu = placement.on_gpu
    source, model = rewritten(model, in_graph=on_gpu if in_graph is None else in_graph)
    is_profiled = on_gpu if is_profiled is None else is_profiled
    session = _open(source, placement, model, is_profiled=is_profiled)
    rows = None if model.batch_rows == "auto" else model.rows_of_call(on_gpu=on_gpu)
    runner = Runner(
        session,
        model,
        rows=rows,
        most_rows=_MOST_GPU_ROWS if on_gpu else _MOST_CPU_ROWS,
        lanes=lanes or (GPU_LANES if on_gpu else 1),
        pin=partial(_pin, placement.index or 0) if on_gpu else None,
    )
    runner.is_profiled = is_profiled
    return runner


def most_rows(model: Model, *, on_gpu: bool) -> int:
    """Give the most rows that go into one call."""
    if model.batch_rows == "auto":
        return _MOST_GPU_ROWS if on_gpu else _MOST_CPU_ROWS
    return model.rows_of_call(on_gpu=on_gpu)


def _open(source: str | bytes, placement: Placement, model: Model, *, is_profiled: bool) -> Any:
    import onnxruntime as ort  # noqa: PLC0415 - half a second, only for those who infer

    providers = [(name, dict(options)) for name, options in placement.providers] or [_cuda(placement, model)]
    if providers[0][0] != "CPUExecutionProvider":
        preload(ort)
    if providers[-1][0] != "CPUExecutionProvider":
        providers.append(("CPUExecutionProvider", {}))
    options = session_options()
    if is_profiled:
        options.enable_profiling = True
        options.profile_file_prefix = os.path.join(tempfile.gettempdir(), f"lightdata-profile-{os.getpid()}")
    try:
        session = ort.InferenceSession(source, options, providers=providers)
    except Exception as error:
        raise ModelError(f"{model.file.name} cannot be opened with {providers[0][0]}: {error}") from error
    if session.get_providers()[0] != providers[0][0]:
        if is_profiled:
            nodes_by_provider(session)  # it would leave its file
        raise DeviceError(
            f"ONNX Runtime refused {providers[0][0]} and would run {model.file.name} on the CPU; "
            "use device='cpu' to accept that"
        )
    return session


def _cuda(placement: Placement, model: Model) -> tuple[str, dict[str, Any]]:
    options = {
        "device_id": placement.index or 0,
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": int(model.precision == "tf32"),
    }
    return "CUDAExecutionProvider", options


def _pin(index: int, buffer: NDArray[Any]) -> Callable[[], None]:
    """Lock a buffer in memory, so that the GPU copies it while the CPU goes on; without it copies are only slower."""
    try:
        runtime = ctypes.CDLL("cudart64_13.dll" if sys.platform == "win32" else "libcudart.so.13")
        address = ctypes.c_void_p(buffer.ctypes.data)
        runtime.cudaSetDevice(ctypes.c_int(index))  # else the first GPU would be opened too
        failed = runtime.cudaHostRegister(address, ctypes.c_size_t(buffer.nbytes), ctypes.c_uint(_PORTABLE))
    except OSError as error:
        failed = error
    if failed:
        _LOG.info("buffers are not locked in memory, and are copied more slowly: %s", failed)
        return lambda: None
    kept = [buffer]  # as long as it is locked it must not be freed

    def unpin() -> None:
        runtime.cudaHostUnregister(address)
        kept.clear()

    return unpin
