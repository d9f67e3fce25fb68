"""What a person sees of rows and of a run."""

import logging

import numpy as np
import pytest

import lightdata as ld
from lightdata.errors import DecodeError
from lightdata.report.preview import preview_row, preview_value
from lightdata.report.run_log import RunLog


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.zeros((4, 5, 3), np.uint8), "<Image RGB 4x5>"),
        (np.zeros((4, 5), np.uint8), "<Image L 4x5>"),
        (np.zeros((4, 5, 4), np.uint8), "<Image RGBA 4x5>"),
        (np.zeros((4, 5, 3)), "<Tensor float64 (4, 5, 3)>"),
        (np.array([1, 2]), "[1, 2]"),
        (np.array(3), "3"),
        (np.float32(0.5), "0.5"),
        (b"short", "b'short'"),
        (b"x" * 33, "<33 bytes>"),
        (list(range(9)), "[0, 1, 2, 3, 4, 5, 6, 7, … 9 values]"),
        ("a\x1b[31m", "'a\\x1b[31m'"),
        (None, "None"),
    ],
)
def test_values_are_shown_briefly(value, shown):
    """Each kind of value takes a few words, and no terminal escape gets through."""
    assert preview_value(value) == shown


def test_a_row_is_one_line():
    """A row never spans lines."""
    assert preview_row({"a": "x\ny", "b": 1}) == "{'a': 'x\\ny', 'b': 1}"


def test_failures_are_told_once_with_examples(caplog):
    """Many failed rows are one warning with their number and the first three."""
    log = RunLog()
    log.add_failures(DecodeError("broken", uri=f"{n}.jpg") for n in range(10))
    with caplog.at_level(logging.WARNING, "lightdata"):
        log.tell()
    (record,) = caplog.records
    assert "10 rows failed" in record.message
    assert all(f"{n}.jpg" in record.message for n in range(3))
    assert "3.jpg" not in record.message


@pytest.mark.parametrize("workers", [0, 2])
def test_skipped_rows_of_a_run_are_told_once(tmp_path, caplog, workers):
    """Rows let go in workers are counted as those let go here."""
    for n in range(70):
        (tmp_path / f"{n:02d}.png").write_bytes(b"not an image")
    before = ld.config()
    ld.config(workers=workers)
    assert ld.read_images(tmp_path, on_error="skip").take_all() == []
    ld.config(workers=before.workers)
    (record,) = [record for record in caplog.records if record.name == "lightdata"]
    assert "70 rows failed" in record.message
    assert "00.png" in record.message
