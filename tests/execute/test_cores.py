"""How many cores a process may use."""

import pytest
from joblib import cpu_count as joblib_count

from lightdata.execute.cores import container_count, cpu_count


def test_cores_are_counted_as_joblib_does(monkeypatch):
    """The number is joblib's, also where the environment asks for fewer."""
    assert cpu_count() == joblib_count()
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert cpu_count() == joblib_count() == 1


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"cpu.max": "250000 100000\n"}, 3),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_a_container_limits_the_cores(tmp_path, files, count):
    """Both versions of control groups are read; without a limit there is none."""
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert container_count(tmp_path) == count
