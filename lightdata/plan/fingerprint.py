"""Whether two plans of two processes are one query: its steps, their arguments, and the code of a user's functions."""

from __future__ import annotations

import functools
import inspect
import os
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from hashlib import blake2b
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from google_crc32c import value as crc32c
from numpy.typing import NDArray

from lightdata.expr.expression import Expression

_SCALARS = (str, bool, int, float, complex, np.generic, os.PathLike, pa.DataType, pa.Schema, type(None))


def fingerprint(*values: object) -> str:
    """Give 32 hexadecimal digits that are the same for the same query, in whichever process.

    Rows that are in memory count by their types and number alone. Of functions the code counts, and what it finds
    outside itself; of objects of others only their class. Where code lies in its file does not, nor the order of a set.

    >>> fingerprint(lambda row: row + 1) == fingerprint(lambda row: row + 1)
    True
    >>> fingerprint(lambda row: row + 1) == fingerprint(lambda row: row + 2)
    False
    """
    seen: set[int] = set()
    return blake2b("\n".join(_words(values, seen)).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def _words(value: Any, seen: set[int]) -> Iterator[str]:
    """Tell a value and all that is in it; what was told before, and what is inside itself, only by its kind."""
    word = _word(value)
    if word is None and id(value) in seen:
        word = ""
    yield f"{type(value).__qualname__} {word or ''}"
    if word is not None:
        return
    if not isinstance(value, tuple):  # equal ones may be one or not
        seen.add(id(value))
    if isinstance(value, AbstractSet):
        yield from sorted("\n".join(_words(one, seen)) for one in value)
    else:
        for one in _parts(value):
            yield from _words(one, seen)
    yield "."


def _word(value: Any) -> str | None:
    """Tell a value that has no parts."""
    match value:
        case _ if isinstance(value, _SCALARS):
            return repr(value)
        case bytes() | bytearray() | memoryview():
            return _digest(np.frombuffer(value, np.uint8))
        case Expression(expr=expr):
            return expr.meta.serialize(format="json") if _is_plain(str(expr)) else str(expr)
        case pa.Table() | pa.RecordBatch():
            return f"{value.num_rows} rows {value.schema}"
        case np.ndarray() if not value.dtype.hasobject:
            return f"{value.dtype} {value.shape} {_digest(value)}"
        case types.ModuleType():
            return value.__name__
    return None


def _digest(array: NDArray[Any]) -> str:
    """Sum up an array that may be large, at the speed of memory."""
    return f"{array.nbytes}-{crc32c(np.ascontiguousarray(array)):08x}" if array.size else "0"


def _parts(value: Any) -> Iterable[Any]:
    """Give what a value is made of; of an object of others, and of a class that is installed, its name alone."""
    match value:
        case np.ndarray():
            return value.dtype.str, value.tolist()
        case Mapping():
            return chain.from_iterable(value.items())
        case functools.partial():
            return value.func, value.args, value.keywords
        case types.FunctionType():
            return value.__qualname__, value.__code__, value.__defaults__, value.__kwdefaults__, _found_outside(value)
        case types.CodeType():
            return value.co_code, value.co_names, value.co_varnames, value.co_consts
        case types.MethodType():
            return value.__func__, value.__self__
        case _ if is_dataclass(value) and not isinstance(value, type):
            return chain.from_iterable((field.name, getattr(value, field.name)) for field in fields(value))
        case Sequence():
            return value
    return _parts_of_object(value)


def _parts_of_object(value: Any) -> Iterable[Any]:
    kind = value if isinstance(value, type) else type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__ != "__main__":
        return (name,)
    if kind is value:
        return name, {key: one for key, one in vars(value).items() if not key.startswith("__") or callable(one)}
    return kind, getattr(value, "__dict__", None)


def _found_outside(function: types.FunctionType) -> Mapping[str, Any]:
    """Give what a function finds in its closure and its module."""
    try:
        found = inspect.getclosurevars(function)
    except ValueError:  # a cell of the closure is still empty
        return {}
    return {**found.globals, **found.nonlocals}


def _is_plain(words: str) -> bool:
    """Whether an expression holds no function of Python's, which is serialized with where it lies."""
    return "python" not in words.lower()
