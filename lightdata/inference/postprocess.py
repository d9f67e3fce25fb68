"""What is made of an output before it becomes a column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightdata.errors import ArgumentError, ModelError
from lightdata.inference.graph import DTYPES, Port
from lightdata.inference.options import Postprocess

NAMES = ("softmax", "sigmoid", "l2")
_MAPS = 4
"""Axes of an output that has channels first: [N, C, H, W]."""


def chosen_postprocess(given: Any, names: list[str]) -> dict[str, Postprocess]:
    """Give what is done with each output.

    Parameters
    ----------
    given : "softmax", "sigmoid", "l2", callable, or a mapping of output to them
    names : list of str
        The outputs that are kept.

    Raises
    ------
    ArgumentError
        If it has no meaning, or could be of any of several outputs.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        if len(names) > 1:
            wanted = ", ".join(f"{name!r}: ..." for name in names)
            raise ArgumentError(f"postprocess: say for which outputs, as postprocess={{{wanted}}}")
        given = dict.fromkeys(names, given)
    if unknown := given.keys() - set(names):
        raise ArgumentError(f"postprocess: {min(unknown)!r} is not kept; outputs that are: {', '.join(names)}")
    if wrong := [one for one in given.values() if one not in NAMES and not callable(one)]:
        raise ArgumentError(f"postprocess takes {', '.join(map(repr, NAMES))} or a function; got {wrong[0]!r}")
    return dict(given)


def port_after(port: Port, how: Postprocess | None) -> Port:
    """Tell the dtype and shape of an output after postprocessing; a function is asked with two rows of zeros.

    Raises
    ------
    ModelError
        If the output has no such postprocessing.
    """
    if how is None:
        return port
    if isinstance(how, str):
        if port.dtype not in ("float16", "float32", "float64"):
            raise ModelError(f"postprocess={how!r} is for floats, and output {port} has none")
        return port
    rows = np.zeros((2, *(length or 1 for length in port.shape[1:])), port.dtype)
    found = checked_result(how(rows), rows, how)
    open_shape = None in port.shape[1:] and found.ndim > 1
    shape = (None,) * (found.ndim - 1) if open_shape else found.shape[1:]
    return Port(port.name, found.dtype.name, (None, *shape))


def checked_result(result: Any, rows: NDArray[Any], how: Any) -> NDArray[Any]:
    """Refuse what a user's function cannot have meant."""
    found = np.asarray(result)
    if found.ndim == 0 or len(found) != len(rows) or found.dtype.name not in DTYPES.values():
        name = getattr(how, "__name__", repr(how))
        raise ModelError(
            f"postprocess {name} must give numbers for each of {len(rows)} rows; it gave {found.dtype} {found.shape}"
        )
    return found


def apply(how: Postprocess | None, rows: NDArray[Any]) -> NDArray[Any]:
    """Postprocess an output.

    Softmax runs over the last axis, and over the channels of ``[N, C, H, W]``; "l2" gives each row length one.

    Parameters
    ----------
    rows : [N, ...]

    Returns
    -------
    [N, ...], of the same dtype where ``how`` is a name

    Examples
    --------
    >>> apply("softmax", np.zeros((1, 4), np.float32))
    array([[0.25, 0.25, 0.25, 0.25]], dtype=float32)
    """
    if how is None:
        return rows
    if not isinstance(how, str):
        return checked_result(how(rows), rows, how)
    values = rows.astype(np.float32) if rows.dtype == np.float16 else rows
    match how:
        case "softmax":
            axis = 1 if rows.ndim == _MAPS else -1
            powers = np.exp(values - values.max(axis=axis, keepdims=True))
            found = powers / powers.sum(axis=axis, keepdims=True)
        case "sigmoid":
            positive = np.exp(-np.abs(values))
            found = np.where(values >= 0, 1, positive) / (1 + positive)
        case _:
            length = np.sqrt(np.square(values).sum(axis=tuple(range(1, values.ndim)), keepdims=True))
            found = values / np.maximum(length, np.finfo(values.dtype).tiny)
    return found.astype(rows.dtype, copy=False)
