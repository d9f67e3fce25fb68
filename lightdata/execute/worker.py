"""What runs in a worker process."""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.reduction import send_handle
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

import pyarrow as pa

from lightdata.config import config_from
from lightdata.errors import words_of
from lightdata.execute.arena import SENDS_APART, Arena, stream_size, write_apart, write_stream
from lightdata.execute.closures import dumps
from lightdata.execute.memory_at_rest import release_unused
from lightdata.execute.message import (
    AckMessage,
    BatchMessage,
    BeatMessage,
    CancelledMessage,
    CancelMessage,
    DoneMessage,
    FailedMessage,
    HoldsMessage,
    LoadedMessage,
    LogMessage,
    ReadyMessage,
    StageMessage,
    TaskMessage,
)
from lightdata.io.source import ReadTask
from lightdata.kernels.tally import watched
from lightdata.physical.operators.read_files import ReadFilesOperator
from lightdata.physical.stage import Context, WorkStage, uri_of

PIPE_BYTES = 16 << 10
"""Batches below this go by pipe: a slot would cost more than the copy."""

_REST_S = 1.0
"""Seconds without work after which a worker gives memory back; to touch it anew costs the next query time."""

_APART_BYTES = 1 << 20
"""Batches below this never have memory of their own: there may be as many as somebody keeps."""


_NO_MEMORY = (
    "lightdata: a worker had no memory for a batch of rows; fewer workers, or a smaller memory_limit or batch_bytes, "
    "leave more for each: see config()"
)


class _Cancelled(Exception):  # noqa: N818 - not an error
    """The run this task belongs to is over."""


class _GoneError(Exception):
    """The calling process does not listen any more."""


