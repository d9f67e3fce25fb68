"""What goes wrong in a worker arrives as it was, with its place, and the next query works."""

import os
import signal
import sys
import time
import traceback

import numpy as np
import pytest

import lightdata as ld
from lightdata.errors import WorkerDiedError


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=2)
    yield
    ld.config(workers=before.workers)


def numbered(rows):
    return ld.from_numpy({"id": np.arange(rows), "x": np.zeros((rows, 2, 2), np.float32)})


def works():
    return [row["id"] for row in numbered(100).map(lambda row: {"id": row["id"]}).iter_rows()] == list(range(100))


def shown(error):
    return "".join(traceback.format_exception(error))


def fail_with(error, at=70):
    def faulty(row):
        if row["id"] == at:
            raise error
        return {"id": row["id"]}

    return faulty


class MineError(ValueError):
    """An error of the user's own."""


def test_an_error_keeps_its_type_and_shows_the_users_line():
    """The user's exception class arrives, with the frames of the worker and none of the engine's before them."""
    with pytest.raises(MineError, match="row 70 is odd") as caught:
        numbered(200).map(fail_with(MineError("row 70 is odd"))).take_all()
    text = shown(caught.value)
    assert "raise error" in text
    assert "in faulty" in text
    assert "lightdata: in map(faulty), row 6 of its batch" in text
    assert works()


def test_an_error_of_a_class_made_in_a_function_keeps_its_type():
    """A class that only the calling process can import is the same class when it comes back."""

    class LocalError(Exception):
        pass

    def faulty(row):
        raise LocalError("here")

    with pytest.raises(LocalError, match="here"):
        numbered(200).map(faulty).take_all()


@pytest.mark.parametrize("kind", [EOFError, BrokenPipeError, ConnectionResetError, OSError, KeyError, MemoryError])
def test_errors_that_pipes_know_too_are_the_users(kind):
    """A function that raises EOFError has not lost its worker."""
    with pytest.raises(kind) as caught:
        numbered(200).map(fail_with(kind("mine"))).take_all()
    assert "mine" in str(caught.value)
    assert any("map(faulty)" in note for note in caught.value.__notes__)
    assert works()


@pytest.mark.parametrize("verb", ["map", "flat_map", "filter", "map_batches"])
def test_a_note_names_the_stage_and_the_place(verb):
    """Each verb tells its name, the function's, and where."""

    def faulty(value):
        raise MineError("no")

    with pytest.raises(MineError) as caught:
        getattr(numbered(100), verb)(faulty).take_all()
    (note,) = [note for note in caught.value.__notes__ if note.startswith("lightdata:")]
    assert f"{verb}(faulty)" in note
    assert "batch" in note


def test_a_note_names_the_file(tmp_path):
    """Rows from files are named by their file."""
    for number in range(80):
        (tmp_path / f"{number:03d}.txt").write_text(str(number))

    def faulty(row):
        if row["bytes"] == b"50":
            raise MineError("bad one")
        return {"n": 1}

    with pytest.raises(MineError) as caught:
        ld.read_binary_files(tmp_path).map(faulty).take_all()
    assert str(tmp_path / "050.txt") in caught.value.__notes__[0]


def test_an_error_that_cannot_travel_is_told_in_words():
    """What cannot be pickled becomes a RuntimeError with the class, the message and the traceback."""

    class StuckError(Exception):
        def __init__(self, message):
            super().__init__(message)
            self.lock = __import__("threading").Lock()

    def faulty(row):
        raise StuckError("holds a lock")

    with pytest.raises(RuntimeError, match="StuckError: holds a lock") as caught:
        numbered(100).map(faulty).take_all()
    assert "in faulty" in shown(caught.value)
    assert any("map(faulty)" in note for note in caught.value.__notes__)
    assert works()


def test_an_error_that_cannot_be_made_again_is_told_in_words():
    """A class whose constructor wants more than its message does not break the pool."""

    class TwoError(Exception):
        def __init__(self, one, two):
            super().__init__(f"{one} and {two}")

    def faulty(row):
        raise TwoError(1, 2)

    with pytest.raises(RuntimeError, match="TwoError: 1 and 2"):
        numbered(100).map(faulty).take_all()
    assert works()


def test_an_error_without_words_arrives():
    """An exception whose own __str__ raises is still the exception."""

    class MuteError(Exception):
        def __str__(self):
            raise ValueError("no words")

    def faulty(row):
        raise MuteError

    with pytest.raises(MuteError):
        numbered(100).map(faulty).take_all()
    assert works()


def test_an_error_of_many_megabytes_arrives():
    """A message larger than a pipe comes through."""

    def talk(row):
        raise MineError("x" * (20 << 20))

    with pytest.raises(MineError) as caught:
        numbered(200).map(talk).take_all()
    assert len(str(caught.value)) == 20 << 20
    assert works()


