"""Whether two plans are one query, as far as another process can tell."""

import functools
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import lightdata as ld
from lightdata.plan.fingerprint import fingerprint

SCRIPT = """
import functools, sys
import numpy as np, polars as pl
import lightdata as ld
from lightdata.plan.fingerprint import fingerprint
SIZE, NAMES = 3, {"cat", "dog", "ant", "bee"}
class Model:
    def __init__(self, path):
        self.path = path
    def __call__(self, batch):
        return {"x": batch["id"] + SIZE}
def add(row, by, *, names=frozenset(NAMES)):
    class Local:
        value = by
    return {"x": row["id"] + Local.value, "known": "cat" in {"cat", "dog"}}
local = np.arange(1000)
data = ld.range(10).map(add, fn_args=(2,)).filter(ld.col("x").is_in([1, 2]) & ld.col("known"))
data = data.map_batches(Model, fn_constructor_args=("m",), concurrency=1).map(functools.partial(add, by=local))
data = data.with_columns(y=pl.col("x").map_elements(lambda x: x + SIZE, return_dtype=pl.Int64))
print(fingerprint(data._plan))
"""


def test_the_same_script_gives_the_same_in_every_process(tmp_path):
    """Neither the order of sets, nor where objects lie, nor where code stands in its file, makes another query."""
    told = set()
    for seed in ("1", "2", "3"):
        path = tmp_path / f"{seed}.py"
        path.write_text("\n" * int(seed) + SCRIPT)
        ran = subprocess.run(
            [sys.executable, str(path)], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        told.add(ran.stdout)
    assert len(told) == 1


def number(value):
    return lambda row: {"x": row["id"] + value}


def called(value, by=1):
    return value + by


CHANGES = {
    "a constant": (lambda row: {"x": 1}, lambda row: {"x": 2}),
    "what a closure holds": (number(1), number(2)),
    "a default": (lambda row, by=1: by, lambda row, by=2: by),
    "a function that is called": (lambda row: called(row) + 1, lambda row: fingerprint(row) + 1),
    "a bound argument": (functools.partial(called, by=1), functools.partial(called, by=2)),
    "an array": (number(np.arange(5)), number(np.arange(1, 6))),
    "bytes": (number(b"ab"), number(b"ac")),
    "an array of objects": (number(np.array([{}, "a"], object)), number(np.array([{}, "b"], object))),
    "a nested function": (lambda row: max(row, key=lambda x: x), lambda row: max(row, key=lambda x: -x)),
}


@pytest.mark.parametrize(("first", "second"), CHANGES.values(), ids=CHANGES.keys())
def test_a_function_that_does_something_else_makes_another_query(first, second):
    """Its code, and what it finds outside itself, count."""
    data = ld.range(10)
    prints = [fingerprint(data.map(function)._plan) for function in (first, second, first)]
    assert prints[0] == prints[2] != prints[1]


def test_every_argument_of_a_step_counts(tmp_path):
    """Another path, size, option, expression or type makes another query; so does another order of steps."""
    for name in "ab":
        (tmp_path / name).mkdir()
    pixels = np.zeros((4, 8, 8, 3), np.uint8)
    image = ld.col("image").image
    queries = [
        ld.from_numpy({"image": pixels}),
        ld.from_numpy({"image": pixels[:3]}),
        ld.from_numpy({"image": pixels}).with_columns(image=image.resize(4, 4)),
        ld.from_numpy({"image": pixels}).with_columns(image=image.resize(4, 5)),
        ld.from_numpy({"image": pixels}).with_columns(x=pl.lit(1)),
        ld.from_numpy({"image": pixels}).with_columns(x=pl.lit(1.0)),
        ld.read_images(tmp_path / "a", include_paths=True),
        ld.read_images(tmp_path / "b", include_paths=True),
        ld.read_images(tmp_path / "a", include_paths=True, on_error="skip"),
        ld.range(9).filter(ld.col("id") > 3).limit(2),
        ld.range(9).limit(2).filter(ld.col("id") > 3),
    ]
    assert len({fingerprint(query._plan) for query in queries}) == len(queries)
