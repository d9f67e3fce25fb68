"""GPUs for the processes of a stage: each has its own, and says so to CUDA."""

import os
import subprocess
import sys

import pyarrow as pa
import pytest

import lightdata as ld
from lightdata.errors import ArgumentError, DeviceError
from lightdata.inference.device import gpu_count
from lightdata.physical import gpu_share
from lightdata.physical.gpu_share import GpuShare, OnGpusOperator
from lightdata.physical.operators.map_batches import MapBatchesOperator
from lightdata.physical.stage import Context
from lightdata.plan.function import user_function


class Seeing:
    def __init__(self):
        self.devices = os.environ["CUDA_VISIBLE_DEVICES"]

    def __call__(self, batch):
        return {"devices": [self.devices] * len(batch["id"])}


def operator(share):
    mapper = MapBatchesOperator(
        function=user_function("map_batches", Seeing),
        batch_rows=None,
        batch_format="numpy",
        input_columns=None,
        schema=None,
    )
    return OnGpusOperator(operator=mapper, share=share)


def run(share, context):
    batches = iter([pa.record_batch({"id": [1, 2]})])
    return [row for batch in operator(share).run(batches, context) for row in batch["devices"].to_pylist()]


@pytest.mark.parametrize(
    ("devices", "each", "places"),
    [
        (("0", "1"), 1, [("0",), ("1",)]),
        (("0", "1", "2", "3"), 2, [("0", "1"), ("2", "3")]),
        (("5", "7"), 0.5, [("5",), ("7",), ("5",), ("7",)]),
        (("0",), 2, []),
        ((), 1, []),
    ],
)
def test_places_share_out_the_gpus(devices, each, places):
    """Whole GPUs belong to one process each, parts of one are spread over all."""
    share = GpuShare(devices=devices, each=each)
    assert [share.devices_of(place) for place in range(share.places)] == places


def test_a_class_sees_its_gpus_alone(monkeypatch):
    """CUDA_VISIBLE_DEVICES is set before the class is built, for each process another, and restored at the end."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,4")
    share, first, second = GpuShare(devices=("3", "4")), Context(), Context()
    assert run(share, first) == ["3", "3"]
    assert run(share, second) == ["4", "4"]
    second.close()
    first.close()
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,4"
    third = Context()
    assert run(share, third) == ["3", "3"]
    third.close()


def test_a_place_of_a_dead_process_is_free():
    """A process that ends without a word loses its place."""
    share = GpuShare(devices=("0",))
    code = (
        "import os; from lightdata.physical.gpu_share import GpuShare; "
        f"GpuShare(devices=('0',), token={share.token!r}).take(); os._exit(3)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 3
    held = share.take()
    assert held.number == 0
    held.release()
    assert not held.path.exists()


def test_no_free_place_is_an_error(monkeypatch):
    """Where all are taken for too long, a DeviceError names the GPUs."""
    monkeypatch.setattr(gpu_share, "_WAIT_S", 0.1)
    share = GpuShare(devices=("0",))
    held = share.take()
    with pytest.raises(DeviceError, match="all 1 places on the GPUs 0"):
        share.take()
    held.release()


@pytest.mark.skipif(gpu_count() > 0, reason="this machine has GPUs")
@pytest.mark.parametrize("verb", ["map", "map_batches"])
def test_a_class_without_its_gpu_does_not_run(verb):
    """Fewer GPUs than a class needs is a DeviceError that says how many there are."""
    query = getattr(ld.range(3), verb)(Seeing, num_gpus=1)
    with pytest.raises(DeviceError, match="Seeing needs num_gpus=1, and there are 0"):
        query.take(1)


@pytest.mark.parametrize("wanted", [-1, 1.5, "1", True])
def test_wrong_numbers_of_gpus_are_refused(wanted):
    """num_gpus is a whole number or a part of one, checked when the query is built."""
    with pytest.raises(ArgumentError, match="num_gpus"):
        ld.range(3).map_batches(Seeing, num_gpus=wanted)


def test_functions_have_no_gpus():
    """Only a class is built once for each process, so only it can have GPUs."""
    with pytest.raises(ArgumentError, match="num_gpus is for classes"):
        ld.range(3).map_batches(lambda batch: batch, num_gpus=1)
