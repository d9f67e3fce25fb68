"""What the calling process and a worker say to each other.

How a worker is used. Code that disagrees with this is wrong.
  Start      The worker says Ready, followed by the descriptor of its arena where descriptors can travel.
  Stage      Sent once for each run, answered by Loaded; the worker keeps what it builds for it until the next.
  Task       Answered by any number of Batch and one Done or Failed, in the order tasks were sent. Of a task that was
             begun before, the first rows of output are left out: the calling process has them. Of a task of one row
             that may be its worker's end, the worker first says Holds.
  Credit     A worker with more than its credit of bytes on the way waits for Ack before it sends more. Batches are
             acknowledged when the consumer takes them, in task order, so the task that everybody waits for can
             always go on.
  Batch      In a slot of the arena; where none is large enough, apart: its descriptor follows. Else in the message.
  Cancel     Answered by Cancelled, after the batch in hand; tasks that were sent are forgotten. A worker that rests
             for a second then gives memory back.
  Listening  A worker takes messages at any time, so the calling process never waits for it to do so.
  Tally      Done, Failed and Cancelled tell what the worker did since the last of them, or since its stage came.
  Log        What lightdata logs in a worker is logged by the calling process, where users have said who hears it.
  Life       While it works, or waits for credit, a worker says Beat every ``beat_s`` seconds, if a row or call of a
             model or function ended since; and before and after it builds what a stage needs, which may take long. It
             never does where ``beat_s`` is ``None``.
  Leaving    The worker ends when its pipe closes, whatever became of the calling process and whatever it is doing.
"""

from __future__ import annotations

from typing import NamedTuple

from lightdata.config import Config
from lightdata.errors import RowError
from lightdata.kernels.tally import Tally
from lightdata.report.account import Told


class LogMessage(NamedTuple):
    """Log this; sent at any time."""

    logger: str
    level: int
    words: str


class StageMessage(NamedTuple):
    """Run this stage from now on."""

    stage: bytes
    """A :class:`WorkStage`, pickled by cloudpickle."""

    config: Config
    folder: str | None
    """The working directory of the calling process, which paths are relative to."""

    module_folders: list[str]
    """``sys.path`` of the calling process, which functions are imported from."""

    credit_bytes: int
    beat_s: float | None = None
    log_level: int = 0
    """What is logged below it nobody hears."""

    on_the_way: int = 0
    """Bytes that the consumer has not taken of what came from a worker that died, in whose place this one is."""


class TaskMessage(NamedTuple):
    """Work off this task."""

    number: int
    task: bytes
    done_rows: int = 0
    """Rows of its output that came already."""

    tries: int = 0
    """How often it was begun before."""

    is_suspect: bool = False
    """Whether it has one row, which is to be named before it is looked at."""

    lost: RowError | None = None
    """Why that row is not to be looked at, but taken as failed."""


class AckMessage(NamedTuple):
    """These bytes were taken; these slots of the worker's arena are free."""

    nbytes: int
    freed: list[int]


class CancelMessage(NamedTuple):
    """Forget all tasks."""


class ReadyMessage(NamedTuple):
    """The worker has started."""

    pid: int
    sends_arena: bool


class LoadedMessage(NamedTuple):
    """The stage is there, or what kept it from being loaded will be told by its first task."""


class HoldsMessage(NamedTuple):
    """The file of a row that may be the worker's end, and is looked at next."""

    number: int
    uri: str | None


class BeatMessage(NamedTuple):
    """Work goes on."""

    is_building: bool = False
    """Whether a model is loaded or an object built, and not a row looked at."""


class BatchMessage(NamedTuple):
    """A batch of a task's output: in the arena, in the memory that follows, or here."""

    number: int
    nbytes: int
    offset: int | None
    content: bytes | None
    apart: int | None = None
    """The descriptor of the memory that it has of its own: filled in by who takes the message."""

    is_apart: bool = False


class DoneMessage(NamedTuple):
    """A task is finished."""

    number: int
    told: Told
    rows: int
    """Of its output, those that were left out included."""

    tally: Tally


class FailedMessage(NamedTuple):
    """A task raised."""

    number: int
    error: bytes
    traceback: str
    tally: Tally


class CancelledMessage(NamedTuple):
    """The worker has nothing left to do."""

    tally: Tally
