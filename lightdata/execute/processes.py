"""Worker processes: started when they are needed, kept warm, ended with the interpreter."""

from __future__ import annotations

import atexit
import logging
import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import recv_handle
from typing import Any

from lightdata.execute.arena import ArenaView
from lightdata.execute.descriptors import check_descriptors
from lightdata.execute.forkserver import ENVIRONMENT, ForkedProcess, ForkServer
from lightdata.execute.message import (
    AckMessage,
    BatchMessage,
    BeatMessage,
    CancelledMessage,
    CancelMessage,
    DoneMessage,
    FailedMessage,
    LoadedMessage,
    LogMessage,
    ReadyMessage,
    StageMessage,
    TaskMessage,
)
from lightdata.execute.task_state import Death
from lightdata.execute.worker import main
from lightdata.interrupt import interrupts_deferred
from lightdata.kernels.tally import Tally

_STOP_S = 1.0

_ARENA_BYTES = 64 << 20

_WORKER_DESCRIPTORS = 2
"""What this process has open of each worker: its pipe, and its memory."""

_SERVER_DESCRIPTORS = 8
_SPARE_DESCRIPTORS = 12
"""What is open for an instant while a worker starts, or sends a large batch, and what a query needs at least."""

GONE = (EOFError, OSError, RuntimeError)
"""What a pipe raises whose other end is gone, also in the midst of a message, or of the descriptor that follows it."""


class Worker:
    """A worker process, seen from the calling process."""

    def __init__(self, arena_bytes: int) -> None:
        self.connection, self.process = _started(arena_bytes)
        self.arena_bytes = arena_bytes
        self.failed_starts = 0
        """How many in its place died before they had loaded the stage."""

        self.is_loaded = False
        """Whether it has loaded the stage of this run."""

        self.is_building = False
        """Whether it builds what rows need, which may take long."""

        self.heard = time.monotonic()
        """When it last said something, or was given work."""

        self.owner = os.getpid()
        self.view: ArenaView | None = None
        self.pid: int | None = None
        """Its process id, once it has said that it is ready."""

        self.tasks: deque[int] = deque()
        """Numbers of the tasks it holds."""

        self.tally = Tally()
        """Where what it says it did is added."""
        _everyone.add(self)

    def receive(self) -> Any:
        """Take one message.

        Raises
        ------
        EOFError
            If the worker is gone.
        """
        message = self.connection.recv()
        self.heard = time.monotonic()
        if isinstance(message, LogMessage):
            logging.getLogger(message.logger).log(message.level, message.words)
            return message
        if isinstance(message, ReadyMessage):
            self.pid = message.pid
            if message.sends_arena:
                self.view = ArenaView(recv_handle(self.connection))
        if isinstance(message, BatchMessage) and message.is_apart:
            return message._replace(apart=recv_handle(self.connection))
        self.is_building = isinstance(message, BeatMessage) and message.is_building
        if isinstance(message, LoadedMessage):
            self.is_loaded, self.failed_starts = True, 0
        if isinstance(message, DoneMessage | FailedMessage | CancelledMessage):
            self.tally.add(message.tally)
        return message

    def send(self, message: Any) -> None:
        """Send one message; a worker that is gone is noticed when it is read from."""
        with suppress(BrokenPipeError, ConnectionResetError, OSError):
            self.connection.send(message)

    def begin(self, message: StageMessage) -> None:
        """Have it run a stage from now on."""
        self.tasks.clear()
        self.is_loaded = False
        self.send(message)

    def give(self, message: TaskMessage) -> None:
        """Have it work off a task after those that it holds."""
        if not self.tasks:
            self.heard = time.monotonic()
        self.tasks.append(message.number)
        self.send(message)

    def kill(self) -> None:
        """End it now."""
        _everyone.discard(self)
        self.connection.close()
        _kill(self.process)
        self.process.join()

    def death(self) -> Death:
        """Say how it died."""
        self.process.join(_STOP_S)
        code = self.process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return Death(name, f"was killed by {name}")
        return Death(f"exit code {code}", f"ended with exit code {code}")

    def replaced(self) -> Worker:
        """End it, and start another in its place."""
        self.kill()
        with interrupts_deferred():  # a process that nobody holds would never end
            worker = Worker(self.arena_bytes)
        worker.tally, worker.failed_starts = self.tally, self.failed_starts
        return worker

    @property
    def is_stopped(self) -> bool:
        """Whether somebody has stopped it, as SIGSTOP does."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as stat:
                return stat.read().rpartition(b")")[2].split()[0] == b"T"
        except OSError:  # gone, or a system without /proc
            return False


def _started(arena_bytes: int) -> tuple[Connection, ForkedProcess | Any]:
    """Start a process: a copy of the fork server, or a fresh interpreter where processes cannot be copied."""
    arguments = (os.getpid(), arena_bytes)
    if sys.platform == "linux":
        ours, theirs = Pipe()
        process: Any = _fork_server().fork(theirs, *arguments)
    else:
        ours, theirs, process = _spawned(*arguments)
    theirs.close()
    return ours, process


def prepare() -> None:
    """Let what workers need be loaded while this process does other things."""
    if sys.platform == "linux":
        _fork_server()


def _fork_server() -> ForkServer:
    """Give the fork server, and start it unless there is one."""
    global _server  # noqa: PLW0603 - one process has one
    with _lock:
        if _server is None or _server.owner != os.getpid() or not _server.is_alive():
            check_descriptors(_SERVER_DESCRIPTORS, "starting worker processes")
            with _interrupts_held():
                _server = ForkServer()
        return _server


def _spawned(*arguments: Any) -> tuple[Any, Any, Any]:
    from joblib.externals.loky.backend import (  # noqa: PLC0415 - only for queries that need workers
        get_context,
        resource_tracker,
    )

    # loky's context starts a fresh interpreter without running the caller's script again, so unguarded scripts work.
    context = get_context("loky")
    ours, theirs = context.Pipe()
    process = context.Process(target=main, args=(theirs, *arguments), env=ENVIRONMENT, name="lightdata-worker")
    with _interrupts_held():  # starting these lifts the hold, so they go first
        resource_tracker.ensure_running()
        multiprocessing.resource_tracker.ensure_running()
    with _interrupts_held():
        process.start()
    return ours, theirs, process


def _kill(process: ForkedProcess | Any) -> None:
    if isinstance(process, ForkedProcess):
        process.kill()
    elif hasattr(signal, "SIGKILL"):  # loky's processes have no kill
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    else:
        process.terminate()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start a process that Ctrl-C cannot end half-way, with a traceback on the terminal; it then chooses itself.

    The new process inherits the mask. Here a mask is not enough: a signal that another thread takes is handled in the
    main one all the same, so its handler waits too.
    """
    with interrupts_deferred():
        if not hasattr(signal, "pthread_sigmask"):
            yield
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


