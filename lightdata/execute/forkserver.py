"""Workers as copies of one process that has loaded what they need, where processes can be copied safely.

How the fork server behaves. Code that disagrees with this is wrong.
  Server   One for each calling process, started by its first worker: a fresh interpreter, not a copy of the caller,
           which may have threads, locks and a GPU. It loads what workers need, runs no thread, and then only forks.
  Fork     A worker costs milliseconds, and shares the memory of what is loaded. It is not asked for an answer; its
           first word comes by its own pipe.
  Parent   The server is its workers' parent: it tells whether one lives and how one died, and ends it when asked to.
  Signals  Ctrl-C is for the calling process alone.
  End      The server ends when its pipe closes, so when the calling process does, however it dies.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, NamedTuple, NoReturn

from lightdata.errors import ExecutionError
from lightdata.interrupt import interrupts_deferred

if sys.platform != "win32":
    import fcntl

ENVIRONMENT = {
    "POLARS_MAX_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""A worker is one of as many as there are cores, so its libraries take one thread each."""

_ALLOCATORS = {
    # Keeps pyarrow from starting a thread as it is loaded.
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    # One allocator for all: two would each keep what the other could use.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    # One heap for all threads, for the same reason: a worker has one that works, and one that listens.
    "MALLOC_ARENA_MAX": "1",
}
"""How memory is had; not for the processes that workers start."""

_LOADED = (
    "lightdata.execute.worker",
    "lightdata.physical.operators.read_files",
    "lightdata.physical.operators.decode_images",
    "lightdata.physical.operators.evaluate",
    "lightdata.physical.operators.map_rows",
    "lightdata.physical.operators.map_batches",
    "lightdata.physical.operators.write",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
)
"""What most workers need."""

_PROGRAM = "import sys; sys.path[:] = {path!r}; from lightdata.execute.forkserver import serve; serve({fd})"

_POLL_S = 0.001


class _Fork(NamedTuple):
    """Copy yourself; the pipe of the worker follows."""

    number: int
    arguments: tuple[Any, ...]


class _Wait(NamedTuple):
    """Tell the exit status of a worker, waiting for it so many seconds; ``None`` while it lives."""

    number: int
    timeout_s: float


class _Kill(NamedTuple):
    """End a worker."""

    number: int


class ForkedProcess:
    """A worker process, of which the fork server is the parent."""

    def __init__(self, server: ForkServer, number: int) -> None:
        self._server = server
        self._number = number
        self.exitcode: int | None = None
        """As :attr:`multiprocessing.Process.exitcode`; known once it was asked for."""

    def is_alive(self) -> bool:
        """Whether it runs."""
        self.join(0)
        return self.exitcode is None

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.exitcode is None:
            left = 1.0 if deadline is None else deadline - time.monotonic()
            self.exitcode = self._server.ask(_Wait(self._number, max(left, 0)))
            if deadline is not None and time.monotonic() >= deadline:
                return

    def kill(self) -> None:
        """End it now."""
        if self.exitcode is None:
            self._server.tell(_Kill(self._number))


