"""Runs of several systems as a plot: two panels of grouped bars in SVG, for light and dark pages.

A   How many times as fast as the baseline a whole process is, on a logarithmic axis, with its seconds.
B   The most memory of all its processes together.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from peer_runs import SYSTEMS, Results, Run
from peer_table import seconds

WIDTH, TOP, BOTTOM, LEFT = 960, 132, 56, 168
BAR, PITCH, GAP = 10, 13, 16
"""Height of a bar, from one bar to the next, and between two jobs; pixels."""

LABEL_ROOM = 62
"""What is kept free behind the longest bar."""

CAPTIONS = {
    "first": "one row, fresh process",
    "count": "how many photos",
    "decode": "pixels to the caller",
    "resize": "to 224x224, to the caller",
    "select": "some files, resize",
    "resize_parquet": "resize, write Parquet",
    "brightness": "resize, NumPy, write .npy",
    "transcode": "resize, write PNG",
    "classify": "resize, SqueezeNet 1.1",
}

STYLE = """
text { font: 12px ui-sans-serif, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2933 }
.page { fill: #ffffff; stroke: #d8dee6 } .band { fill: #f5f7fa } .grid { stroke: #dde3ea } .zero { stroke: #7b8794 }
.title { font-size: 19px; font-weight: 650 } .panel { font-size: 13px; font-weight: 650 } .job { font-weight: 600 }
.quiet { fill: #66727f; font-size: 11px } .value { fill: #52606d; font-size: 10.5px }
.ours { fill: #1d4ed8; font-weight: 650 }
.ray { fill: #c9d1db } .daft { fill: #9aa8b8 } .hand { fill: #5f6f82 } .lightdata { fill: #2f6bff }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.page { fill: #0d1117; stroke: #30363d } .band { fill: #151b23 } .grid { stroke: #2a313a } .zero { stroke: #8b949e }
.quiet { fill: #8b949e } .value { fill: #a9b4c0 } .ours { fill: #79b0ff }
.ray { fill: #4d5866 } .daft { fill: #687687 } .hand { fill: #a3b1c1 } .lightdata { fill: #4c8dff }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """An axis and what stands on it."""

    letter: str
    title: str
    left: float
    right: float
    lowest: float
    highest: float
    ticks: Sequence[float]
    origin: float
    """Where bars begin."""

    scale: Callable[[float], float]
    """What makes values equal in length: their logarithm, or nothing."""

    figure: Callable[[Run], float]
    tick_label: Callable[[float], str]
    bar_label: Callable[[Run], str]

    def x(self, value: float) -> float:
        """Give the place of a value, pixels."""
        low, high = self.scale(self.lowest), self.scale(self.highest)
        return self.left + (self.scale(value) - low) / (high - low) * (self.right - LABEL_ROOM - self.left)


def plot(results: Results) -> str:
    """Draw both panels."""
    systems, jobs = results.systems(), results.jobs()
    height = TOP + len(jobs) * group_height(systems) + BOTTOM
    panels = (speed_panel(results), memory_panel(results))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="Speed and memory of {escape(", ".join(SYSTEMS[one] for one in systems))}">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>',
        *heading(results),
        *job_names(jobs, systems),
        *(part for panel in panels for part in drawn(panel, results, height - BOTTOM)),
        text(24, height - 18, footnote(results), "quiet"),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def group_height(systems: Sequence[str]) -> int:
    """Give the height of one job."""
    return len(systems) * PITCH + GAP


def baseline(results: Results) -> str:
    """Choose whom the others are compared with: the first there is."""
    return results.systems()[0]


def speed_panel(results: Results) -> Panel:
    """Compare whole processes with those of the baseline."""
    medians, base = results.medians(), baseline(results)

    def ratio(run: Run) -> float:
        return medians[run.job, base].wall_s / run.wall_s

    ratios = [ratio(run) for run in medians.values() if (run.job, base) in medians]
    ticks = log_ticks(min(ratios), max(ratios))
    return Panel(
        letter="A",
        title=f"Times as fast as {SYSTEMS[base]}, whole process",
        left=LEFT,
        right=590,
        lowest=min(ticks),
        highest=max(*ticks, *ratios),
        ticks=ticks,
        origin=1,
        scale=math.log,
        figure=ratio,
        tick_label=lambda value: f"{value:g}x",
        bar_label=lambda run: seconds(run.wall_s),
    )


def memory_panel(results: Results) -> Panel:
    """Compare what all processes together hold at most."""
    most = max(run.peak_mb for run in results.medians().values())
    ticks = linear_ticks(most)
    return Panel(
        letter="B",
        title="Peak memory of all processes, MB",
        left=612,
        right=WIDTH - 12,
        lowest=0,
        highest=max(*ticks, most),
        ticks=ticks,
        origin=0,
        scale=float,
        figure=lambda run: run.peak_mb,
        tick_label=lambda value: f"{value:,.0f}",
        bar_label=lambda run: f"{run.peak_mb:,.0f}",
    )


def log_ticks(lowest: float, highest: float) -> list[float]:
    """Give 1, 2, 5, 10 and so on, from below the lowest to the last below the highest.

    >>> log_ticks(0.7, 30)
    [0.5, 1, 2, 5, 10, 20]
    """
    steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500]
    first = max((step for step in steps if step <= min(lowest, 1)), default=steps[0])
    return [step for step in steps if first <= step <= max(highest, 2)]


def linear_ticks(highest: float) -> list[float]:
    """Give zero and up to five round numbers.

    >>> linear_ticks(2115)
    [0, 500, 1000, 1500, 2000]
    """
    size = 10 ** math.floor(math.log10(highest))
    step = next(step for part in (0.1, 0.2, 0.5, 1, 2, 5) if highest / (step := part * size) <= 5)
    return [round(step * number) for number in range(int(highest / step) + 1)]


def heading(results: Results) -> Iterator[str]:
    """Draw the title and the legend."""
    yield text(24, 36, f"The same work on {results.about['photos']:,} photos", "title")
    x = 24.0
    for system in results.systems():
        yield f'<rect class="{system}" x="{x}" y="51" width="12" height="12" rx="2.5"/>'
        yield text(x + 18, 61, SYSTEMS[system], "ours" if system == "lightdata" else "")
        x += 48 + 7 * len(SYSTEMS[system])


def job_names(jobs: Sequence[str], systems: Sequence[str]) -> Iterator[str]:
    """Draw what the groups of bars are, on bands that part them."""
    step = group_height(systems)
    for number, job in enumerate(jobs):
        top = TOP + number * step
        if number % 2 == 0:
            yield f'<rect class="band" x="10" y="{top}" width="{WIDTH - 20}" height="{step}" rx="5"/>'
        yield text(24, top + step / 2 - 3, job, "job")
        yield text(24, top + step / 2 + 12, CAPTIONS[job], "quiet")


def drawn(panel: Panel, results: Results, bottom: float) -> Iterator[str]:
    """Draw a panel: its axis, then its bars."""
    yield text(panel.left, TOP - 34, panel.letter, "panel")
    yield text(panel.left + 18, TOP - 34, panel.title, "panel")
    for tick in panel.ticks:
        x = panel.x(tick)
        kind = "zero" if tick == panel.origin else "grid"
        yield f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}"/>'
        yield text(x, TOP - 11, panel.tick_label(tick), "quiet", "middle")
    medians, systems = results.medians(), results.systems()
    for row, job in enumerate(results.jobs()):
        for place, system in enumerate(systems):
            top = TOP + row * group_height(systems) + GAP / 2 + place * PITCH + (PITCH - BAR) / 2
            yield from bar(panel, medians.get((job, system)), system, top)


def bar(panel: Panel, run: Run | None, system: str, top: float) -> Iterator[str]:
    """Draw a bar from the origin to its value, and the figure behind it."""
    origin = panel.x(panel.origin)
    if run is None:
        yield text(origin + 5, top + BAR - 1, f"{SYSTEMS[system]}: cannot", "value")
        return
    end = panel.x(panel.figure(run))
    left, right = min(origin, end), max(origin, end)
    if right - left >= 1:
        yield f'<rect class="{system}" x="{left:.1f}" y="{top}" width="{right - left:.1f}" height="{BAR}" rx="2"/>'
    yield text(right + 5, top + BAR - 1, panel.bar_label(run), "value ours" if system == "lightdata" else "value")


def footnote(results: Results) -> str:
    """Say where and when."""
    about = results.about
    return (
        f"Bars of A are labelled with seconds from the start of the process to its end. Medians of runs in turn "
        f"({about['repeat']} each), {about['machine']}, {about['cores']} cores, {about['date']}."
    )


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Draw a line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'
