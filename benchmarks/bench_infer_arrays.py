"""How close is a query with a model on arrays in memory to a session driven by hand, on the CPU at one thread?"""

import time

import numpy as np
import onnxruntime as ort
import pytest
from resnet import resnet

import lightdata as ld
from lightdata.inference.preprocess import IMAGENET_MEAN, IMAGENET_STD

ROWS = 128


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "resnet18.onnx"
    path.write_bytes(resnet(18).SerializeToString())
    return path


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (ROWS, 224, 224, 3), np.uint8)


@pytest.fixture(scope="module")
def session(model):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def prepared(batch):
    mean, std = (np.array(one, np.float32).reshape(3, 1, 1) for one in (IMAGENET_MEAN, IMAGENET_STD))
    return (np.ascontiguousarray(batch.transpose(0, 3, 1, 2)) * np.float32(1 / 255) - mean) / std


@pytest.mark.timeout(600)
def test_a_query_beside_a_session_driven_by_hand(benchmark, model, pixels, session):
    before = ld.config()
    ld.config(workers=0)
    parts = [pixels[start : start + 8] for start in range(0, ROWS, 8)]
    ready = [prepared(part) for part in parts]
    query = ld.from_numpy({"image": pixels}).infer(model, device="cpu").select("logits")
    runs = {
        "bare": lambda: [session.run(None, {"input": one}) for one in ready],
        "by hand": lambda: [session.run(None, {"input": prepared(part)}) for part in parts],
        "lightdata": query.collect,
    }
    seconds = {name: [] for name in runs}
    for _ in range(6):  # in turns, and the time of this process alone: the machine is shared
        for name, run in runs.items():
            started = time.process_time()
            run()
            seconds[name].append(time.process_time() - started)
    best = {name: min(found) for name, found in seconds.items()}
    benchmark.extra_info.update({name: round(one / ROWS * 1e3, 3) for name, one in best.items()})
    print({name: f"{one / ROWS * 1e3:.3f} ms, {best['bare'] / one:.3f} of bare" for name, one in best.items()})
    benchmark.pedantic(query.collect, rounds=1)
    ld.config(workers=before.workers)
    assert best["bare"] / best["lightdata"] >= 0.95
