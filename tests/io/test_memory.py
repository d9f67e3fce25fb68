"""Rows in memory travel to workers as they are, and alone."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.io.memory import BatchTask
from lightdata.io.source import Pushdowns

TABLES = {
    "numbers": pa.table({"a": np.arange(10_000), "s": pa.array(["x" * 10] * 10_000)}),
    "tensors": ld.from_numpy({"x": np.zeros((10_000, 8, 8), np.uint8)}).to_arrow(),
    "lists": pa.table({"a": pa.array([[1, 2, 3]] * 10_000), "n": pa.array([None, True] * 5_000)}),
}


def arrived(sent):
    """Unpickle, as a worker does."""
    return pickle.loads(sent)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_task_takes_no_more_than_its_rows_along(table):
    """Pickled, a few rows of a large table are small, and are the same rows."""
    tasks = list(ld.from_arrow(table)._plan.source.tasks(Pushdowns(), task_rows=32))
    sent = pickle.dumps(tasks[3], protocol=5)
    assert len(sent) < 10_000
    assert list(arrived(sent).read()) == list(tasks[3].read())


def test_rows_without_columns_and_columns_without_rows_travel():
    """The number of rows of a batch without columns is kept, and so are the types of one without rows."""
    bare = pa.record_batch({"a": [1, 2, 3]}).select([])
    assert next(arrived(pickle.dumps(BatchTask(bare))).read()).num_rows == 3
    empty = pa.record_batch({"a": pa.array([], ld.image_type())})
    assert next(arrived(pickle.dumps(BatchTask(empty))).read()).schema == empty.schema
