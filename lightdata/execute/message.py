"""What the calling process and a worker say to each other.

How a worker is used. Code that disagrees with this is wrong.
  Start      The worker says Ready, followed by the descriptor of its arena where descriptors can travel.
  Stage      Sent once for each run; the worker keeps what it builds for it until the next.
  Task       Answered by any number of Batch and one Done or Failed, in the order tasks were sent.
  Credit     A worker with more than its credit of bytes on the way waits for Ack before it sends more. Batches are
             acknowledged when the consumer takes them, in task order, so the task that everybody waits for can
             always go on.
  Cancel     Answered by Cancelled, after the batch in hand; tasks that were sent are forgotten.
  Listening  A worker takes messages at any time, so the calling process never waits for it to do so.
  Tally      Done, Failed and Cancelled tell what the worker did since the last of them, or since its stage came.
  Leaving    The worker ends when its pipe closes, whatever became of the calling process and whatever it is doing.
"""

from __future__ import annotations

from typing import NamedTuple

from lightdata.config import Config
from lightdata.kernels.tally import Tally
from lightdata.report.account import Told


class StageMessage(NamedTuple):
    """Run this stage from now on."""

    stage: bytes
    """A :class:`WorkStage`, pickled by cloudpickle."""

    config: Config
    folder: str
    """The working directory of the calling process, which paths are relative to."""

    module_folders: list[str]
    """``sys.path`` of the calling process, which functions are imported from."""

    credit_bytes: int


class TaskMessage(NamedTuple):
    """Work off this task."""

    number: int
    task: bytes


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


class BatchMessage(NamedTuple):
    """A batch of a task's output: in the arena, or here if it is full."""

    number: int
    nbytes: int
    offset: int | None
    content: bytes | None


class DoneMessage(NamedTuple):
    """A task is finished."""

    number: int
    told: Told
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
