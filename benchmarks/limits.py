"""How close is each job to what the machine can do at all?

    python benchmarks/limits.py --images photos/ --model squeezenet1_1.onnx

Measures what no program can leave out, each alone on one core with everything in memory: libjpeg-turbo, scaling, ONNX
Runtime and PNG in processor time, memory and the disk in seconds. Adds up what each job needs, shares it among the
cores, and puts it beside the job of lightdata in a fresh process. Writes both tables into docs/performance.md.
"""

import argparse
import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from machine import ROOT, describe_machine
from peer_table import update_page
from process_tree import measure

sys.path.insert(0, str(Path(__file__).parent / "peers"))

from pixels import MEAN, STD, brighten, load_model

from lightdata.kernels.png import encode_png
from lightdata.kernels.raster import Raster
from lightdata.kernels.resize import resize

SIDE = 224
SAMPLE = 200
"""Photos that are measured on."""

ROWS_OF_CALL = 8
ROUNDS = 5
DISK_BYTES = 256 << 20
PART_BYTES = 16 << 20
PIXEL_BYTES = SIDE * SIDE * 3

IMPORTS = {"first": "import numpy, polars, simplejpeg", "count": "import polars"}
"""What an answer takes at least where the job itself is next to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the machine does at best; milliseconds of one core for each image, and bytes a second."""

    read_ms: float
    decode_ms: float
    decode_small_ms: float
    """At a part of its size, where twice what is wanted is left."""

    resize_ms: float
    copy_ms: float
    """Its decoded pixels, from one place in memory to another."""

    prepare_ms: float
    """Pixels to what the model takes."""

    model_ms: float
    png_ms: float
    add_ms: float
    """Adding grey levels, as the job does with NumPy."""

    memory_bytes_s: float
    """Read and written, of arrays larger than the caches."""

    disk_bytes_s: float
    """Written in parts and forced to disk."""

    png_bytes: float
    """Of one image."""


def best_s(work: Callable[[], Any], rounds: int = ROUNDS, clock: Callable[[], float] = time.perf_counter) -> float:
    """Give the seconds of the fastest of a few rounds: what the machine can do, whoever else uses it."""

    def once() -> float:
        started = clock()
        work()
        return clock() - started

    return min(once() for _ in range(rounds))


def measure_limits(paths: list[str], model: str) -> Limits:
    """Measure each part alone."""
    files = [Path(path).read_bytes() for path in paths]
    whole = [simplejpeg.decode_jpeg(data, "RGB") for data in files]
    small = [Raster(decode_small(data), "RGB") for data in files]
    scaled = [resize(image, SIDE, SIDE, "bilinear").array() for image in small]
    few = np.stack(scaled[:ROWS_OF_CALL])
    session, tensor = load_model(model), prepared(few)
    inputs = {session.get_inputs()[0].name: tensor}

    def each_ms(work: Callable[[Any], Any], things: list[Any]) -> float:
        return best_s(lambda: [work(one) for one in things], clock=time.thread_time) / len(things) * 1e3

    return Limits(
        read_ms=each_ms(lambda path: open(path, "rb").read(), paths),
        decode_ms=each_ms(lambda data: simplejpeg.decode_jpeg(data, "RGB"), files),
        decode_small_ms=each_ms(decode_small, files),
        resize_ms=each_ms(lambda image: resize(image, SIDE, SIDE, "bilinear"), small),
        copy_ms=each_ms(np.copy, whole),
        prepare_ms=each_ms(prepared, [few]) / len(few),
        model_ms=each_ms(lambda given: session.run(None, given), [inputs]) / len(few),
        png_ms=each_ms(lambda pixels: encode_png(pixels, "RGB"), scaled),
        add_ms=each_ms(brighten, scaled),
        memory_bytes_s=memory_bytes_s(),
        disk_bytes_s=disk_bytes_s(),
        png_bytes=statistics.mean(len(encode_png(pixels, "RGB")) for pixels in scaled),
    )


