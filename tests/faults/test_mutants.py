"""Damaged files of every format, read as a user reads them: rows, or errors of rows and files, and nothing else.

``read_mutants.py`` reads them in a process of its own, so that one that crashes or hangs is a failure here.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faults.as_pillow import difference
from faults.samples import FILES

import lightdata as ld

TESTS = Path(__file__).parents[1]
FEW, MANY = 40, 1000
SECONDS_FOR_EACH = 0.5
"""Seconds that a mutant may take in the mean, of all the ways to read it, on a busy machine."""


def read(formats, folder, *, seed, count):
    """Read mutants in a process of its own.

    Returns
    -------
    dict, int, str
        A report of each format that it came to, how it ended, and what it printed as an error, or had in hand.
    """
    command = [sys.executable, "-m", "faults.read_mutants", *formats, f"--seed={seed}", f"--count={count}"]
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [*command, f"--folder={folder}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=60 + SECONDS_FOR_EACH * count * len(formats))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        err += "it took too long"
    err += "".join(f"it had in hand: {at.read_text()}" for at in folder.glob("*/at"))  # if it did not clean up
    reports = [json.loads(line) for line in out.splitlines()]
    return {report["format"]: report for report in reports}, process.returncode, err


def check(name, reports, code, err):
    """Hold a report to what is promised."""
    assert name in reports, f"the process ended with {code}: {err[-3000:]}"
    report = reports[name]
    assert report["faults"] == []
    assert report["deaths"] == []
    assert sum(report["outcomes"].values()) == report["mutants"]
    assert err == ""


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """Read some mutants of each format, one format after another."""
    return read(FILES, tmp_path_factory.mktemp("few"), seed=1, count=FEW)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FILES)
def test_damaged_files_give_rows_or_errors(few, name):
    """Some mutants of each format: no crash, no hang, no lost row, no other exception, no word on standard error."""
    check(name, *few)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", FILES)
def test_a_thousand_damaged_files_give_rows_or_errors(tmp_path, name):
    """As above, a thousand of each format."""
    check(name, *read([name], tmp_path, seed=2, count=MANY))


@pytest.mark.skipif("LIGHTDATA_IMAGES" not in os.environ, reason="LIGHTDATA_IMAGES names no folder of image files")
def test_images_of_ones_own_are_those_of_pillow():
    """Each file of a folder has the pixels that plain Pillow gives it, or is an error where Pillow raises."""
    folder = Path(os.environ["LIGHTDATA_IMAGES"])
    for upright in (True, False):
        query = ld.read_images(folder, include_paths=True, on_error="null", exif_transpose=upright)
        rows = query.take_all()
        causes = dict(query.errors().select("uri", "cause").rows())
        differing = [
            f"{path}: {found}"
            for path, pixels in ((row["path"], row["image"]) for row in rows)
            if (found := difference(Path(path).read_bytes(), pixels, causes.get(path), upright=upright))
        ]
        assert differing == []