_everyone: set[Worker] = set()
"""All workers that may be alive, idle or not."""

_server: ForkServer | None = None
_idle: list[Worker] = []
_lock = threading.Lock()


@contextmanager
def leased(count: int, tally: Tally | None = None, arena_bytes: int = _ARENA_BYTES) -> Iterator[list[Worker]]:
    """Have workers for oneself: warm ones first, new ones for the rest; what is still sound goes back afterwards.

    What they do is added to ``tally``, until the last of them has come to rest. ``arena_bytes`` is for new ones.
    """
    mine: list[Worker] = []
    try:
        with interrupts_deferred(), _lock:
            mine += [worker for worker in _idle if worker.owner == os.getpid() and worker.process.is_alive()][:count]
            _idle[:] = [worker for worker in _idle if worker not in mine and worker.owner == os.getpid()]
        new = count - len(mine)
        if new > 0:
            check_descriptors(new * _WORKER_DESCRIPTORS + _SPARE_DESCRIPTORS, f"starting {new} worker processes")
        while len(mine) < count:
            with interrupts_deferred():  # a process that nobody holds would never end
                mine.append(Worker(arena_bytes))
        for worker in mine:
            worker.tally = tally or Tally()
        yield mine
    except (KeyboardInterrupt, SystemExit):  # it may have cut a message in two
        with interrupts_deferred():
            for worker in mine:
                worker.kill()
        raise
    finally:
        with interrupts_deferred():
            sound = stop(mine)
            for worker in sound:  # what was on its way is nobody's any more
                worker.send(AckMessage(0, worker.view.take_freed() if worker.view else []))
            with _lock:
                _idle.extend(sound)


def stop(workers: list[Worker]) -> list[Worker]:
    """Bring workers to rest and give those that came to it; the others are killed."""
    waiting = [worker for worker in workers if not worker.connection.closed]
    for worker in waiting:
        worker.tasks.clear()
        worker.send(CancelMessage())
    rested: list[Worker] = []
    deadline = time.monotonic() + _STOP_S
    while waiting and (left := deadline - time.monotonic()) > 0:
        for ready in wait([worker.connection for worker in waiting], left):
            worker = next(one for one in waiting if one.connection is ready)
            try:
                message = worker.receive()
            except GONE:
                waiting.remove(worker)
                worker.kill()
                continue
            _return_slot(worker, message)
            if isinstance(message, CancelledMessage):
                waiting.remove(worker)
                rested.append(worker)
    for worker in waiting:
        worker.kill()
    return rested


def _return_slot(worker: Worker, message: Any) -> None:
    """Give a slot back whose batch nobody will take."""
    if isinstance(message, BatchMessage) and message.offset is not None and worker.view is not None:
        worker.view.leave(message.offset)
    if isinstance(message, BatchMessage) and message.apart is not None:
        os.close(message.apart)


@atexit.register
@interrupts_deferred(is_last=True)
def shut_down() -> None:
    """End all workers, also those of a query that somebody still holds: the interpreter would wait for them."""
    with _lock:
        workers, _idle[:] = [worker for worker in list(_everyone) if worker.owner == os.getpid()], []
    for worker in workers:
        worker.connection.close()
    for worker in workers:
        worker.process.join(_STOP_S)
        if worker.process.is_alive():
            worker.kill()
    if _server is not None and _server.owner == os.getpid():
        _server.close()
