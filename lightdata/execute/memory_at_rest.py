"""Give memory back that the allocators of this process keep for later."""

from __future__ import annotations

import ctypes
import sys

import pyarrow as pa


def release_unused() -> None:
    """Give the system what nobody holds; a few milliseconds, and the next work touches its pages anew."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl needs none
        if trim is not None:
            trim(0)
