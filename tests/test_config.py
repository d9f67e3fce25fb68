"""The memory limit is one setting with two names."""

import subprocess
import sys

import pytest

import lightdata as ld
from lightdata.config import LEAST_BATCH_BYTES, MOST_BATCH_BYTES, batch_bytes_for, batch_limit, memory_limit


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    yield
    ld.config(**{name: getattr(before, name) for name in before.__slots__})


def test_the_limit_is_given_in_bytes_or_words():
    """Both names set the same number, and ``None`` goes back to what is found."""
    assert ld.config(memory_limit="1.5GiB").memory_limit_bytes == memory_limit() == 3 << 29
    assert ld.config(memory_limit_bytes=1 << 30).memory_limit_bytes == memory_limit() == 1 << 30
    assert ld.config(memory_limit=None).memory_limit_bytes is None
    assert memory_limit() >= 64 << 20


def test_wrong_limits_are_refused():
    """The error says what is allowed, and the setting stays."""
    ld.config(memory_limit="1GB")
    with pytest.raises(ValueError, match="memory_limit must be a positive number of bytes, or text such as '2GB'"):
        ld.config(memory_limit="much")
    with pytest.raises(ValueError, match="one setting"):
        ld.config(memory_limit="1GB", memory_limit_bytes=1)
    with pytest.raises(ValueError, match="memory_limit_bytes must be a positive number"):
        ld.config(memory_limit_bytes=0)
    assert memory_limit() == 10**9


def test_batches_follow_the_limit_unless_they_are_set():
    """A batch has a small part of the limit, between two bounds, or what the user says."""
    ld.config(memory_limit="64MiB", batch_bytes=None)
    assert LEAST_BATCH_BYTES <= batch_limit() <= 4 << 20
    assert batch_bytes_for(1) == LEAST_BATCH_BYTES
    assert batch_bytes_for(1 << 50) == MOST_BATCH_BYTES
    ld.config(batch_bytes=12345)
    assert batch_limit() == 12345


def test_who_asks_for_no_memory_pays_nothing():
    """Importing lightdata and setting a number of bytes load neither the search for memory nor the parser."""
    script = (
        "import sys, lightdata as ld; ld.config(memory_limit_bytes=5);"
        "print([name for name in sys.modules if name in ('lightdata.free_memory', 'lightdata.byte_count', 'resource')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_limits_on_files_are_checked_when_they_are_set():
    """Each limit is a positive number; none can be set to what nothing here could hold to."""
    for name in ("max_image_pixels", "max_frames", "max_file_bytes"):
        for wrong in (0, -1, 1.5, True, None, "many"):
            with pytest.raises(ValueError, match=name):
                ld.config(**{name: wrong})
    for name in ("max_expansion", "max_image_expansion"):
        for wrong in (0, 0.5, True, None, "many", float("nan")):
            with pytest.raises(ValueError, match=f"{name} must be a number of times"):
                ld.config(**{name: wrong})
        assert getattr(ld.config(**{name: float("inf")}), name) == float("inf")
    with pytest.raises(ValueError, match="max_image_pixels can be at most 178956970; Pillow refuses"):
        ld.config(max_image_pixels=178_956_971)


def test_the_largest_file_may_be_given_in_words():
    """``max_file_bytes`` takes text as ``memory_limit`` does."""
    assert ld.config(max_file_bytes="1.5GiB").max_file_bytes == 3 << 29
    assert ld.config(max_file_bytes=10).max_file_bytes == 10
