"""What systems took for the jobs, as values: runs, their medians, and the file that keeps them."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

JOBS = {
    "first": "one decoded row, in a fresh process",
    "count": "the number of photos",
    "decode": "decode to RGB, all pixels handed to the caller in batches of 32",
    "resize": "decode, resize to 224x224, all pixels handed to the caller",
    "select": "the same for files whose names hold `n02`",
    "resize_parquet": "decode, resize, write Parquet",
    "brightness": "decode, resize, add 4 grey levels with NumPy, write .npy",
    "transcode": "decode, resize, write PNG files",
    "classify": "decode, resize, SqueezeNet 1.1 on the CPU, write paths and classes to Parquet",
}
"""What is done, in the order in which it is told."""

SYSTEMS = {"ray": "Ray Data", "daft": "Daft", "hand": "by hand", "lightdata": "lightdata"}
"""The names of the systems for people, in the order in which they are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One job, done once by one system in a process of its own."""

    system: str
    job: str
    rows: float
    """Images that the job says it did."""

    wall_s: float
    """From the start of the process to its end."""

    start_s: float
    """Imports, and the start of an engine."""

    job_s: float
    """The job itself."""

    cpu_s: float
    """User and system time of all its processes."""

    peak_mb: float
    """The most memory of all its processes together; 1 MB is 1e6 bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A job that a system did not do."""

    system: str
    job: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All runs of one comparison, and where they ran."""

    about: dict[str, Any]
    """Date, machine, commit, photos, versions."""

    runs: Sequence[Run]
    failures: Sequence[Failure] = ()

    def medians(self) -> dict[tuple[str, str], Run]:
        """Give the median of each job of each system, figure by figure."""
        groups: dict[tuple[str, str], list[Run]] = {}
        for run in self.runs:
            groups.setdefault((run.job, run.system), []).append(run)
        return {key: median(group) for key, group in groups.items()}

    def jobs(self) -> list[str]:
        """List the jobs there are runs of."""
        return [job for job in JOBS if any(run.job == job for run in self.runs)]

    def systems(self) -> list[str]:
        """List the systems there are runs of."""
        return [system for system in SYSTEMS if any(run.system == system for run in self.runs)]

    def to_json(self) -> str:
        """Write it down, one run a line."""
        about = json.dumps(self.about, indent=1)
        runs = ",\n".join(json.dumps(asdict(run)) for run in self.runs)
        failures = ",\n".join(json.dumps(asdict(failure)) for failure in self.failures)
        return f'{{"about": {about},\n"runs": [\n{runs}\n],\n"failures": [\n{failures}\n]}}\n'

    @classmethod
    def from_file(cls, path: Path) -> "Results":
        """Read what :meth:`to_json` wrote."""
        known = json.loads(path.read_text())
        return cls(
            about=known["about"],
            runs=[Run(**run) for run in known["runs"]],
            failures=[Failure(**failure) for failure in known["failures"]],
        )


def median(runs: Iterable[Run]) -> Run:
    """Give the median of each figure of runs of one job by one system."""
    runs = list(runs)
    figures = {
        field.name: round(statistics.median(getattr(run, field.name) for run in runs), 3)
        for field in fields(Run)
        if field.name not in ("system", "job")
    }
    return Run(system=runs[0].system, job=runs[0].job, **figures)
