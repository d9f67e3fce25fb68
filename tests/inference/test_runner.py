"""The path to every device, on the CPU: bindings, padding, two calls at a time, less memory than was asked for."""

import logging
import os
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from tiny_models import classifier, images

import lightdata as ld
from lightdata.errors import DeviceError
from lightdata.inference.device import check_device, choose_device, resolve_placement
from lightdata.inference.runner import Feed, Runner, best_rows
from lightdata.inference.session import open_runner

CPU = resolve_placement("cpu", ())
NO_MEMORY = "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : BFCArena::AllocateRawInternal Failed to allocate memory"


class Injecting:
    """A session that fails where it is told to, and notes the rows of its calls."""

    def __init__(self, session, most=None, message=NO_MEMORY):
        self.session, self.most, self.message, self.rows, self.threads = session, most, message, [], set()

    def io_binding(self):
        return Noting(self.session.io_binding())

    def run_with_iobinding(self, binding):
        self.rows.append(binding.rows)
        self.threads.add(threading.current_thread().name)
        if self.most is not None and binding.rows > self.most:
            raise RuntimeError(self.message)
        self.session.run_with_iobinding(binding.binding)


class Noting:
    """A binding that knows how many rows it was given."""

    def __init__(self, binding):
        self.binding, self.rows = binding, 0

    def bind_cpu_input(self, name, array):
        self.rows = len(array)
        self.binding.bind_cpu_input(name, array)

    def __getattr__(self, name):
        return getattr(self.binding, name)


def runner(tmp_path, *, most=None, message=NO_MEMORY, rows=8, lanes=2, shape=("N", 3, 8, 8), in_graph=True):
    model = ld.Model.of(classifier(tmp_path / "m.onnx", shape=shape), preprocess={})
    opened = open_runner(model, CPU, lanes=1, in_graph=in_graph)
    session = Injecting(opened.session, most, message)
    return Runner(session, opened.model, rows=rows, most_rows=16, lanes=lanes), session


def work(pixels, rows, name):
    for start in range(0, len(pixels), rows):
        yield start, [Feed({name: pixels[start : start + rows]})]


def answers(runner, pixels, rows=8):
    found = list(runner.stream(work(pixels, rows, runner.inputs[0].port.name)))
    assert [key for key, _ in found] == list(range(0, len(pixels), rows))
    return np.concatenate([answer[0] for _, (answer,) in found])


def expected(tmp_path, pixels):
    found = ld.from_numpy({"image": pixels}).infer(tmp_path / "m.onnx", preprocess={}).take_batch(len(pixels))
    return found["scores"]


@pytest.mark.parametrize("lanes", [1, 2, 3])
@pytest.mark.parametrize("in_graph", [False, True])
def test_answers_keep_their_order(tmp_path, lanes, in_graph):
    """However many calls go on at a time, answers are those of each batch, in order; no result is overwritten."""
    run, session = runner(tmp_path, lanes=lanes, in_graph=in_graph)
    pixels = images(203)
    np.testing.assert_allclose(answers(run, pixels), expected(tmp_path, pixels), rtol=1e-5, atol=1e-6)
    assert len(session.threads) <= lanes
    run.close()


def test_every_call_of_several_lanes_has_one_shape(tmp_path):
    """The last batch is filled up, and what fills it is not seen."""
    run, session = runner(tmp_path)
    pixels = images(21)
    np.testing.assert_allclose(answers(run, pixels), expected(tmp_path, pixels), rtol=1e-5, atol=1e-6)
    assert set(session.rows) == {8}
    run.close()


def test_large_batches_are_shared_out_among_lanes(tmp_path):
    """A batch of several calls is computed by all lanes."""
    run, session = runner(tmp_path)
    pixels = images(64)
    np.testing.assert_allclose(answers(run, pixels, rows=64), expected(tmp_path, pixels), rtol=1e-5, atol=1e-6)
    assert session.rows == [8] * 8
    run.close()


@pytest.mark.parametrize("lanes", [1, 2])
@pytest.mark.parametrize(
    "message",
    [NO_MEMORY, "CUDA failure 2: out of memory ; GPU=0", "CUDNN_STATUS_ALLOC_FAILED", "CUDA_ERROR_OUT_OF_MEMORY"],
)
def test_less_memory_halves_the_calls(tmp_path, caplog, lanes, message):
    """Calls that do not fit are made again with half the rows, later ones are as small, and the log says so."""
    run, session = runner(tmp_path, most=3, message=message, lanes=lanes)
    pixels = images(50)
    with caplog.at_level(logging.WARNING, "lightdata"):
        found = answers(run, pixels)
    np.testing.assert_allclose(found, expected(tmp_path, pixels), rtol=1e-5, atol=1e-6)
    assert run.rows == 2
    assert max(session.rows[-5:]) <= 2
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"the device has no memory for {n} rows in one call; going on with {n // 2}" for n in (8, 4)]
    run.close()


def test_no_memory_for_a_single_row_is_an_error(tmp_path):
    """Where nothing is left to halve, a DeviceError says so."""
    run, _ = runner(tmp_path, most=0)
    with pytest.raises(DeviceError, match=r"no memory for 1 rows of m\.onnx"):
        answers(run, images(3))
    run.close()


