"""The benchmark of models on a GPU, on the CPU with a small model: it ends, and its figures make sense."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_models import classifier

from lightdata.inference.device import cuda_obstacle

SCRIPT = Path(__file__).parents[2] / "benchmarks/bench_infer_gpu.py"


def run(out, *words, **more):
    return subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), "--out", str(out), *words],
        capture_output=True,
        text=True,
        timeout=110,
        **more,
    )


def test_it_ends_and_writes_what_it_measured(tmp_path):
    """One file names device and machine, and has every precision and number of workers; results are the CPU's."""
    metadata = {"mean": "[0.5, 0.5, 0.5]", "std": "[0.25, 0.25, 0.25]"}
    model = classifier(tmp_path / "tiny.onnx", shape=("N", 3, 32, 32), metadata=metadata)
    small = ["--rows", "32", "--files", "8", "--batch", "4", "--workers", "1", "2", "--rounds", "1"]
    done = run(tmp_path / "out", "--device", "cpu", "--models", str(model), *small)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "out").iterdir()
    about, *measured = json.loads(path.read_text())
    assert path.stem.endswith("-infer-cpu")
    assert (about["device"], about["gpus"], about["rows"]) == ("cpu", [], 32)
    assert about["versions"]["numpy"]
    assert [json.loads(line) for line in done.stdout.splitlines()] == measured
    of_memory, of_files = measured[:3], measured[3:]
    assert [one["precision"] for one in of_memory] == ["fp32", "tf32", "fp16"]
    assert all(one["bare_images_per_s"] > 0 for one in of_memory)
    assert all(one["largest_difference"] <= 0.01 * one["largest_value"] for one in of_memory)
    assert [one["workers"] for one in of_files] == [1, 2]
    assert all(one["decode_images_per_s"] > 0 for one in of_files)
    assert all(0 < busy <= 1 for one in of_files for busy in one["stages_busy"].values())


def test_it_writes_nothing_where_it_cannot_be_whole(tmp_path):
    """Rows that fill no whole calls are refused at once."""
    done = run(tmp_path / "out", "--device", "cpu", "--rows", "33", "--batch", "4")
    assert done.returncode == 2
    assert "--rows must be a multiple of --batch" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="the program is a script of a shell")
def test_the_gpu_is_watched_while_files_are_read(tmp_path):
    """The share is the mean of what nvidia-smi says until it is ended."""
    program = tmp_path / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nwhile :; do echo 40; echo 80; echo '[N/A]'; sleep 0.05; done\n")
    program.chmod(0o755)
    model = classifier(
        tmp_path / "tiny.onnx", shape=("N", 3, 32, 32), metadata={"mean": "[0, 0, 0]", "std": "[1, 1, 1]"}
    )
    small = ["--rows", "16", "--files", "8", "--batch", "4", "--workers", "1", "--rounds", "1"]
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = run(tmp_path, "--device", "cpu", "--models", str(model), *small, env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["gpu_busy"] == 0.6


@pytest.mark.skipif(cuda_obstacle() is None, reason="CUDA works here")
def test_without_cuda_it_says_what_is_missing(tmp_path):
    """Nothing is measured on the CPU in the GPU's name."""
    done = run(tmp_path / "out")
    assert done.returncode == 1
    assert "no CUDA here" in done.stderr
    assert not (tmp_path / "out").exists()