@pytest.mark.parametrize("workers", [0, 2])
def test_sys_exit_in_a_function_is_not_a_dead_worker(workers):
    """SystemExit is raised where rows are asked for, in the calling process and out of a worker alike."""
    ld.config(workers=workers)

    def faulty(row):
        sys.exit(3)

    with pytest.raises(SystemExit) as caught:
        numbered(100).map(faulty).take_all()
    assert caught.value.code == 3
    ld.config(workers=2)
    assert works()


def test_the_first_error_in_row_order_is_the_one_raised():
    """A later row that fails sooner does not win."""

    def faulty(row):
        if row["id"] == 10:
            time.sleep(0.5)
            raise MineError("the first")
        if row["id"] == 40:
            raise MineError("the second")
        return {"id": row["id"]}

    for _ in range(2):
        with pytest.raises(MineError, match="the first"):
            numbered(200).map(faulty).take_all()


def test_rows_before_an_error_are_delivered():
    """The consumer gets every row before the one that failed."""
    seen = []
    with pytest.raises(MineError):
        seen.extend(row["id"] for row in numbered(200).map(fail_with(MineError("stop"), at=100)).iter_rows())
    assert seen == list(range(100))


def test_an_error_of_a_class_constructor_arrives():
    """A class that cannot be built says why."""

    class Broken:
        def __init__(self):
            raise MineError("no model here")

        def __call__(self, row):
            return row

    with pytest.raises(MineError, match="no model here"):
        numbered(100).map(Broken).take_all()
    assert works()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("death", ["SIGKILL", "SIGSEGV", "exit"])
def test_a_dead_worker_is_named_with_its_stage_and_its_death(workers, death):
    """A worker that dies is an error that says how and during what; the next query has new workers."""
    ld.config(workers=workers)

    def dies(row):
        if row["id"] == 40:
            if death == "exit":
                os._exit(7)
            os.kill(os.getpid(), getattr(signal, death))
            time.sleep(10)
        return {"id": row["id"]}

    with pytest.raises(WorkerDiedError) as caught:
        numbered(400).map(dies).take_all()
    assert ("exit code 7" if death == "exit" else death) in str(caught.value)
    assert "map" in str(caught.value)
    assert works()


def test_workers_that_all_die_end_the_query():
    """Every worker dead at once is one error, not a wait."""

    def dies(row):
        os.kill(os.getpid(), signal.SIGKILL)

    for _ in range(2):
        with pytest.raises(WorkerDiedError, match="SIGKILL"):
            numbered(400).map(dies).take_all()
    assert works()


def test_an_idle_worker_that_was_killed_is_replaced():
    """A worker killed between two queries changes nothing."""
    pids = {row["id"] for row in numbered(200).map(lambda row: {"id": os.getpid()}).take_all()}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    assert works()


def test_a_function_that_workers_cannot_load_says_so(tmp_path, monkeypatch):
    """A function whose module only the calling process has names that module."""
    import types

    module = types.ModuleType("only_here")
    exec("def same(row):\n    return row\n", module.__dict__)  # noqa: S102 - a module without a file
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(ModuleNotFoundError, match="only_here"):
        numbered(200).map(module.same).take_all()
    assert works()


def test_a_function_that_cannot_travel_says_so():
    """A function that holds what cannot be pickled fails where the query runs."""
    import threading

    lock = threading.Lock()

    def locked(row):
        with lock:
            return row

    with pytest.raises(TypeError, match="lock"):
        numbered(200).map(locked).take_all()
    assert works()


def test_a_wrong_return_value_is_an_error_that_names_the_function():
    """What a function must return is told, with the function."""
    with pytest.raises(ld.SchemaError, match="must return a mapping") as caught:
        numbered(100).map(lambda row: 3).take_all()
    assert "map(<lambda>)" in caught.value.__notes__[0]


def test_a_stage_behind_a_failed_one_leaves_no_worker_busy():
    """When the second of two stages fails, the workers of the first come to rest though the error is kept."""
    from lightdata.execute import processes

    def faulty(batch):
        raise MineError("second stage")

    query = numbered(3200).flat_map(lambda row: [row]).map_batches(faulty, batch_size=10)
    with pytest.raises(MineError) as caught:
        query.take_all()
    busy = processes._everyone - set(processes._idle)
    assert caught.value is not None
    assert [worker for worker in busy if worker.process.is_alive()] == []


def test_a_worker_that_waits_long_for_a_task_still_has_its_stage():
    """Of a warm pool, a worker with nothing to do for seconds in the midst of a run goes on with it afterwards."""

    def slow_first(row):
        if row["id"] == 0:
            time.sleep(2.5)
        return {"id": row["id"]}

    assert works()
    assert [row["id"] for row in numbered(600).map(slow_first).iter_rows()] == list(range(600))
