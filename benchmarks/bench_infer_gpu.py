"""How close is a query with a model on a GPU to a bare session with bindings; do JPEGs keep the GPU busy?

``python benchmarks/bench_infer_gpu.py [IMAGES] [--device cpu --rows 64 --files 64]`` prints a line of JSON for each
measurement and, once all are made, writes them to a file of benchmarks/results/ (or of ``--out``) that names the
machine and the device. ``--device cpu`` goes the same way on the CPU, to see that the script works.

It needs one NVIDIA GPU with its driver (580 or later); Python 3.11 or later; onnxruntime-gpu with the libraries of CUDA
13 and cuDNN 9 (the extra ``gpu``), in place of onnxruntime and not beside it; onnx, which builds the models, puts the
normalisation into their graphs and makes half floats; and what lightdata needs. No network, no git and no files: models
have random weights and, without IMAGES (a folder of JPEG files), photos of 500x375 are drawn. Where there is
nvidia-smi, it is asked how busy the GPU was. With its defaults it takes 4 GB of memory, 200 MB of disk, some minutes.
Where nothing can be installed, ``PYTHONPATH=.`` and an interpreter that finds these packages are enough.

Rates are those of a query that runs: what it takes to open the model and to start processes is measured with a quarter
of the rows, and taken off; where that leaves nothing, there were too few rows, and the rate is null.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from machine import describe_machine, slug
from resnet import resnet

import lightdata as ld
from lightdata.inference.device import cuda_obstacle, gpu_names, resolve_placement
from lightdata.inference.session import open_runner
from lightdata.inference.versions import versions

HERE = Path(__file__).parent
PRECISIONS = ("fp32", "tf32", "fp16")
COMPARED = 32
"""Images whose results are compared with those of the CPU."""

DRAWN = 128
"""Photos that are drawn; the others are copies."""


def bare(model, device, pixels, batch, rounds):
    """Seconds of a session that is driven by hand, with one binding: bytes in, normalised in the graph."""
    runner = open_runner(model, resolve_placement(device, ()), lanes=1, in_graph=True, is_profiled=False)
    session = runner.session
    binding, name, output = session.io_binding(), session.get_inputs()[0].name, session.get_outputs()[0].name

    def once():
        for start in range(0, len(pixels), batch):
            binding.bind_cpu_input(name, pixels[start : start + batch])
            binding.clear_binding_outputs()
            binding.bind_output(output, "cpu")
            session.run_with_iobinding(binding)
            binding.copy_outputs_to_cpu()

    seconds = timed(once, rounds)
    runner.close()
    return seconds


def timed(run, rounds):
    """Seconds of the fastest round, after one that warms up."""
    run()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def steady(query, rows, rounds):
    """Seconds that all rows take, without what a query takes to begin; ``None`` where they are lost in the noise."""
    few = rows // 4
    start, whole = timed(query.head(few).collect, rounds), timed(query.collect, rounds)
    return (whole - start) / (rows - few) * rows if whole > start else None


def rate(rows, seconds):
    return None if seconds is None else round(rows / seconds, 1)


@contextmanager
def gpu_watched(found):
    """Ask nvidia-smi every tenth of a second how busy the first GPU is, and keep the mean as a share."""
    found["gpu_busy"] = None
    if shutil.which("nvidia-smi") is None:
        yield
        return
    ask = ["nvidia-smi", "--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100"]
    with subprocess.Popen(ask, stdout=subprocess.PIPE, text=True) as watcher:  # noqa: S603 - our own words
        try:
            yield
        finally:
            watcher.terminate()
            told = [int(line) for line in watcher.communicate()[0].split() if line.isdigit()]
    found["gpu_busy"] = round(statistics.mean(told) / 100, 2) if told else None


def photos_in(folder, count):
    """Draw photos of 500x375."""
    sys.path.insert(0, str(HERE.parent / "examples"))
    from shapes import CLASSES, draw_shape

    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number:06d}.jpg"
        if number < DRAWN:
            draw_shape(CLASSES[number % len(CLASSES)], 500, 375, draw).convert("RGB").save(path)
        else:
            shutil.copy(folder / f"{number % DRAWN:06d}.jpg", path)
    return folder


def from_memory(path, arguments, precision):
    """A bare session and a query, in one process each, on pixels in memory; and what they give beside the CPU."""
    ld.config(workers=1)
    model = ld.Model.of(path, device=arguments.device, precision=precision, batch_size=arguments.batch)
    (height, width), (output,) = model.images[0].size, model.outputs
    pixels = np.random.default_rng(0).integers(0, 256, (arguments.rows, height, width, 3), np.uint8)
    hand = bare(model, arguments.device, pixels, arguments.batch, arguments.rounds)
    ours = steady(ld.from_numpy({"image": pixels}).infer(model).select(output.column), arguments.rows, arguments.rounds)
    few = ld.from_numpy({"image": pixels[:COMPARED]})
    found, right = (
        few.infer(one).take_batch(COMPARED)[output.column]
        for one in (model, ld.Model.of(path, device="cpu", precision="fp32"))
    )
    return {
        "model": path.stem,
        "precision": precision,
        "bare_images_per_s": rate(arguments.rows, hand),
        "memory_images_per_s": rate(arguments.rows, ours),
        "ratio": None if ours is None else round(hand / ours, 3),
        "same_class_as_cpu": float((found.argmax(1) == right.argmax(1)).mean()),
        "largest_difference": float(np.abs(found - right).max()),
        "largest_value": float(np.abs(right).max()),
    }


def from_files(path, folder, arguments, workers):
    """A query on JPEG files, with so many workers; and how fast they are decoded alone."""
    ld.config(workers=workers)
    model = ld.Model.of(path, device=arguments.device, batch_size=arguments.batch)
    height, width = model.images[0].size
    files = ld.read_images(folder, mode="RGB").with_columns(
        ld.col("image").image.resize_shortest(max(height, width) * 8 // 7).image.center_crop(height, width)
    )
    rows = files.count()
    decoding = timed(lambda: sum(len(batch["image"]) for batch in files.iter_batches(batch_size=256)), 1)
    query, busy = files.infer(model).select(model.outputs[0].column), {}
    seconds = steady(query, rows, arguments.rounds)
    with gpu_watched(busy):
        query.collect()
    stats = query.stats()
    return {
        "model": path.stem,
        "precision": model.precision,
        "workers": workers,
        "decode_images_per_s": rate(rows, decoding),
        "files_images_per_s": rate(rows, seconds),
        "stages_busy": {stage.name: round(stage.busy, 2) for stage in stats.stages},
        **busy,
        "nodes_on_gpu": stats.nodes_on_gpu,
        "nodes_on_cpu": stats.nodes_on_cpu,
    }


def measured(arguments, folder):
    """Make all measurements, one after another."""
    photos = arguments.images or photos_in(Path(folder, "photos"), arguments.files)
    for model in arguments.models:
        path = Path(model)
        if model in ("resnet18", "resnet50"):
            path = Path(folder, f"{model}.onnx")
            path.write_bytes(resnet(int(model.removeprefix("resnet"))).SerializeToString())
        for precision in PRECISIONS:
            yield from_memory(path, arguments, precision)
        for workers in arguments.workers:
            yield from_files(path, photos, arguments, workers)


def parsed(words=None):
    parser = argparse.ArgumentParser(description="How fast are models on a GPU, from memory and from JPEGs?")
    parser.add_argument("images", nargs="?", help="a folder of JPEG files; by default photos are drawn")
    parser.add_argument("--device", default="cuda:0", help="cuda:0, or cpu to see that the script works")
    parser.add_argument("--models", nargs="+", default=["resnet18", "resnet50"], help="or ONNX files of fixed size")
    parser.add_argument("--rows", type=int, default=8192, help="images in memory: a multiple of the batch")
    parser.add_argument("--files", type=int, default=4096, help="photos to draw")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args(words)
    if arguments.rows % arguments.batch or arguments.rows < 4 * arguments.batch:
        parser.error("--rows must be a multiple of --batch, four times as much or more: calls are of one shape")
    return arguments


def main(words=None):
    arguments = parsed(words)
    missing = cuda_obstacle() if arguments.device.startswith("cuda") else None
    if missing:
        sys.exit(f"no CUDA here: {missing}")  # before photos are drawn
    names = gpu_names() if arguments.device != "cpu" else []
    results = [
        {
            **describe_machine(),
            "device": arguments.device,
            "gpus": names,
            "batch": arguments.batch,
            "rows": arguments.rows,
            "versions": {name: told for name, told in versions().items() if told != "-"},
        }
    ]
    with tempfile.TemporaryDirectory() as folder:
        for found in measured(arguments, folder):
            print(json.dumps(found), flush=True)
            results.append(found)
    arguments.out.mkdir(parents=True, exist_ok=True)
    name = slug(f"{results[0]['date']} {' '.join(names[:1]) or results[0]['machine']} infer {arguments.device}")
    (arguments.out / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
