"""Do the same nine jobs with Ray Data, with Daft, by hand and with lightdata, in turn, and write down what it took.

    python benchmarks/compare.py --images photos/ --model squeezenet1_1.onnx \
        --python ray=.peers/ray/bin/python daft=.peers/daft/bin/python hand=.peers/hand/bin/python

Each system has an interpreter of its own, as their packages disagree; one without is left out. lightdata runs with the
interpreter of this script. Prints a table. If all jobs were done, it also writes the tables of README.md and of
docs/performance.md, the plot docs/performance.svg, and ``benchmarks/results/DATE-MACHINE-peers.json``, from which
``--render FILE`` makes the pages again.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from machine import ROOT, describe_machine, packages, slug
from peer_plot import plot
from peer_runs import JOBS, SYSTEMS, Failure, Results, Run
from peer_table import long_table, seconds, short_table, update_page
from process_tree import measure

HERE = Path(__file__).parent
SCRIPTS = {
    "ray": HERE / "peers/ray_data.py",
    "daft": HERE / "peers/daft_frame.py",
    "hand": HERE / "peers/by_hand.py",
    "lightdata": HERE / "jobs.py",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is compared, and on what."""

    images: Path
    model: Path
    pythons: dict[str, str]
    """The interpreter of each system."""

    jobs: list[str]
    repeat: int


def main() -> None:
    given = arguments()
    if given.render:
        write_pages(Results.from_file(given.render))
        return
    wanted = Comparison(
        images=given.images.resolve(),
        model=given.model.resolve(),
        pythons={"lightdata": sys.executable} | dict(one.split("=", 1) for one in given.python),
        jobs=[job for job in JOBS if job in (given.job or JOBS)],
        repeat=given.repeat,
    )
    results = compare(wanted)
    print(f"\n{long_table(results)}")
    if wanted.jobs == list(JOBS):
        write_pages(results)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder of JPEG files")
    parser.add_argument("--model", type=Path, help="a classifier of 224x224 images as an ONNX file")
    parser.add_argument("--python", nargs="+", default=[], metavar="NAME=PATH", help=f"NAME: {', '.join(SYSTEMS)}")
    parser.add_argument("--job", nargs="+", choices=JOBS, help="only these")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each job by each system")
    parser.add_argument("--render", type=Path, metavar="FILE", help="write the pages again from a file of results")
    given = parser.parse_args()
    if not given.render and not (given.images and given.model):
        parser.error("--images and --model are needed")
    return given


def compare(wanted: Comparison) -> Results:
    """Run everything, and keep the file of results after each job."""
    about = describe_machine() | describe_work(wanted)
    file = HERE / "results" / f"{about['date']}-{slug(about['machine'])}-{about['cores']}-cores-peers.json"
    file.parent.mkdir(exist_ok=True)
    # Modules that are not compiled would be compiled again in every process, unlike those of an installed package.
    subprocess.run([wanted.pythons["lightdata"], "-m", "compileall", "-q", ROOT / "lightdata"], check=True)  # noqa: S603
    done: list[Run | Failure] = []
    for job in wanted.jobs:
        for _ in range(wanted.repeat):
            for system in (name for name in SYSTEMS if name in wanted.pythons):
                done.append(run(wanted, system, job))
                tell(done[-1])
        results = sorted_out(about, done)
        if wanted.jobs == list(JOBS):  # those of a part would stand in the place of the whole
            file.write_text(results.to_json())
    return results


def describe_work(wanted: Comparison) -> dict[str, Any]:
    """Tell the photos, which are then in the memory of the system, and the packages of each interpreter."""
    sizes = [len(path.read_bytes()) for path in wanted.images.iterdir() if path.suffix.lower() in {".jpeg", ".jpg"}]
    return {
        "photos": len(sizes),
        "photos_mb": round(sum(sizes) / 1e6),
        "model": wanted.model.name,
        "repeat": wanted.repeat,
        "systems": {name: {"packages": packages(python)} for name, python in wanted.pythons.items()},
    }


def run(wanted: Comparison, system: str, job: str) -> Run | Failure:
    """Do one job with one system."""
    with tempfile.TemporaryDirectory() as folder:
        command = [wanted.pythons[system], SCRIPTS[system], job, wanted.images, wanted.model, Path(folder) / "out"]
        here = {"PYTHONPATH": str(ROOT)} if system == "lightdata" else {}
        taken = measure([str(word) for word in command], here, adopts=True)
    # Whoever has answered has done the job; Daft sometimes dies after that, as its interpreter ends.
    answers = [json.loads(line) for line in taken.output.splitlines() if line.startswith("{")]
    if not answers:
        return Failure(system=system, job=job, reason=taken.complaint or f"exit status {taken.status}")
    answer = answers[-1]
    return Run(
        system=system,
        job=job,
        rows=answer["rows"],
        start_s=answer["start_s"],
        job_s=answer["job_s"],
        wall_s=round(taken.wall_s, 3),
        cpu_s=round(taken.cpu_s, 3),
        peak_mb=round(taken.peak_bytes / 1e6, 1),
    )


def tell(done: Run | Failure) -> None:
    """Print one line."""
    name = f"{done.job:15} {SYSTEMS[done.system]:10}"
    match done:
        case Failure(reason=reason):
            print(f"{name} {reason}", flush=True)
        case Run(wall_s=wall_s, job_s=job_s, cpu_s=cpu_s, peak_mb=peak_mb, rows=rows):
            times = f"whole {seconds(wall_s):>7}  job {seconds(job_s):>7}  processor {seconds(cpu_s):>7}"
            print(f"{name} {times}  peak {peak_mb:6.0f} MB  rows {rows:.0f}", flush=True)


def sorted_out(about: dict[str, Any], done: list[Run | Failure]) -> Results:
    """Part what was done from what failed; each failure once."""
    failures = {json.dumps(asdict(one)): one for one in done if isinstance(one, Failure)}
    return Results(about=about, runs=[one for one in done if isinstance(one, Run)], failures=list(failures.values()))


def write_pages(results: Results) -> None:
    """Put the tables and the plot where they are shown."""
    update_page(ROOT / "README.md", "peers", short_table(results))
    update_page(ROOT / "docs/performance.md", "peers", long_table(results))
    (ROOT / "docs/performance.svg").write_text(plot(results))


if __name__ == "__main__":
    main()
