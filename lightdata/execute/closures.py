"""Functions that travel to workers: by cloudpickle, with the file names that tracebacks show."""

from __future__ import annotations

import io
import marshal
from collections import ChainMap
from collections.abc import Callable
from types import CodeType
from typing import Any, ClassVar

import cloudpickle


def dumps(value: Any) -> bytes:
    """Pickle a value with whatever functions and classes it holds.

    >>> import pickle
    >>> pickle.loads(dumps(lambda: 3))()
    3
    """
    out = io.BytesIO()
    _Pickler(out).dump(value)
    return out.getvalue()


def _code(code: CodeType) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
    """Send code as this interpreter stores it: cloudpickle, from 3.1.3 on, forgets which file it is of."""
    return marshal.loads, (marshal.dumps(code),)


class _Pickler(cloudpickle.Pickler):
    dispatch_table: ClassVar = ChainMap({CodeType: _code}, cloudpickle.Pickler.dispatch_table)
