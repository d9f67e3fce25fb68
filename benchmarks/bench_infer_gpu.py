"""How close is a query with a model on a GPU to a bare session with bindings; do JPEGs keep it busy?

``python benchmarks/bench_infer_gpu.py [IMAGES] [--device cpu] [--rows 4096]`` prints a line of JSON for each
measurement and writes them to benchmarks/results/. Without IMAGES photos of 500x375 are drawn. ``--device cpu`` goes
the same way on the CPU, to see that the script works. Rates are those of a query that runs: what it takes to open the
model and to start processes is measured with a quarter of the rows, and taken off.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from resnet import resnet

import lightdata as ld
from lightdata.inference.device import gpu_names, resolve_placement
from lightdata.inference.session import open_runner

HERE = Path(__file__).parent
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def bare(model, device, pixels, batch):
    """Seconds of a session that is driven by hand, with one binding: bytes in, normalised in the graph."""
    runner = open_runner(model, resolve_placement(device, ()), lanes=1, in_graph=True)
    binding, session = runner.session.io_binding(), runner.session
    name, output = session.get_inputs()[0].name, session.get_outputs()[0].name

    def once():
        for start in range(0, len(pixels), batch):
            binding.bind_cpu_input(name, pixels[start : start + batch])
            binding.clear_binding_outputs()
            binding.bind_output(output, "cpu")
            session.run_with_iobinding(binding)
            binding.copy_outputs_to_cpu()

    return timed(once)


def timed(run, rounds=3):
    run()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def steady(query, rows):
    """Seconds that all rows take, without what a query takes to begin."""
    few = rows // 4
    start, whole = timed(query.head(few).collect), timed(query.collect)
    return (whole - start) / (rows - few) * rows


def drawn(folder, rows):
    sys.path.insert(0, str(HERE.parent / "examples"))
    from shapes import CLASSES, draw_shape

    draw = np.random.default_rng(0)
    for number in range(rows):
        draw_shape(CLASSES[number % len(CLASSES)], 500, 375, draw).convert("RGB").save(folder / f"{number:05d}.jpg")
    return folder


def from_memory(path, arguments, precision, results):
    pixels = np.random.default_rng(0).integers(0, 256, (arguments.rows, 224, 224, 3), np.uint8)
    model = ld.Model.of(path, device=arguments.device, precision=precision, batch_size=arguments.batch)
    hand = bare(model, arguments.device, pixels, arguments.batch)
    query = ld.from_numpy({"image": pixels}).infer(model).select("logits")
    ours = steady(query, arguments.rows)
    few = ld.from_numpy({"image": pixels[:32]})
    found = few.infer(model).take_batch(32)["logits"]
    right = few.infer(path, device="cpu", precision="fp32").take_batch(32)["logits"]
    results.append(
        {
            "model": path.stem,
            "precision": precision,
            "bare_images_per_s": round(arguments.rows / hand),
            "memory_images_per_s": round(arguments.rows / ours),
            "ratio": round(hand / ours, 3),
            "same_class_as_cpu": float((found.argmax(1) == right.argmax(1)).mean()),
            "largest_difference": float(np.abs(found - right).max()),
        }
    )


def from_files(path, folder, arguments, workers, results):
    ld.config(workers=workers)
    files = ld.read_images(folder, mode="RGB").with_columns(
        ld.col("image").image.resize_shortest(256).image.center_crop(224, 224)
    )
    rows = files.count()
    decoding = timed(lambda: sum(len(batch["image"]) for batch in files.iter_batches(batch_size=256)), rounds=1)
    query = files.infer(path, device=arguments.device, batch_size=arguments.batch).select("logits")
    seconds = steady(query, rows)
    stats = query.stats()
    results.append(
        {
            "model": path.stem,
            "workers": workers,
            "decode_images_per_s": round(rows / decoding),
            "files_images_per_s": round(rows / seconds),
            "busy": {stage.name: round(stage.busy, 2) for stage in stats.stages},
            "nodes": [stats.nodes_on_gpu, stats.nodes_on_cpu],
        }
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("images", nargs="?")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4, 8, 16])
    arguments = parser.parse_args()
    results = [{"machine": platform.node(), "gpus": gpu_names(), "device": arguments.device, "rows": arguments.rows}]
    with tempfile.TemporaryDirectory() as folder:
        photos = arguments.images
        if photos is None:
            photos = Path(folder, "photos")
            photos.mkdir()
            drawn(photos, min(arguments.rows, 2048))
        for depth in (18, 50):
            path = Path(folder, f"resnet{depth}.onnx")
            path.write_bytes(resnet(depth).SerializeToString())
            for precision in ("fp32", "tf32", "fp16"):
                from_memory(path, arguments, precision, results)
                print(json.dumps(results[-1]), flush=True)
            for workers in arguments.workers:
                from_files(path, photos, arguments, workers, results)
                print(json.dumps(results[-1]), flush=True)
    (HERE / "results").mkdir(exist_ok=True)
    name = "_".join(gpu_names()[:1] or ["cpu"]).replace(" ", "-")
    (HERE / "results" / f"infer_{arguments.device.replace(':', '')}_{name}.json").write_text(
        json.dumps(results, indent=1)
    )


if __name__ == "__main__":
    main()
