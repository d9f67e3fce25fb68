import pytest
from peer_runs import Results, Run
from peer_table import long_table, put_between, seconds, short_table, update_page

ABOUT = {
    "date": "2026-11-27",
    "repeat": 3,
    "photos": 1000,
    "photos_mb": 110,
    "machine": "Some CPU",
    "cores": 2,
    "memory_gb": 24,
    "python": "3.11.7",
    "commit": "abc1234",
    "systems": {"ray": {"packages": {"ray": "2.60"}}, "lightdata": {"packages": {}}},
}


def run(system, job, wall_s):
    return Run(system=system, job=job, rows=1000, wall_s=wall_s, start_s=0.5, job_s=1, cpu_s=3, peak_mb=1234.5)


RESULTS = Results(about=ABOUT, runs=[run("ray", "decode", 20), run("lightdata", "decode", 2), run("ray", "count", 6)])


def test_the_short_table_has_a_row_for_each_job():
    """Seconds and memory, in a column for each system; what a system has not done, it cannot."""
    head, _, count, decode, *_ = short_table(RESULTS).splitlines()
    assert head == "| job | Ray Data | lightdata |"
    assert count == "| count: the number of photos | 6.0 s, 1,234 MB | cannot |"
    assert decode.endswith("| 20 s, 1,234 MB | 2.0 s, 1,234 MB |")


def test_the_long_table_has_a_row_for_each_job_and_system():
    """A rate stands where there is work for each photo."""
    rows = long_table(RESULTS).splitlines()
    assert "| decode | Ray Data | 20 s | 0.50 s | 1.0 s | 3.0 s | 1,234 MB | 50 |" in rows
    assert "| count | Ray Data | 6.0 s | 0.50 s | 1.0 s | 3.0 s | 1,234 MB |  |" in rows
    assert "| count | lightdata | cannot | | | | | |" in rows


def test_the_caption_tells_machine_and_versions():
    """Without them no figure means anything."""
    caption = short_table(RESULTS).splitlines()[-1]
    assert all(word in caption for word in ("2026-11-27", "Some CPU, 2 cores, 24 GB", "Ray Data 2.60", "abc1234"))


@pytest.mark.parametrize(("value", "written"), [(0.004, "0.00 s"), (0.99, "0.99 s"), (9.94, "9.9 s"), (33.2, "33 s")])
def test_seconds_have_few_digits(value, written):
    """Two where they are below one, none from ten."""
    assert seconds(value) == written


def test_what_stands_between_the_markers_is_replaced(tmp_path):
    """The rest of the page stays, and doing it again changes nothing."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- peers -->\nold \\1\n<!-- /peers -->\nafter\n")
    for _ in range(2):
        update_page(page, "peers", "new \\1")
        assert page.read_text() == "before\n<!-- peers -->\nnew \\1\n<!-- /peers -->\nafter\n"


def test_a_page_without_a_place_is_an_error():
    """It names the markers that are missing."""
    with pytest.raises(ValueError, match="<!-- peers -->"):
        put_between("<!-- others -->\n<!-- /others -->", "peers", "text")
