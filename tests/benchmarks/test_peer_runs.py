import pytest
from peer_runs import Failure, Results, Run, median


def run(system="ray", job="decode", *, wall_s=2.0, peak_mb=100.0):
    return Run(system=system, job=job, rows=10, wall_s=wall_s, start_s=0.5, job_s=1.0, cpu_s=3.0, peak_mb=peak_mb)


def test_a_median_is_taken_of_each_figure():
    """The slowest run and the largest may be two."""
    middle = median([run(wall_s=1, peak_mb=300), run(wall_s=9, peak_mb=100), run(wall_s=2, peak_mb=200)])
    assert (middle.wall_s, middle.peak_mb, middle.system, middle.job) == (2, 200, "ray", "decode")


def test_medians_are_of_one_job_and_system():
    """Runs of others have no part in them."""
    results = Results(about={}, runs=[run(), run("hand", wall_s=1), run(job="first", wall_s=7)])
    assert {key: one.wall_s for key, one in results.medians().items()} == {
        ("decode", "ray"): 2,
        ("decode", "hand"): 1,
        ("first", "ray"): 7,
    }


def test_jobs_and_systems_are_told_in_one_order():
    """However the runs are ordered."""
    results = Results(about={}, runs=[run("lightdata"), run("ray", "first")])
    assert results.jobs() == ["first", "decode"]
    assert results.systems() == ["ray", "lightdata"]


def test_results_come_back_from_their_file(tmp_path):
    """Runs, failures and what is said about them."""
    failure = Failure(system="daft", job="decode", reason='it said "no"')
    results = Results(about={"date": "2026-11-27"}, runs=[run(), run("hand")], failures=[failure])
    file = tmp_path / "results.json"
    file.write_text(results.to_json())
    assert Results.from_file(file) == results


@pytest.mark.parametrize("runs", [[], [run()]])
def test_results_without_failures_are_json_too(tmp_path, runs):
    """Empty lists are written as such."""
    file = tmp_path / "results.json"
    file.write_text(Results(about={}, runs=runs).to_json())
    assert Results.from_file(file).runs == runs
