"""Workers are copies of one process without threads, which tells how they end and ends with its parent."""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from test_pool_ends import start, wait_until_gone

import lightdata as ld
from lightdata.execute import processes
from lightdata.execute.forkserver import ENVIRONMENT, ForkedProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers are fresh interpreters")


@pytest.fixture(autouse=True)
def workers():
    """Have workers: without them it would be the parent of this process that is asked about, and killed."""
    ld.config(workers=2)


def numbered(rows):
    return ld.from_numpy({"id": np.arange(rows), "x": np.zeros((rows, 2, 2), np.float32)})


def seen_by_workers(ask):
    """What a function finds in each worker."""
    return {row["seen"] for row in numbered(200).map(lambda row: {"seen": ask()}).take_all()}


def test_the_server_runs_one_thread():
    """Only a process with one thread may be copied; a worker has its own, and its parent is the server."""
    parents = seen_by_workers(os.getppid)
    assert len(parents) == 1
    (server,) = parents
    assert len(os.listdir(f"/proc/{server}/task")) == 1
    assert server != os.getpid()


def test_copies_draw_other_numbers():
    """Workers do not share the state of random generators."""

    def draw():
        return f"{random.random()} {np.random.random()}"

    assert len(seen_by_workers(draw)) == len(numbered(200).take_all())


def test_settings_for_memory_do_not_reach_what_workers_start(tmp_path):
    """The environment of a worker is that of the calling process but for the thread counts."""
    script = """
import json
def environment(row):
    return {"told": json.dumps(dict(os.environ))}
(told,) = {row["told"] for row in rows(200).map(environment).take_all()}
changed = {name for name, value in json.loads(told).items() if os.environ.get(name) != value}
say(json.dumps(sorted(changed | os.environ.keys() - json.loads(told).keys())))
"""
    out, err = start(tmp_path, script).communicate(timeout=60)
    assert err == ""
    assert set(json.loads(out)) == {name for name in ENVIRONMENT if os.environ.get(name) != ENVIRONMENT[name]}


def test_pixels_take_no_polars(tmp_path):
    """A worker that reads, decodes, resizes and writes images imports neither Polars nor ONNX Runtime."""
    script = """
from PIL import Image
for n in range(40):
    Image.new("RGB", (30, 20), (n, 0, 0)).save(f"{n:02}.png")
def loaded(batch):
    return {"seen": [" ".join({"polars", "onnxruntime", "pandas"} & sys.modules.keys())] * len(batch["image"])}
resized = ld.read_images(".", include_paths=True).with_columns(ld.col("image").image.resize(8, 8).alias("image"))
say({row["seen"] for row in resized.map_batches(loaded, schema={"seen": str}).take_all()})
"""
    run = start(tmp_path, script)
    out, err = run.communicate(timeout=60)
    assert (out, err) == ("{''}\n", "")


def test_a_server_that_was_killed_is_replaced():
    """Workers of a server that is gone are forgotten, and the next query has a new one."""
    (server,) = seen_by_workers(os.getppid)
    assert server != os.getppid()
    os.kill(server, signal.SIGKILL)
    time.sleep(0.1)
    assert seen_by_workers(os.getppid) != {server}


def test_the_server_ends_with_its_parent(tmp_path):
    """However the calling process dies, neither the server nor a worker is left."""
    script = """
say(next(iter(rows(400).map(lambda row: {"parent": os.getppid()}).iter_rows()))["parent"])
time.sleep(60)
"""
    run = start(tmp_path, script)
    server = int(run.stdout.readline())
    assert Path(f"/proc/{server}").exists()
    run.kill()
    run.communicate()
    assert not wait_until_gone(run.pid)


def test_how_a_worker_ended_is_asked_once():
    """A worker that ended has an exit code, and a killed one the signal's; asking again tells the same."""
    with processes.leased(1) as workers:
        process = workers[0].process
        assert process.is_alive()
        process.kill()
        process.join(5)
        assert not process.is_alive()
        assert process.exitcode == -signal.SIGKILL
        process.kill()  # nothing more can be done to it


def test_odd_entries_of_the_module_path(tmp_path):
    """Path objects, quotes and line breaks among the folders that modules come from do no harm."""
    script = """
from pathlib import Path
sys.path += [Path("somewhere"), "it's", 'a "quoted" one', "two\\nlines"]
say(len(rows(200).map(lambda row: {"id": row["id"]}).take_all()))
"""
    assert start(tmp_path, script).communicate(timeout=60) == ("200\n", "")


def test_several_may_ask_how_a_worker_ended():
    """A worker can be waited for once, but whoever asks is told, and the server goes on."""
    list(numbered(200).map(lambda row: row).iter_rows())
    (worker, *_) = [one for one in processes._everyone if one.process.is_alive()]
    again = ForkedProcess(worker.process._server, worker.process._number)
    worker.process.kill()
    for one in (worker.process, again):
        one.join(10)
        assert one.exitcode == -signal.SIGKILL
    assert len(numbered(200).map(lambda row: row).take_all()) == 200
    assert again._server.is_alive()
