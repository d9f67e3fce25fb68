"""A worker in another's place: it sends no more than that one might have, and models are spared what ended it."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
from faults.deaths import die
from PIL import Image
from tiny_models import classifier

import lightdata as ld
from lightdata.execute import processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the deaths are those of Linux")


@pytest.fixture(autouse=True)
def settings():
    before = ld.config()
    ld.config(workers=2)
    yield
    ld.config(**{name: getattr(before, name) for name in before.__slots__})


def test_those_in_the_place_of_others_share_their_credit(tmp_path):
    """What came from workers that died, and nobody took, keeps those after them waiting."""
    ld.config(memory_limit_bytes=1 << 20)

    def produce(batch):
        (tmp_path / str(batch["id"][0])).touch()
        if batch["id"][0] == 0:
            (tmp_path / "written").write_text(f"{os.getpid()}")
            (tmp_path / "written").rename(tmp_path / "pid")
            time.sleep(3)
        return {"id": batch["id"], "big": np.zeros((len(batch["id"]), 64 << 10), np.uint8)}  # 2 MB a task

    def kill_the_other():
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        own = int((tmp_path / "pid").read_text())
        for _ in range(3):
            time.sleep(0.7)
            for worker in list(processes._everyone):
                if worker.pid not in (None, own):
                    with suppress(ProcessLookupError):  # it is being replaced
                        os.kill(worker.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_the_other)
    killer.start()
    stream = (
        ld.from_numpy({"id": np.arange(32 * 40), "x": np.zeros((32 * 40, 2, 2), np.float32)})
        .map_batches(produce)
        .iter_batches(batch_size=None, prefetch_batches=0)
    )
    found = [next(stream)["id"]]
    killer.join()
    begun = len([one for one in tmp_path.iterdir() if one.name.isdigit()])
    found += [batch["id"] for batch in stream]
    assert begun <= 4
    assert np.concatenate(found).tolist() == list(range(32 * 40))


def test_those_in_the_place_of_others_have_as_much_room():
    """The arena of a worker is that of the one before it."""
    ld.config(memory_limit="8GiB")
    ids = ld.from_numpy({"id": np.arange(400), "x": np.zeros((400, 2, 2), np.float32)})
    processes.shut_down()
    pids = {row["pid"] for row in ids.map(lambda _: {"pid": os.getpid()}).take_all()}
    sizes = {worker.arena_bytes for worker in processes._everyone}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.05)
    ids.map(lambda row: die("SIGKILL") if row["id"] == 7 else {"id": row["id"]}, on_error="skip").take_all()
    assert {worker.arena_bytes for worker in processes._everyone} == sizes


def test_an_image_that_ends_each_worker_is_never_given_to_a_model(tmp_path):
    """It is one record, and the images beside it get their answers."""
    for number in range(60):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number:02d}.png")

    def breaks_decoder(row):
        from PIL import ImageFile

        if not hasattr(ImageFile, "whole_load"):
            ImageFile.whole_load = ImageFile.ImageFile.load

            def load(image):
                pixels = ImageFile.whole_load(image)
                return die("SIGSEGV") if image.im.getpixel((0, 0)) == (40, 0, 0) else pixels

            ImageFile.ImageFile.load = load
        return row

    data = ld.read_binary_files(tmp_path, include_paths=True)
    model = ld.Model.of(classifier(tmp_path / "m.onnx"), preprocess={})
    kept = data.filter(ld.col("path").str.ends_with(".png")).map(breaks_decoder, schema={"bytes": bytes, "path": str})
    for on_error in ("skip", "null"):
        query = kept.infer(model, "bytes", on_error=on_error)
        rows = query.take_all()
        nulls = [number for number, row in enumerate(rows) if row["scores"] is None]
        assert (len(rows), nulls) == ((59, []) if on_error == "skip" else (60, [40]))
        (error,) = query.errors().rows(named=True)
        assert (error["row"], error["code"], error["stage"]) == (40, "worker_died", "infer(bytes)")
        assert error["uri"].endswith("40.png")
