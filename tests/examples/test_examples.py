"""The examples run as a user would run them."""

import runpy
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

import lightdata as ld

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_script(name, folder):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), str(folder)], capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_quickstart_classifies_and_writes(tmp_path):
    """The demo prints its plan and predictions, and leaves predictions and small images that can be read."""
    out = run_script("quickstart.py", tmp_path / "out")
    assert "The first predictions:" in out
    assert "optimized by: " in out
    predictions = ld.read_parquet(tmp_path / "out/predictions").select("label", "shape").collect()
    assert (predictions["label"] == predictions["shape"]).mean() > 0.95
    assert ld.read_images(tmp_path / "out/small").count() == predictions.height


def test_the_guide_runs(tmp_path):
    """Every snippet of the guide runs with lightdata in place of ray.data."""
    out = run_script("working_with_images.py", tmp_path / "guide")
    assert out.count("{'class': ") == 3
    assert "data: Tensor[uint8, (32, 32, 3)]" in out
    assert len(list((tmp_path / "guide/simple").glob("*.png"))) == 40


def test_the_torch_snippet_runs(tmp_path):
    """The guide's torch snippet runs where torch is installed."""
    pytest.importorskip("torch", reason="torch is not installed")
    out = run_script("working_with_torch.py", tmp_path / "torch")
    assert out.count("{'class': ") == 3


def test_the_model_knows_shapes_it_was_not_trained_on(tmp_path, monkeypatch):
    """At least 95 % of 400 freshly drawn pictures, of every format and size, are classified right."""
    monkeypatch.syspath_prepend(EXAMPLES)
    from shapes import draw_folder

    draw_folder(tmp_path, 400, seed=20_261)
    folders = ld.Partitioning("dir", field_names=["shape"], base_dir=str(tmp_path))
    ds = ld.read_images(tmp_path, partitioning=folders)
    ds = ds.with_columns(ld.col("image").image.to_mode("RGB").image.resize(64, 64))
    found = ds.infer(EXAMPLES / "shapes.onnx", top_k=1).select("shape", "label").collect()
    assert found.height == 400
    assert (found["shape"] == found["label"]).mean() >= 0.95


def test_the_model_is_small():
    """The weights that ship with the example stay under 200 kB."""
    assert (EXAMPLES / "shapes.onnx").stat().st_size < 200_000


def test_the_detector_is_what_its_script_writes():
    """``bright.onnx`` is the model that ``bright.py`` builds."""
    assert onnx.load(EXAMPLES / "bright.onnx") == runpy.run_path(str(EXAMPLES / "bright.py"))["bright"]()
