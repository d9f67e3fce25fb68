"""GPUs shared out among the processes of a stage.

Workers are alike and know of no number, so each takes the first place that is free: a file that it holds locked for as
long as it works, which the system frees when it dies.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from lightdata.errors import DeviceError
from lightdata.physical.stage import Context, Operator

_WAIT_S = 30.0
"""How long a process waits for a place: one that is about to end may still hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuShare:
    """So many GPUs for each process, or a part of one."""

    devices: tuple[str, ...]
    """What CUDA_VISIBLE_DEVICES calls them."""

    each: float = 1
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    """The same for all processes that share."""

    @property
    def places(self) -> int:
        """How many processes there can be.

        >>> GpuShare(devices=("0", "1"), each=2).places, GpuShare(devices=("0", "1"), each=0.5).places
        (1, 4)
        """
        if self.each >= 1:
            return len(self.devices) // int(self.each)
        return len(self.devices) * int(1 / self.each)

    def devices_of(self, place: int) -> tuple[str, ...]:
        """Name the GPUs of a place.

        >>> GpuShare(devices=("4", "7"), each=0.5).devices_of(3)
        ('7',)
        """
        if self.each >= 1:
            first = place * int(self.each)
            return self.devices[first : first + int(self.each)]
        return (self.devices[place % len(self.devices)],)

    def take(self) -> HeldPlace:
        """Take the first free place, if need be when another process has left.

        Raises
        ------
        DeviceError
            If none becomes free.
        """
        until = time.monotonic() + _WAIT_S
        while True:
            for place in range(self.places):
                path = Path(tempfile.gettempdir(), f"lightdata-gpu-{self.token}-{place}")
                descriptor = _own(path)
                if descriptor is not None:
                    return HeldPlace(place, descriptor, path)
            if time.monotonic() > until:
                raise DeviceError(f"all {self.places} places on the GPUs {', '.join(self.devices)} are taken")
            time.sleep(0.05)


@dataclass(slots=True)
class HeldPlace:
    """A place that this process has, until it is released."""

    number: int
    descriptor: int
    path: Path
    outer: str | None = None
    """What CUDA_VISIBLE_DEVICES was before."""

    def release(self) -> None:
        """Let another process have it."""
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnGpusOperator:
    """Another operator, in a process that sees its own GPUs alone."""

    operator: Operator
    share: GpuShare

    @property
    def on_error(self) -> str:
        """What becomes of rows that fail in the other operator."""
        return getattr(self.operator, "on_error", "raise")

    @property
    def keeps_rows(self) -> bool:
        """Whether each of its rows gives one row, unless it fails."""
        return getattr(self.operator, "keeps_rows", False)

    @property
    def counts_rows(self) -> bool:
        """Whether it says itself which of all its rows failed."""
        return getattr(self.operator, "counts_rows", False)

    def run(self, batches: Iterator[pa.RecordBatch], context: Context) -> Iterator[pa.RecordBatch]:
        """Run the other operator, once CUDA_VISIBLE_DEVICES says which GPUs are its own."""
        context.resource(self, self._enter, self._leave)
        return self.operator.run(batches, context)

    def _enter(self) -> HeldPlace:
        held = self.share.take()
        held.outer = os.environ.get("CUDA_VISIBLE_DEVICES")
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(self.share.devices_of(held.number))
        return held

    def _leave(self, held: HeldPlace) -> None:
        if held.outer is None:
            os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        else:
            os.environ["CUDA_VISIBLE_DEVICES"] = held.outer
        held.release()


if sys.platform == "win32":

    def _own(path: Path) -> int | None:
        try:
            return os.open(path, os.O_CREAT | os.O_EXCL | os.O_TEMPORARY)
        except OSError:
            return None

else:
    import fcntl

    def _own(path: Path) -> int | None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.lstat(path)):
                return descriptor
        except OSError:
            pass  # another process holds it, or has just removed it
        os.close(descriptor)
        return None
