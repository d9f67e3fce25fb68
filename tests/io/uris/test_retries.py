"""Which faults are tried again, how often, and with which pauses."""

import errno
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightdata.io.uris.retries import MOST_ASKED_PAUSE_S, MOST_PAUSE_S, PassingError, may_pass, retried


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        ConnectionResetError(),
        BrokenPipeError(),
        OSError(errno.EIO, "x"),
        OSError(errno.EHOSTUNREACH, "x"),
    ],
)
def test_faults_of_networks_and_disks_may_pass(error):
    """Lost connections, timeouts and EIO are tried again."""
    assert may_pass(error)


@pytest.mark.parametrize(
    "error",
    [FileNotFoundError(), PermissionError(), IsADirectoryError(), OSError(errno.ENOSPC, "x"), ValueError(), None],
)
def test_other_faults_stay(error):
    """A file that is not there will not be there the next time."""
    assert not may_pass(error)


@given(faults=st.integers(0, 12), retries=st.integers(0, 12), asked=st.floats(0, 1e9))
def test_tries_and_pauses(faults, retries, asked):
    """There is a pause before every try but the first, bounded and never shorter than asked for within bounds."""
    pauses, tries = [], []

    def attempt(number):
        tries.append(number)
        if number < faults:
            raise PassingError("no", pause_s=asked)
        return "yes"

    try:
        found = retried(attempt, retries=retries, pause=pauses.append)
    except PassingError:
        found = "no"
    assert found == ("yes" if faults <= retries else "no")
    assert tries == list(range(min(faults, retries) + 1))
    assert len(pauses) == len(tries) - 1
    assert all(min(asked, MOST_ASKED_PAUSE_S) <= one <= max(MOST_PAUSE_S, MOST_ASKED_PAUSE_S) for one in pauses)


def test_tries_that_take_long_are_fewer():
    """Once tries have taken so many seconds together, without the pauses, there is no other."""
    tries = []

    def attempt(number):
        tries.append(number)
        time.sleep(0.05)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        retried(attempt, retries=9, pause=lambda _: time.sleep(0.06), most_s=0.149)
    assert tries == [0, 1, 2]


def test_a_fault_that_stays_ends_it():
    """No pause is made for what will not change."""
    with pytest.raises(FileNotFoundError):
        retried(lambda _: os.stat("/nothing/here"), retries=5, pause=pytest.fail)