def test_graphs_of_a_fixed_number_of_rows_are_not_halved(tmp_path):
    """A graph that takes only 4 rows cannot be given fewer."""
    run, _ = runner(tmp_path, most=0, rows=4, shape=(4, 3, 8, 8))
    with pytest.raises(DeviceError, match="no memory for 4 rows"):
        answers(run, images(3))
    run.close()


@pytest.mark.parametrize("lanes", [1, 2])
def test_other_failures_are_raised_after_the_answers_before_them(tmp_path, lanes):
    """What fails while the next batch is made does not swallow the batches before it."""
    run, _ = runner(tmp_path, lanes=lanes)

    def broken():
        yield from work(images(24), 8, run.inputs[0].port.name)
        raise ValueError("the fourth batch")

    found = []
    with pytest.raises(ValueError, match="the fourth batch"):
        found.extend(key for key, _ in run.stream(broken()))
    assert found == [0, 8, 16]
    run.close()


def test_failures_of_the_session_are_its_own(tmp_path):
    """An error that has nothing to do with memory is raised as it is, and nothing is tried again."""
    run, session = runner(tmp_path, most=0, message="unsupported data type")
    with pytest.raises(RuntimeError, match="unsupported"):
        answers(run, images(8))
    assert session.rows == [8]
    run.close()


def test_a_stream_may_be_left(tmp_path):
    """Who stops listening ends what has begun, and the runner can be used again."""
    run, _ = runner(tmp_path)
    stream = run.stream(work(images(80), 8, run.inputs[0].port.name))
    assert next(stream)[0] == 0
    stream.close()
    assert len(answers(run, images(8))) == 8
    run.close()


def test_buffers_are_locked_and_freed(tmp_path):
    """Each lane locks the buffer it is read from, once, and unlocks it at the end."""
    held = []

    def pin(buffer):
        held.append(buffer.nbytes)
        return lambda: held.remove(buffer.nbytes)

    opened = open_runner(ld.Model.of(classifier(tmp_path / "m.onnx"), preprocess={}), CPU, lanes=1, in_graph=True)
    run = Runner(opened.session, opened.model, rows=8, most_rows=8, lanes=2, pin=pin)
    pixels = images(64)
    np.testing.assert_allclose(answers(run, pixels), expected(tmp_path, pixels), rtol=1e-5, atol=1e-6)
    assert set(held) == {8 * 8 * 8 * 3}
    assert 1 <= len(held) <= 2
    run.close()
    assert held == []


def test_the_rows_of_a_call_are_found(tmp_path):
    """batch_size="auto" settles on a number, and gives the same results."""
    path = classifier(tmp_path / "m.onnx")
    pixels = images(70)
    ds = ld.from_numpy({"image": pixels})
    found = ds.infer(path, preprocess={}, batch_size="auto").take_batch(70)["scores"]
    np.testing.assert_allclose(found, expected(tmp_path, pixels), rtol=1e-5, atol=1e-6)


def test_rows_that_do_not_fit_are_not_chosen():
    """A size that there is no memory for ends the search with the one before it."""

    def seconds(rows):
        if rows > 4:
            raise RuntimeError("out of memory")
        return 1.0

    assert best_rows(seconds, 64) == 4


@pytest.mark.parametrize(
    ("device", "missing", "gpus", "chosen"),
    [
        ("auto", "no driver", 0, "cpu"),
        ("auto", None, 1, "cuda"),
        ("cpu", None, 1, "cpu"),
        ("cuda", None, 2, "cuda"),
        ("cuda:1", None, 2, "cuda:1"),
    ],
)
def test_the_device_follows_from_what_is_there(device, missing, gpus, chosen):
    """Auto takes CUDA where nothing is missing; the others are what was asked for."""
    assert choose_device(device, missing, gpus) == chosen


@pytest.mark.parametrize(
    ("device", "missing", "gpus", "words"),
    [
        ("cuda", "libcudnn.so.9: cannot open shared object file", 1, r"libcudnn\.so\.9.*use device='cpu' or 'auto'"),
        ("cuda:0", "there is no NVIDIA driver", 0, "driver"),
        ("cuda:2", None, 2, "there are 2 GPUs"),
    ],
)
def test_a_device_that_is_not_there_is_refused(device, missing, gpus, words):
    """CUDA that was asked for never becomes the CPU; the error names what is missing."""
    check_device(device)
    with pytest.raises(DeviceError, match=words):
        choose_device(device, missing, gpus)


def test_the_first_call_tells_where_nodes_run(tmp_path):
    """A profile of one row counts the graph's nodes by provider, leaves no file, and changes no result."""
    model = ld.Model.of(classifier(tmp_path / "m.onnx"), preprocess={})
    run = open_runner(model, CPU, is_profiled=True)
    pixels = images(21)
    np.testing.assert_allclose(answers(run, pixels), expected(tmp_path, pixels), rtol=1e-5, atol=1e-6)
    assert run.nodes.keys() == {"CPUExecutionProvider"}
    assert 1 <= run.nodes["CPUExecutionProvider"] <= 4
    run.close()
    open_runner(model, CPU, is_profiled=True).close()
    assert list(Path(tempfile.gettempdir()).glob(f"lightdata-profile-{os.getpid()}*")) == []
