"""One call of a session at a time, with bindings and buffers of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightdata.inference.model import ImageInput, Model
from lightdata.inference.preparation import Preparation

Pin = Callable[[NDArray[Any]], Callable[[], None]]
"""Locks a buffer in memory so that a GPU copies it by itself; gives what unlocks it."""


class Lane:
    """Binds inputs to buffers that it keeps and outputs to memory that is new in every call.

    A session may be called from several threads, but a binding only from one: two lanes let the copies of one call
    go on beside the computations of the other.
    """

    def __init__(self, session: Any, model: Model, pin: Pin | None = None) -> None:
        self._session = session
        self._model = model
        self._pin = pin
        self._binding = session.io_binding()
        self._prepare = {one.port.name: Preparation(one) for one in model.images}
        self._buffers: dict[str, NDArray[Any]] = {}
        self._unpin: dict[str, Callable[[], None]] = {}

    def run(self, values: Mapping[str, NDArray[Any]], rows: int) -> list[NDArray[Any]]:
        """Run the model.

        Parameters
        ----------
        values : [N, ...] by input
            Pixels ``[N, H, W]`` or ``[N, H, W, C]``, and numbers or tensors.
        rows : int
            Rows of the call, N or more: a GPU is fastest where every call has the same shape.

        Returns
        -------
        [N, ...] for each output that is kept
        """
        count = 0
        for one in self._model.inputs:
            name, given = one.port.name, values[one.port.name]
            count = len(given)
            ready = self._image(one, given, rows) if isinstance(one, ImageInput) else self._value(name, given, rows)
            self._binding.bind_cpu_input(name, ready)
        self._binding.clear_binding_outputs()  # a buffer that is bound again would overwrite earlier results
        for output in self._model.outputs:
            self._binding.bind_output(output.name, "cpu")
        self._session.run_with_iobinding(self._binding)
        return [result[:count] for result in self._binding.copy_outputs_to_cpu()]

    def close(self) -> None:
        """Unlock buffers."""
        for unpin in self._unpin.values():
            unpin()
        self._unpin.clear()

    def _image(self, one: ImageInput, pixels: NDArray[Any], rows: int) -> NDArray[Any]:
        prepare = self._prepare[one.port.name]
        _, *shape = prepare.shape(pixels)
        if self._pin is None and rows == len(pixels) and prepare.is_ready(pixels):
            return pixels.reshape(rows, *shape)
        buffer = self._buffer(one.port.name, (rows, *shape), one.port.dtype)
        prepare.write(pixels, buffer[: len(pixels)])
        return buffer

    def _value(self, name: str, values: NDArray[Any], rows: int) -> NDArray[Any]:
        if self._pin is None and rows == len(values) and values.flags.c_contiguous:
            return values
        buffer = self._buffer(name, (rows, *values.shape[1:]), values.dtype)
        buffer[: len(values)] = values
        return buffer

    def _buffer(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        size = int(np.prod(shape))
        kept = self._buffers.get(name)
        if kept is None or kept.size < size or kept.dtype != np.dtype(dtype):
            if name in self._unpin:
                self._unpin.pop(name)()
            # Zeros: rows that fill a call up are computed with too.
            kept = self._buffers[name] = np.zeros(size, dtype)
            if self._pin is not None:
                self._unpin[name] = self._pin(kept)
        return kept[:size].reshape(shape)
