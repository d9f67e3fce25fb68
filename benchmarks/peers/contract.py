"""What a peer is given and what it has to answer: ``python PEER JOB IMAGES MODEL OUT`` prints one line of JSON.

Import it before anything else: the clock of ``start_s`` begins here.
"""

import time

START = time.perf_counter()

import json  # noqa: E402 - the imports are part of what is timed
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import NamedTuple  # noqa: E402

SIDE = 224
BATCH_ROWS = 32
SELECTED = "n02"
"""What the names of the files hold that the job ``select`` is about."""

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Task(NamedTuple):
    """The arguments of a peer."""

    job: str
    images: str
    model: str
    out: str

    def paths(self) -> list[str]:
        """List the photos."""
        return sorted(str(path) for path in Path(self.images).iterdir() if path.suffix.lower() in {".jpeg", ".jpg"})


def task() -> Task:
    """Read the arguments, and make the folder of the results."""
    given = Task(*sys.argv[1:5])
    Path(given.out).mkdir(parents=True)
    return given


def report(system: str, job: str, rows: int, started: float) -> None:
    """Print the answer; ``started`` is when the engine was ready."""
    seconds = {"start_s": round(started - START, 3), "job_s": round(time.perf_counter() - started, 3)}
    print(json.dumps({"system": system, "job": job, "rows": rows} | seconds), flush=True)
