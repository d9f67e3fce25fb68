import xml.etree.ElementTree as ET

import pytest
from peer_plot import CAPTIONS, linear_ticks, log_ticks, memory_panel, plot, speed_panel
from peer_runs import JOBS, Results, Run

ABOUT = {"photos": 1000, "repeat": 3, "machine": "Some & CPU", "cores": 2, "date": "2026-11-27"}
SVG = "{http://www.w3.org/2000/svg}"


def run(system, job, wall_s, peak_mb):
    return Run(system=system, job=job, rows=1, wall_s=wall_s, start_s=0, job_s=1, cpu_s=1, peak_mb=peak_mb)


RESULTS = Results(
    about=ABOUT,
    runs=[
        run("ray", "decode", 20, 1400),
        run("daft", "decode", 40, 900),
        run("lightdata", "decode", 2, 200),
        run("ray", "brightness", 10, 1200),
        run("lightdata", "brightness", 1, 250),
    ],
)


def bars(system):
    """Find the bars of a system, as (left, width); the key of the legend is no bar."""
    found = ET.fromstring(plot(RESULTS)).iter(f"{SVG}rect")  # noqa: S314 - made here
    return [(float(one.get("x")), float(one.get("width"))) for one in found if one.get("class") == system][1:]


def test_bars_are_as_long_as_their_figures():
    """Ten times as fast is a bar from one to ten; memory is as long as it is much."""
    speed, memory = speed_panel(RESULTS), memory_panel(RESULTS)
    (left, width), (_, held) = min(bars("lightdata")), max(bars("lightdata"))
    assert left == pytest.approx(speed.x(1), abs=0.1)
    assert width == pytest.approx(speed.x(10) - speed.x(1), abs=0.1)
    assert held in [pytest.approx(memory.x(mb) - memory.x(0), abs=0.1) for mb in (200, 250)]


def test_the_baseline_has_no_bar_of_speed():
    """It is the line that the others begin at."""
    assert all(left >= memory_panel(RESULTS).left for left, _ in bars("ray"))


def test_who_is_slower_than_the_baseline_goes_left():
    """Half as fast is a bar from a half to one."""
    left, width = min(bars("daft"))
    assert left == pytest.approx(speed_panel(RESULTS).x(0.5), abs=0.1)
    assert left + width == pytest.approx(speed_panel(RESULTS).x(1), abs=0.2)


def test_what_a_system_cannot_is_said():
    """In both panels, in place of a bar."""
    words = [one.text for one in ET.fromstring(plot(RESULTS)).iter(f"{SVG}text")]  # noqa: S314 - made here
    assert words.count("Daft: cannot") == 2
    assert any("Some & CPU" in word for word in words)


def test_every_job_has_a_caption():
    """And there is none for another."""
    assert set(CAPTIONS) == set(JOBS)


def test_the_plot_has_colours_for_dark_pages():
    """As the reader's system says."""
    assert "prefers-color-scheme: dark" in plot(RESULTS)


@pytest.mark.parametrize("highest", [3, 10, 99, 1000, 2115])
def test_linear_ticks_are_few_and_reach_almost_to_the_end(highest):
    """From zero, at most six of them."""
    ticks = linear_ticks(highest)
    assert ticks[0] == 0
    assert len(ticks) <= 6
    assert highest / 2 < ticks[-1] <= highest


@pytest.mark.parametrize(("lowest", "highest"), [(1, 1.1), (0.3, 4), (1, 55)])
def test_log_ticks_hold_one(lowest, highest):
    """Bars begin there, and the lowest figure is no lower than the first."""
    ticks = log_ticks(lowest, highest)
    assert 1 in ticks
    assert ticks[0] <= lowest