def decode_small(data: bytes) -> Any:
    """Decode a photo that is resized next: at 1/2, 1/4 or 1/8 of its size, if twice what is wanted is left."""
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    scale = next((one for one in (8, 4, 2) if min(height, width) >= 2 * SIDE * one), 1)
    return simplejpeg.decode_jpeg(data, "RGB", min_height=-(-height // scale), min_width=-(-width // scale))


def prepared(pixels: Any) -> Any:
    """Make a model's input: uint8 [N, H, W, 3] -> float32 [N, 3, H, W]."""
    return np.ascontiguousarray(((pixels.astype(np.float32) / 255 - MEAN) / STD).transpose(0, 3, 1, 2))


def memory_bytes_s() -> float:
    """Copy large arrays."""
    source = np.ones(256 << 20, np.uint8)
    target = np.empty_like(source)
    return 2 * source.nbytes / best_s(lambda: np.copyto(target, source))


def disk_bytes_s() -> float:
    """Write files and force each to disk."""
    part = np.random.default_rng(0).bytes(PART_BYTES)

    def write() -> None:
        with tempfile.TemporaryDirectory(dir=ROOT) as folder:
            for number in range(DISK_BYTES // PART_BYTES):
                with io.FileIO(os.path.join(folder, str(number)), "w") as file:
                    file.write(part)
                    os.fsync(file.fileno())

    return DISK_BYTES / best_s(write, rounds=3)


def needed(limits: Limits) -> dict[str, tuple[float, float, str]]:
    """Tell what each job needs: milliseconds of a core for an image, bytes on disk for an image, and of what."""
    load = limits.read_ms + limits.decode_small_ms + limits.resize_ms
    words = "read, decode, resize"
    return {
        "decode": (limits.read_ms + limits.decode_ms, 0, "read, decode"),
        "resize": (load, 0, words),
        "select": (load, 0, words),
        "resize_parquet": (load, PIXEL_BYTES, f"{words}; write {PIXEL_BYTES / 1e3:.0f} kB"),
        "brightness": (load + limits.add_ms, PIXEL_BYTES, f"{words}, add; write {PIXEL_BYTES / 1e3:.0f} kB"),
        "transcode": (
            load + limits.png_ms,
            limits.png_bytes,
            f"{words}, encode; write {limits.png_bytes / 1e3:.0f} kB",
        ),
        "classify": (load + limits.model_ms, 0, f"{words}, model"),
    }


def run_job(job: str, images: Path, model: Path, repeat: int) -> dict[str, float]:
    """Do a job of lightdata in fresh processes, and give the fastest, as the limits are the fastest."""
    runs = []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory(dir=ROOT) as folder:  # on the disk that was measured
            script = str(ROOT / "benchmarks/jobs.py")
            command = [sys.executable, script, job, str(images), str(model), f"{folder}/out"]
            taken = measure(command, {"PYTHONPATH": str(ROOT)})
        if taken.status:
            raise SystemExit(f"{job}: {taken.complaint}")
        runs.append(json.loads(taken.output.splitlines()[-1]) | {"wall_s": taken.wall_s})
    return {name: min(run[name] for run in runs) for name in ("rows", "job_s", "wall_s")}


def parts_table(limits: Limits) -> str:
    """Tell what the machine does at best."""
    rows = {
        "read a photo that the system has in memory": f"{limits.read_ms:.3f} ms",
        "decode it, libjpeg-turbo": f"{limits.decode_ms:.2f} ms",
        f"decode it at a part of its size, where 2 x {SIDE} is left": f"{limits.decode_small_ms:.2f} ms",
        f"scale it to {SIDE}x{SIDE}, antialiased bilinear, SIMD": f"{limits.resize_ms:.2f} ms",
        "copy its decoded pixels": f"{limits.copy_ms:.3f} ms",
        f"make a model's input of {SIDE}x{SIDE}, NumPy": f"{limits.prepare_ms:.2f} ms",
        f"run the model, ONNX Runtime, one thread, {ROWS_OF_CALL} rows a call": f"{limits.model_ms:.2f} ms",
        f"encode {SIDE}x{SIDE} as PNG, ISA-L": f"{limits.png_ms:.2f} ms",
        f"add 4 grey levels to {SIDE}x{SIDE}, NumPy": f"{limits.add_ms:.3f} ms",
        "memory, read and written": f"{limits.memory_bytes_s / 1e9:.1f} GB/s",
        "disk, parts of 16 MB forced to disk": f"{limits.disk_bytes_s / 1e6:,.0f} MB/s",
    }
    return "\n".join(["| one core, one image | at best |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items())])


def job_row(job: str, run: dict[str, float], need: tuple[float, float, str], limits: Limits, cores: int) -> str:
    """Put a job beside its limit: the cores' or the disk's, whichever takes longer."""
    each_ms, disk_bytes, words = need
    cores_s = run["rows"] * each_ms / 1e3 / cores
    disk_s = run["rows"] * disk_bytes / limits.disk_bytes_s
    limit_s, whose = max((cores_s, "cores"), (disk_s, "disk"))
    return f"| {job} | {words} | {limit_s:.2f} s, {whose} | {run['job_s']:.2f} s | {limit_s / run['job_s']:.0%} |"


def import_row(job: str, run: dict[str, float]) -> str:
    """Put a job that is next to nothing beside the imports that it needs, by whole processes."""
    limit_s = min(measure([sys.executable, "-c", IMPORTS[job]]).wall_s for _ in range(ROUNDS))
    wall_s = run["wall_s"]
    words = f"a process that does `{IMPORTS[job]}`"
    return f"| {job} | {words} | {limit_s:.2f} s | {wall_s:.2f} s, whole process | {limit_s / wall_s:.0%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    paths = sorted(str(path) for path in given.images.iterdir() if path.suffix.lower() in {".jpeg", ".jpg"})
    about = describe_machine()
    limits = measure_limits(paths[:: max(1, len(paths) // SAMPLE)], str(given.model))
    runs = {job: run_job(job, given.images, given.model, given.repeat) for job in (*IMPORTS, *needed(limits))}
    lines = ["| job | what it needs | at best | lightdata | share |", "|---|---|---|---|---|"]
    lines += [import_row(job, runs[job]) for job in IMPORTS]
    lines += [job_row(job, runs[job], need, limits, about["cores"]) for job, need in needed(limits).items()]
    where = f"{len(paths):,} photos; {about['machine']}, {about['cores']} cores; {about['date']}; {about['commit']}."
    tables = "\n".join([parts_table(limits), "", *lines, "", where])
    update_page(ROOT / "docs/performance.md", "limits", tables)
    print(tables)


if __name__ == "__main__":
    main()
