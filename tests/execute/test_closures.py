"""Functions travel with all they hold, and with the place they were written at."""

import pickle
import traceback

import pytest

from lightdata.execute.closures import dumps


def made(step):
    def add(number):
        if number < 0:
            raise ValueError("negative")
        return number + step

    return add


def test_a_closure_keeps_what_it_holds():
    """A function with values of its own works after travelling."""
    assert pickle.loads(dumps(made(3)))(4) == 7
    assert [one(1) for one in pickle.loads(dumps([made(1), lambda number: -number]))] == [2, -1]


def test_a_traceback_shows_the_line_and_the_file():
    """An error in a function that has travelled names its file and shows its source."""
    with pytest.raises(ValueError, match="negative") as caught:
        pickle.loads(dumps(made(3)))(-1)
    shown = "".join(traceback.format_exception(caught.value))
    assert __file__ in shown
    assert 'raise ValueError("negative")' in shown


def test_a_class_made_in_a_function_travels():
    """Classes that no module has are taken along."""

    class Local:
        def twice(self, number):
            return 2 * number

    assert pickle.loads(dumps(Local))().twice(4) == 8
