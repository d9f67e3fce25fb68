"""Sizes are read as people write them, and nothing else is."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightdata.byte_count import bytes_of

UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@given(
    st.integers(1, 10**6), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " "]), st.sampled_from([str.lower, str])
)
def test_a_number_and_a_unit_is_their_product(number, unit, space, case):
    """Whole numbers of a unit are read exactly, in any case, with or without a space."""
    assert bytes_of(case(f"{number}{space}{unit}"), name="size") == number * UNITS[unit]


@given(st.integers(1, 2**62))
def test_numbers_are_bytes(number):
    """A number is what it is, also as text."""
    assert bytes_of(number, name="size") == bytes_of(str(number), name="size") == number


@pytest.mark.parametrize(
    "size", [0, -1, 1.5, True, None, "", "GB", "-1GB", "0.1", "1e9", "2 cows", "1 GB 2", "٣GB", b"1"]
)
def test_what_is_no_size_is_refused(size):
    """The error names the setting, what was given, and what is allowed."""
    with pytest.raises(ValueError, match=r"size must be .*'2GB' or '512MiB'.* got "):
        bytes_of(size, name="size")


@given(st.text(max_size=8))
def test_text_is_read_or_refused(text):
    """Nothing but a ValueError comes of any text."""
    with suppress(ValueError):
        assert bytes_of(text, name="size") > 0
