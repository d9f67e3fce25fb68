"""Under pytest-xdist every worker of the tests has worker processes of its own, which end with it."""

import os
import subprocess
import sys

import pytest
from sessions import wait_until_gone

pytest.importorskip("xdist", reason="pytest-xdist is not installed; tests/interop/environments.py makes a place for it")

TESTS = """
import os
import pytest
import lightdata as ld

@pytest.mark.parametrize("turn", range(6))
def test_rows(turn, tmp_path):
    ld.config(workers=2)
    pids = {row["pid"] for row in ld.range(4000).map(lambda row: {"pid": os.getpid()}).take_all()}
    assert os.getpid() not in pids
    assert ld.range(4000).map(lambda row: {"id": row["id"] + turn}).write_parquet(tmp_path / "out").rows == 4000
"""


@pytest.mark.slow
def test_tests_that_run_side_by_side_have_workers_of_their_own(tmp_path):
    """Two processes of pytest-xdist run queries at the same time and leave no process."""
    (tmp_path / "test_them.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "test_them.py"]
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=-1, stderr=-1, text=True, start_new_session=True
    ) as process:
        out, err = process.communicate(timeout=100)
    assert "6 passed" in out, out + err
    assert wait_until_gone(process.pid) == []
