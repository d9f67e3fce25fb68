"""The tasks of a source that were done before a run was cut off, and that are not read again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from google_crc32c import extend

from lightdata.errors import ExecutionError
from lightdata.io.source import ReadTask, task_bytes


@dataclass(slots=True)
class PassedTasks:
    """Counts tasks as they are cut, and leaves out the first ones."""

    count: int = 0
    """Tasks that are left out."""

    checksum: int = 0
    """CRC-32C of them, by which they are known to be the same."""

    checksums: dict[int, int] = field(default_factory=dict)
    """The checksum of so many tasks, for those that were cut and may not be done."""

    def after(self, tasks: Iterator[ReadTask]) -> Iterator[ReadTask]:
        """Pass on the tasks after those that are done.

        Raises
        ------
        ExecutionError
            If these are not what they were.
        """
        checksum = cut = 0
        for cut, task in enumerate(tasks, 1):
            checksum = self.checksums[cut] = extend(checksum, task_bytes(task))
            if cut > self.count:
                yield task
            elif cut == self.count:
                self._check(checksum)
        if cut < self.count:
            self._check(checksum)

    def _check(self, checksum: int) -> None:
        if checksum != self.checksum:
            raise ExecutionError(
                "resume=True: what the query reads has changed since it was interrupted; resume=False begins anew"
            )