class ForkServer:
    """The fork server, seen from the calling process."""

    def __init__(self) -> None:
        theirs, ours = _pipe()
        environment = {**os.environ, **ENVIRONMENT, **_ALLOCATORS}
        program = _PROGRAM.format(path=[os.fspath(path) for path in sys.path], fd=theirs.fileno())
        self._process = _interpreter(program, environment, theirs.fileno())
        theirs.close()
        self._pipe = ours
        self._turn = threading.Lock()
        self._forked = 0
        self.owner = os.getpid()

    def fork(self, theirs: Connection, *arguments: Any) -> ForkedProcess:
        """Start a worker at the other end of a pipe; of a server that cannot be had, one that has ended already."""
        with interrupts_deferred(), self._turn:
            self._forked += 1
            process = ForkedProcess(self, self._forked)
            try:
                self._pipe.send(_Fork(self._forked, arguments))
                send_handle(self._pipe, theirs.fileno(), self._process.pid)
            except OSError as error:  # the server is gone: so is its worker, before it began
                if error.errno in (errno.EMFILE, errno.ENFILE):  # it is not, but waits for what cannot be sent
                    self._process.kill()
                process.exitcode = self._process.wait()
            return process

    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def tell(self, message: Any) -> None:
        """Send a message that has no answer; a server that is gone has no workers left to end."""
        with interrupts_deferred(), self._turn, suppress(OSError):
            self._pipe.send(message)

    def ask(self, message: Any) -> int | None:
        """Send a message and wait for the answer; of a server that is gone, that all is over."""
        with interrupts_deferred(), self._turn:  # one that came between would leave its answer to the next question
            try:
                self._pipe.send(message)
                answer: int | None = self._pipe.recv()
            except (OSError, EOFError):
                return -signal.SIGKILL
            return answer

    def close(self) -> None:
        """End it, though it may be loading still."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()


def _interpreter(program: str, environment: dict[str, str], fd: int) -> subprocess.Popen[bytes]:
    """Start a fresh interpreter that has a descriptor of ours.

    Raises
    ------
    ExecutionError
        If the system lets nobody start one.
    """
    from multiprocessing.spawn import get_executable  # noqa: PLC0415 - only for queries that need workers

    executable = os.fsdecode(get_executable())
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            [executable, "-c", program],
            env=environment,
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=None if _is_open(1) else subprocess.DEVNULL,
            stderr=None if _is_open(2) else subprocess.DEVNULL,
        )
    except OSError as error:
        raise ExecutionError(
            f"cannot start worker processes, as {executable!r}: {error.strerror or error}. See to it that this user "
            "may run it, and has processes and memory left (ulimit -u, ulimit -v); config(workers=0) needs none"
        ) from error


def _pipe() -> tuple[Connection, Connection]:
    """Make a pipe whose ends nobody takes for the output of a program that has closed its own."""
    from multiprocessing import Pipe  # noqa: PLC0415 - only for queries that need workers

    ends = Pipe()
    above = [Connection(fcntl.fcntl(end.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)) for end in ends]
    for end in ends:
        end.close()
    return above[0], above[1]


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def serve(fd: int) -> None:
    """Load what workers need, then do what the calling process says until its pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # held while this process started
    pipe = Connection(fd)
    main = _loaded()
    for name in _ALLOCATORS:
        os.environ.pop(name, None)
    children: dict[int, int] = {}
    ended: dict[int, int] = {}
    while True:
        try:
            match pipe.recv():
                case _Fork(number, arguments):
                    children[number] = _forked(main, pipe, Connection(recv_handle(pipe)), arguments)
                case _Wait(number, timeout_s):
                    pipe.send(_exit_code(children, ended, number, timeout_s))
                case _Kill(number):
                    if number in children:  # else it was waited for: its number may be another's
                        os.kill(children[number], signal.SIGKILL)
        except (EOFError, ConnectionResetError, BrokenPipeError):
            os._exit(0)


def _loaded() -> Callable[..., None]:
    """Load modules, and keep the collector from touching what copies share."""
    import gc  # noqa: PLC0415 - only here
    import importlib  # noqa: PLC0415 - only here

    gc.disable()  # all that is made now stays
    for name in _LOADED:
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
    main: Callable[..., None] = sys.modules["lightdata.execute.worker"].main
    return main


def _forked(main: Callable[..., None], pipe: Connection, connection: Connection, arguments: tuple[Any, ...]) -> int:
    pid = os.fork()
    if pid == 0:
        _become_worker(main, pipe, connection, arguments)
    connection.close()
    return pid


def _become_worker(
    main: Callable[..., None], pipe: Connection, connection: Connection, arguments: tuple[Any, ...]
) -> NoReturn:
    import random  # noqa: PLC0415 - only here

    import numpy as np  # noqa: PLC0415 - loaded by now

    pipe.close()
    random.seed()  # copies would draw the same numbers
    np.random.seed()  # that of users who draw from NumPy's global generator
    try:
        main(connection, *arguments)
    finally:
        os._exit(1)  # a copy must never go on as the server


def _exit_code(children: dict[int, int], ended: dict[int, int], number: int, timeout_s: float) -> int | None:
    """Wait for a worker; two threads may ask for the same one, which can be waited for once."""
    deadline = time.monotonic() + timeout_s
    while number not in ended:
        pid, status = os.waitpid(children[number], os.WNOHANG)
        if pid:
            del children[number]
            ended[number] = os.waitstatus_to_exitcode(status)
        elif time.monotonic() >= deadline:
            return None
        else:
            time.sleep(_POLL_S)
    return ended[number]