def main(connection: Connection, parent_pid: int, arena_bytes: int) -> None:
    """Serve the calling process until its pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the calling process, which then closes the pipe
    if hasattr(signal, "pthread_sigmask"):  # held while this process started
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    pa.set_cpu_count(1)
    code = 0
    try:
        _Worker(connection, parent_pid, arena_bytes).serve()
    except _GoneError:
        pass  # the calling process is gone, or done
    except BaseException:  # noqa: BLE001 - there is nobody else to tell
        traceback.print_exc()
        code = 1
    finally:
        _flush()
        os._exit(code)  # nothing here may outlive the pipe: not a thread of a user's function, nor an exit handler


class _LogToCaller(logging.Handler):
    """Has the calling process log what is logged here."""

    def __init__(self, say: Callable[[Any], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(LogMessage(record.name, record.levelno, record.getMessage()))


class _Worker:
    def __init__(self, connection: Connection, parent_pid: int, arena_bytes: int) -> None:
        self.connection = connection
        self.parent_pid = parent_pid
        self.inbox: SimpleQueue[Any] = SimpleQueue()
        self.tasks: deque[TaskMessage] = deque()
        self.stage: WorkStage | None = None
        self.obstacle: BaseException | None = None
        """What kept the stage from being loaded."""
        self.context = Context()
        self.on_the_way = 0
        self.credit = 0
        self.turn = threading.RLock()
        """Held while something is said: models that run in threads may log."""

        self.is_full = False
        """Whether it may keep memory of work that is done."""

        self.beat_s: float | None = None
        self.last_beat = 0.0
        self.arena: Arena | None = None
        if sys.platform != "win32":
            self.arena = Arena(arena_bytes)
        self._say(ReadyMessage(os.getpid(), self.arena is not None))
        if self.arena is not None:
            send_handle(connection, self.arena.fd, parent_pid)
            self.arena.close_fd()
        self.log = logging.getLogger("lightdata")
        self.log.propagate = False
        self.log.handlers = [_LogToCaller(self._say)]
        threading.Thread(target=self._listen, name="lightdata-listen", daemon=True).start()

    def serve(self) -> None:
        while True:
            while not self.tasks or not self.inbox.empty():
                if self._receive():
                    self._rest()
            task = self.tasks.popleft()
            try:
                self._work_off(task)
            except _Cancelled:
                self._rest()
            except _GoneError:
                raise
            except BaseException as error:  # noqa: BLE001 - sys.exit in a user's function is an error like any other
                done = self.context.tally.take()
                if isinstance(error, MemoryError):
                    error.add_note(_NO_MEMORY)
                self._say(FailedMessage(task.number, portable(error), users_traceback(error), done))
            _flush()

    def _rest(self) -> None:
        """Say that nothing is left to do."""
        self._say(CancelledMessage(self.context.tally.take()))
        self.is_full = True

    def _next_message(self, timeout_s: float | None) -> Any:
        """Wait for a message; at rest, where none comes for a while, let go of what was built, and of its memory."""
        if self.is_full:
            try:
                return self.inbox.get(timeout=_REST_S)
            except Empty:
                self.is_full = False
                self.context.close()
                self.stage, self.context = None, Context()
                self._give_back()
        return self.inbox.get(timeout=timeout_s)

    def _give_back(self) -> None:
        if self.arena is not None:
            self.arena.give_back()
        release_unused()

    def _listen(self) -> None:
        """Take messages while the other thread works, and end this process when there will be no more."""
        try:
            while True:
                self.inbox.put(self.connection.recv())
        finally:
            os._exit(0)

    def _say(self, message: Any) -> None:
        try:
            with self.turn:
                self.connection.send(message)
        except OSError as error:
            raise _GoneError from error

    def _work_off(self, message: TaskMessage) -> None:
        if self.stage is None:
            raise self.obstacle or RuntimeError("a task came before its stage")
        task = pickle.loads(message.task)  # noqa: S301 - from the calling process
        self.context.number, self.context.content = message.number, lambda: message.task
        self.context.is_again = message.tries > 0
        self.context.lost[:] = [] if message.lost is None else [message.lost]
        if message.is_suspect:
            self._say(HoldsMessage(message.number, first_uri(self.stage, task)))
        rows = 0
        for batch in self.stage.run(task, self.context):
            known = min(max(message.done_rows - rows, 0), batch.num_rows)
            rows += batch.num_rows
            if known < batch.num_rows or not batch.num_rows:
                self._send(message.number, batch.slice(known) if known else batch)
            del batch  # while the next one is made, nobody here needs it
        if self.context.lost:
            raise self.context.lost.pop()  # no operator took it
        self._say(DoneMessage(message.number, self.context.account.told(), rows, self.context.tally.take()))

    def _send(self, number: int, batch: pa.RecordBatch) -> None:
        nbytes = stream_size(batch)
        while not self.inbox.empty() or (self.on_the_way and self.on_the_way + nbytes > self.credit):
            try:
                if self._receive(self.beat_s):
                    raise _Cancelled
            except Empty:
                self._say(BeatMessage())
        slot = self.arena.write(batch, nbytes) if self.arena is not None and nbytes > PIPE_BYTES else None
        self.on_the_way += nbytes
        if slot is not None:
            self._say(BatchMessage(number, nbytes, slot[0], None))
        elif SENDS_APART and nbytes >= _APART_BYTES:
            self._send_apart(number, batch, nbytes)
        else:
            out = pa.BufferOutputStream()
            write_stream(batch, out)
            self._say(BatchMessage(number, nbytes, None, out.getvalue().to_pybytes()))

    def _send_apart(self, number: int, batch: pa.RecordBatch, nbytes: int) -> None:
        fd = write_apart(batch, nbytes)
        try:
            with self.turn:  # the descriptor comes right behind
                self._say(BatchMessage(number, nbytes, None, None, is_apart=True))
                send_handle(self.connection, fd, self.parent_pid)
        finally:
            os.close(fd)

    def _beat(self, is_building: bool | None) -> None:
        """Say that work goes on, unless that was just said."""
        now = time.monotonic()
        if is_building is not None:
            self._say(BeatMessage(is_building))
        elif self.beat_s is not None and now - self.last_beat > self.beat_s:
            self.last_beat = now
            self._say(BeatMessage())

    def _receive(self, timeout_s: float | None = None) -> bool:
        """Take one message; says whether everything was cancelled."""
        match self._next_message(timeout_s):
            case TaskMessage() as task:
                self.tasks.append(task)
            case AckMessage(nbytes=nbytes, freed=freed):
                self.on_the_way -= nbytes
                if self.arena is not None:
                    self.arena.release(freed)
                    if freed and self.stage is None:  # at rest: the consumer has let go of the last ones
                        self.arena.give_back()
            case StageMessage() as message:
                self._prepare(message)
            case CancelMessage():
                self.tasks.clear()
                return True
        return False

    def _prepare(self, message: StageMessage) -> None:
        """Load a stage; what goes wrong is told by its first task."""
        self.context.close()
        self.stage, self.obstacle, self.context = None, None, Context()
        self.is_full = False
        self.credit, self.on_the_way = message.credit_bytes, message.on_the_way
        self.beat_s = message.beat_s
        self.log.setLevel(message.log_level)
        watched(None if self.beat_s is None else self._beat)
        config_from(message.config)
        try:
            if message.folder is not None:
                os.chdir(message.folder)  # paths are relative to where the query runs
            if sys.path != message.module_folders:
                sys.path[:] = message.module_folders
            importlib.invalidate_caches()  # a module may have been written since
            self.stage = pickle.loads(message.stage)  # noqa: S301 - from the calling process
        except BaseException as error:  # noqa: BLE001 - a user's module can raise anything
            self.obstacle = error
        self._say(LoadedMessage())


def first_uri(stage: WorkStage, task: ReadTask) -> str | None:
    """Name the file of a task's first row, where that is known."""
    reader = stage.operators[0] if stage.operators else None
    for batch in task.read():
        if isinstance(reader, ReadFilesOperator):
            uri: str | None = batch.column(reader.path)[0].as_py()
            return uri
        return uri_of(batch, 0)
    return None


def _flush() -> None:
    """Let what a user's function printed be seen now: this process ends without flushing."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def portable(error: BaseException) -> bytes:
    """Pickle an exception with its notes; one that cannot travel becomes a RuntimeError with its words."""
    notes = list(getattr(error, "__notes__", ()))
    try:
        content = dumps((error, notes))
        pickle.loads(content)  # noqa: S301 - just made
    except Exception:  # noqa: BLE001 - anything can go wrong in a class that is not ours
        words = f"{type(error).__name__}: {words_of(error)}"
        return dumps((RuntimeError(words), notes))
    return content


def users_traceback(error: BaseException) -> str:
    """Write a traceback from the first frame that is not the engine's."""
    frame: TracebackType | None = error.__traceback__
    first = next((one for one in _frames(frame) if not _is_ours(one)), frame)
    return "".join(traceback.format_exception(type(error), error, first))


def _frames(frame: TracebackType | None) -> Iterator[TracebackType]:
    while frame is not None:
        yield frame
        frame = frame.tb_next


def _is_ours(frame: TracebackType) -> bool:
    name: Any = frame.tb_frame.f_globals.get("__name__", "")
    return str(name).startswith("lightdata.")
