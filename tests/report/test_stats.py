"""What a person reads of a run's numbers."""

import pickle

from lightdata.errors import DecodeError
from lightdata.kernels.tally import Tally
from lightdata.report.run_log import RunLog
from lightdata.report.stats import Stats


def test_stats_read_as_a_few_lines():
    """Rows and time first, then what was done at all, then each stage."""
    stages = [
        ("read_files > decode", Tally(files_opened=10, bytes_read=40_600, images_decoded=1, tasks=2, rows=10)),
        ("infer", Tally(model_calls=1, model_rows=10, tasks=1, rows=1, nanoseconds=1_230_000_000)),
    ]
    found = Stats.of(stages, rows=10, seconds=1.5, is_finished=True)
    assert str(found) == repr(found)
    assert repr(found).splitlines() == [
        "10 rows in 1.50 s",
        "10 files opened, 40.6 kB read, 1 image decoded, 10 images in 1 model call",
        "stage 1 read_files > decode: 2 tasks, 10 rows, 0.00 s",
        "stage 2 infer: 1 task, 1 row, 1.23 s",
    ]


def test_bytes_are_told_in_the_unit_that_fits():
    """Bytes, kilobytes, megabytes and gigabytes, of a thousand each."""
    for count, words in ((1, "1 byte"), (999, "999 bytes"), (2_500_000, "2.5 MB"), (3_000_000_000, "3.0 GB")):
        found = Stats.of([("x", Tally(files_opened=1, bytes_read=count))], rows=0, seconds=0, is_finished=True)
        assert f", {words} read" in str(found)


def test_a_log_tells_what_is_so_far():
    """Numbers grow until the log is ended, then the clock stands; a value given out before stays as it was."""
    log = RunLog()
    counts = log.stage("one")
    before = log.stats()
    counts.images_decoded += 3
    log.rows += 2
    log.add_failures([DecodeError("broken")])
    during = log.stats()
    log.end()
    after = log.stats()
    assert (before.images_decoded, during.images_decoded, during.rows) == (0, 3, 2)
    assert str(during).startswith("2 rows in 0.00 s so far")
    assert not during.is_finished
    assert after.is_finished
    assert after == log.stats() == pickle.loads(pickle.dumps(after))
