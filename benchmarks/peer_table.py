"""Runs of several systems as Markdown, and the place for it in a page."""

import re
from collections.abc import Mapping
from pathlib import Path

from peer_runs import JOBS, SYSTEMS, Results, Run


def short_table(results: Results) -> str:
    """Tell the seconds and the memory of whole processes, one row a job."""
    systems, medians = results.systems(), results.medians()
    lines = ["| job | " + " | ".join(SYSTEMS[one] for one in systems) + " |", "|---|" + "---|" * len(systems)]
    for job in results.jobs():
        cells = (_short_cell(medians.get((job, system))) for system in systems)
        lines.append(f"| {job}: {JOBS[job]} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", _caption(results)])


def long_table(results: Results) -> str:
    """Tell every figure, one row a job and system."""
    medians = results.medians()
    lines = [
        "| job | system | whole process | start | job | processor time | peak memory | images a second |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for job in results.jobs():
        lines += [_long_row(job, system, medians) for system in results.systems()]
    return "\n".join([*lines, "", _caption(results)])


def _short_cell(run: Run | None) -> str:
    return "cannot" if run is None else f"{seconds(run.wall_s)}, {run.peak_mb:,.0f} MB"


def _long_row(job: str, system: str, medians: Mapping[tuple[str, str], Run]) -> str:
    run = medians.get((job, system))
    if run is None:
        return f"| {job} | {SYSTEMS[system]} | cannot | | | | | |"
    times = " | ".join(map(seconds, (run.wall_s, run.start_s, run.job_s, run.cpu_s)))
    rate = "" if job in ("first", "count") else f"{run.rows / run.wall_s:,.0f}"
    return f"| {job} | {SYSTEMS[system]} | {times} | {run.peak_mb:,.0f} MB | {rate} |"


def seconds(value: float) -> str:
    """Write seconds with as many digits as can be believed.

    >>> seconds(0.0123), seconds(1.234), seconds(45.67)
    ('0.01 s', '1.2 s', '46 s')
    """
    return f"{value:.2f} s" if value < 1 else f"{value:.1f} s" if value < 10 else f"{value:.0f} s"


def _caption(results: Results) -> str:
    about = results.about
    shown = {"ray": "Ray Data {ray}", "daft": "Daft {daft}", "hand": "Pillow {pillow} by hand"}
    versions = [
        shown[system].format(**about["systems"][system]["packages"]) for system in results.systems() if system in shown
    ]
    return (
        f"Medians of runs taken in turn, {about['repeat']} each, {about['date']}; {about['photos']:,} photos of "
        f"{about['photos_mb']:,.0f} MB; {about['machine']}, {about['cores']} cores, {about['memory_gb']} GB; "
        f"Python {about['python']}; {', '.join(versions)}; lightdata {about['commit']}."
    )


def put_between(page: str, name: str, text: str) -> str:
    """Replace what stands between the markers ``<!-- name -->`` and ``<!-- /name -->`` of a page.

    Raises
    ------
    ValueError
        If the page has no such place.
    """
    place = re.compile(f"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not place.search(page):
        raise ValueError(f"the page has no place <!-- {name} --> ... <!-- /{name} -->")
    return place.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page)


def update_page(path: Path, name: str, text: str) -> None:
    """Put text into its place in a file."""
    path.write_text(put_between(path.read_text(), name, text))
