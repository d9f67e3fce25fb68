"""A decoder in another interpreter: bytes go in, pixels come out, and a crash costs one file.

How it behaves. Code that disagrees with this is wrong.
  Started   By the process that meets the first such file, and kept for the next ones.
  Asked     One file at a time: a line of JSON and the file's bytes in; a line of JSON and the pixels, or an error, out.
  Died      The file at hand is a DecodeError that says how; the next file starts another.
  Too slow  It is killed after the timeout: a DecodeError likewise.
  Ended     When its standard input closes: with the process that started it, however that ends.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightdata.errors import DecodeError
from lightdata.kernels.limits import check_frames, too_many_pixels
from lightdata.types.image import Payload

START_TIMEOUT_S = 180
"""Seconds until a decoder must be ready: TensorFlow takes ten, and far more on a busy machine."""

_DYING_S = 10
"""Seconds that a process whose output has ended may take to be gone."""

_LOOK_S = 0.1
"""Seconds after which it is looked whether somebody has pressed Ctrl-C."""

_SCRIPT = Path(__file__).with_name("tfio_decoder.py")

_ENVIRONMENT = {
    # One thread: there is a decoder for each worker.
    **dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), "1"),
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}


class DecoderProcess:
    """A decoder that is started when it is first asked, and again when it has died."""

    def __init__(self, python: str, script: Path = _SCRIPT) -> None:
        self._command = [python, "-I", str(script)]
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, data: Payload, kind: str, *, every_frame: bool, timeout_s: float, max_pixels: int) -> NDArray[Any]:
        """Decode a file.

        Parameters
        ----------
        data : bytes-like
            The whole file.
        kind : "dicom", "exr" or "hdr"
            What it is.
        every_frame : bool
            Whether to give all frames, or the first.
        timeout_s : float
            Seconds for this file.
        max_pixels : int
            Pixels of a frame above which the file is refused.

        Returns
        -------
        array [N, H, W] or [N, H, W, C]

        Raises
        ------
        DecodeError
            If it cannot be decoded, or the decoder died or was too slow.
        """
        request = {"kind": kind, "every_frame": every_frame, "nbytes": len(data)}
        with self._turn:
            process = self._running()
            with self._exchange(process, timeout_s, "while it decoded this file"):
                _write(process, json.dumps(request).encode() + b"\n", data)
                return _pixels(process, _answer(process), max_pixels)

    def close(self) -> None:
        """End the decoder, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = self._started()
            with self._exchange(self._process, START_TIMEOUT_S, "while it started"):
                self._begin(self._process)
        return self._process

    def _begin(self, process: subprocess.Popen[bytes]) -> None:
        try:
            _answer(process)
        except _RefusalError:
            self.close()  # it has no more to say
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - the interpreter that the user named
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **_ENVIRONMENT},
                start_new_session=True,  # Ctrl-C is for the process that started it
            )
        except OSError as error:
            raise DecodeError(f"decoder_python={self._command[0]!r} cannot be started: {error.strerror}") from error

    @contextmanager
    def _exchange(self, process: subprocess.Popen[bytes], timeout_s: float, when: str) -> Iterator[None]:
        """End the decoder where it is too slow, or where its answer was not taken whole: the next must not be the rest.

        What it cannot decode is no failure of the decoder, which goes on.
        """
        is_late = threading.Event()

        def kill() -> None:
            is_late.set()
            process.kill()

        watch = threading.Timer(timeout_s, kill)
        watch.daemon = True
        watch.start()
        try:
            yield
        except _RefusalError as refusal:
            raise DecodeError(refusal.message) from None
        except (EOFError, BrokenPipeError, ConnectionError):
            with suppress(subprocess.TimeoutExpired):
                process.wait(_DYING_S)
            self.close()
            death = f"took longer than {timeout_s:g} s and was ended" if is_late.is_set() else _death(process)
            raise DecodeError(f"the decoder {death} {when}") from None
        except BaseException:
            self.close()
            raise
        finally:
            watch.cancel()


class _RefusalError(DecodeError):
    """The decoder is well, and says no."""


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):  # what was not written when it died
            if pipe is not None:
                pipe.close()


def _death(process: subprocess.Popen[bytes]) -> str:
    code = process.returncode
    if code is not None and code < 0:
        return f"died with {signal.Signals(-code).name}"
    return f"ended with exit status {code}"


def _write(process: subprocess.Popen[bytes], head: bytes, data: Payload) -> None:
    assert process.stdin is not None  # noqa: S101 - opened with a pipe
    process.stdin.write(head)
    process.stdin.write(data)
    process.stdin.flush()


def _answer(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - opened with a pipe
    # A Ctrl-C is heard in between: Polars lets a read of a pipe go on after a signal.
    while sys.platform != "win32" and not wait([process.stdout.fileno()], _LOOK_S):
        pass
    line = process.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    try:
        answer: dict[str, Any] = dict(json.loads(line))
    except (ValueError, TypeError):
        raise DecodeError(f"what decoder_python names is no Python interpreter: it says {line!r}") from None
    if "error" in answer:
        raise _RefusalError(str(answer["error"]))
    return answer


def _pixels(process: subprocess.Popen[bytes], answer: dict[str, Any], max_pixels: int) -> NDArray[Any]:
    assert process.stdout is not None  # noqa: S101 - opened with a pipe
    dtype, shape = np.dtype(answer["dtype"]), tuple(map(int, answer["shape"]))
    check_frames(shape[0])
    if math.prod(shape[1:3]) > max_pixels:
        raise too_many_pixels(math.prod(shape[1:3]), f"{shape[2]}x{shape[1]} pixels")
    content = process.stdout.read(math.prod(shape) * dtype.itemsize)
    if len(content) < math.prod(shape) * dtype.itemsize:
        raise EOFError
    return np.frombuffer(content, dtype).reshape(shape)


_decoders: dict[tuple[int, str], DecoderProcess] = {}
_turn = threading.Lock()


def decoder_of(python: str) -> DecoderProcess:
    """Give this process's decoder for an interpreter."""
    with _turn:
        return _decoders.setdefault((os.getpid(), python), DecoderProcess(python))


@atexit.register
def _close_all() -> None:
    for (pid, _), decoder in _decoders.items():
        if pid == os.getpid():
            decoder.close()
