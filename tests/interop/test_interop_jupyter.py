"""In a Jupyter kernel cells run queries, are interrupted, and run the next one; with the kernel its workers end."""

import time

import pytest
from sessions import alive, wait_until_gone

client = pytest.importorskip(
    "jupyter_client", reason="not installed; tests/interop/environments.py makes a place for it"
)
pytest.importorskip("ipykernel", reason="not installed; tests/interop/environments.py makes a place for it")

SETUP = """
import os, time
import lightdata as ld
ld.config(workers=2)
def slow(row):
    time.sleep(0.002)
    return {"pid": os.getpid()}
query = ld.range(20_000).map(slow)
"""


@pytest.fixture
def kernel(tmp_path):
    """Start a kernel, and stop it."""
    manager, talk = client.manager.start_new_kernel(cwd=str(tmp_path), startup_timeout=60)
    yield manager, talk
    talk.stop_channels()
    if manager.is_alive():
        manager.shutdown_kernel(now=True)


def outcome(talk, code):
    """Run a cell; gives what it printed and the name of its error."""
    told = {"text": ""}

    def hear(message):
        content = message["content"]
        if message["msg_type"] == "stream":
            told["text"] += content["text"]

    reply = talk.execute_interactive(code, output_hook=hear, timeout=60)
    return told["text"], reply["content"].get("ename")


@pytest.mark.slow
def test_a_cell_is_interrupted_and_the_next_one_runs(kernel):
    """Interrupting a cell raises KeyboardInterrupt within 2 s, again and again; its folder is as it was."""
    manager, talk = kernel
    assert outcome(talk, SETUP) == ("", None)
    assert outcome(talk, "print(len({row['pid'] for row in query.head(2000).take_all()}) <= 2)") == ("True\n", None)
    for verb in ("take_all()", "write_parquet('out')", "sort('pid').take_all()"):
        talk.execute(f"query.{verb}")
        time.sleep(1.5)
        began = time.monotonic()
        manager.interrupt_kernel()
        while (reply := talk.get_shell_msg(timeout=30))["msg_type"] != "execute_reply":
            pass
        assert reply["content"]["ename"] == "KeyboardInterrupt", reply["content"]
        assert time.monotonic() - began < 3.5
    assert outcome(talk, "print(os.path.exists('out'), ld.range(500).map(slow).count())") == ("False 500\n", None)


@pytest.mark.slow
def test_the_workers_of_a_kernel_end_with_it(kernel):
    """A kernel that is shut down while it holds a stream leaves no process."""
    manager, talk = kernel
    assert outcome(talk, SETUP + "stream = query.iter_rows(); print(len(next(stream)))") == ("1\n", None)
    session = manager.provisioner.pid
    assert len(alive(session)) >= 3
    manager.shutdown_kernel(now=False)
    assert wait_until_gone(session) == []
