"""Looks after workers that say nothing: stopped ones, hung ones, and those that merely take long."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence

from lightdata.config import config
from lightdata.execute.processes import Worker
from lightdata.execute.task_state import Death, TaskState

LOOK_S = 0.2
"""Seconds between looks."""

_AWAY_S = 5.0

_LOG = logging.getLogger("lightdata")


class Watch:
    """Watches over the workers of one stage."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._next = time.monotonic()
        self._stopped: set[Worker] = set()
        self._warned = time.monotonic()

    def look(self, workers: Sequence[Worker], tasks: Mapping[int, TaskState]) -> Iterator[tuple[Worker, Death]]:
        """Give the workers that must be ended, and why."""
        now = time.monotonic()
        if now < self._next:
            return
        if now - self._next > _AWAY_S:
            self._warned = now  # the consumer took its time
        self._next = now + LOOK_S
        for worker in list(workers):
            death = self._death(worker, now)
            if death is not None:
                yield worker, death
        self._warn(workers, tasks, now)

    def _death(self, worker: Worker, now: float) -> Death | None:
        if worker.is_stopped:
            if worker in self._stopped:  # twice in a row: a terminal that stops all processes wakes this one first
                self._stopped.discard(worker)
                return Death("SIGSTOP", "was stopped by SIGSTOP")
            self._stopped.add(worker)
            return None
        self._stopped.discard(worker)
        limit_s = config().row_timeout
        is_at_work = worker.is_loaded and bool(worker.tasks) and not worker.is_building
        if limit_s is None or not is_at_work or now - worker.heard <= limit_s:
            return None
        if worker.connection.poll(0):  # it has spoken; nobody has listened yet
            return None
        return Death("timeout", f"gave no sign of life for row_timeout={limit_s:g} s", is_timeout=True)

    def _warn(self, workers: Sequence[Worker], tasks: Mapping[int, TaskState], now: float) -> None:
        """Say what each worker holds, where nothing goes on."""
        limit_s = config().stall_warning_s
        since = max(self._warned, *(worker.heard for worker in workers))
        if limit_s is None or now - since <= limit_s or any(worker.connection.poll(0) for worker in workers):
            return
        self._warned = now
        held = "; ".join(
            f"worker {worker.pid} holds {tasks[worker.tasks[0]].held()}" for worker in workers if worker.tasks
        )
        _LOG.warning("no progress for %.0f s in %s: %s", now - since, self._stage, held or "no worker holds a task")
