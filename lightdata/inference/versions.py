"""What a bug report needs: versions, devices, providers."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from lightdata.inference.device import cuda_obstacle, gpu_names

_PACKAGES = (
    *("polars", "pyarrow", "numpy", "pillow", "simplejpeg", "cykooz.resizer", "isal", "joblib", "cloudpickle"),
    *("fsspec", "urllib3", "protobuf", "google-crc32c", "onnxruntime", "onnxruntime-gpu", "onnx", "pandas"),
    *("pillow-heif", "pylance", "s3fs", "gcsfs", "adlfs", "torch", "tensorflow", "datasets"),
)


def show_versions() -> None:
    """Print the versions of everything that lightdata works with, the devices, and what keeps CUDA from working.

    >>> import lightdata as ld
    >>> ld.show_versions()
    lightdata: ...
    python: ...
    cuda: ...
    """
    sys.stdout.write("".join(f"{name}: {value}\n" for name, value in versions().items()))


def versions() -> dict[str, str]:
    """Tell versions and devices, by name."""
    import onnxruntime as ort  # noqa: PLC0415 - half a second, only for those who ask

    found = {"lightdata": _version("lightdata"), "python": sys.version.split()[0], "platform": platform.platform()}
    found["cores"] = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    found |= {name: _version(name) for name in _PACKAGES}
    found["onnxruntime providers"] = ", ".join(ort.get_available_providers())
    found["onnxruntime built for CUDA"] = str(getattr(ort, "cuda_version", "") or "-")
    found["gpus"] = ", ".join(gpu_names()) or "-"
    found["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "-")
    missing = cuda_obstacle()
    found["cuda"] = f"not used: {missing}" if missing else "works"
    return found


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"
