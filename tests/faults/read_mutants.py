"""Read mutants of a format as a user does, and report what became of each.

``PYTHONPATH=.:tests python -m faults.read_mutants --seed 2 --count 1000`` prints a line of JSON for each format, or for
those that are named. What must not be is listed under ``faults``; what ends this process is for who started it to see.
"""

import argparse
import faulthandler
import json
import logging
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import polars as pl
from faults.as_pillow import difference
from faults.empty_files import holds_no_rows
from faults.mutants import mutant
from faults.samples import FILES, IMAGES, samples

import lightdata as ld
from lightdata.errors import CODES, MAX_MESSAGE
from lightdata.execute import processes

READERS = {
    "npy": ld.read_numpy,
    "npz": ld.read_numpy,
    "tfrecord": ld.read_tfrecords,
    "parquet": ld.read_parquet,
    "arrow": ld.read_arrow,
    "arrows": ld.read_arrow,
    "csv": ld.read_csv,
    "jsonl": ld.read_json,
    "json": ld.read_json,
    "txt": ld.read_text,
    "shard.tar": ld.read_webdataset,
    "images.tar": ld.read_images,
    "images.zip": ld.read_images,
}

MUTANT_S = 60
"""Seconds for one file, read in this process."""

NEVER = ("pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")
"""What no file may bring this library to do, as Python's audit events."""


@dataclass
class Report:
    """What became of the mutants of a format."""

    format: str
    seed: int
    mutants: int
    outcomes: dict[str, int] = field(default_factory=dict)
    """Mutants of which all rows came, some came, none but errors, or none at all because there are none."""

    codes: dict[str, int] = field(default_factory=dict)
    """Errors by their codes."""

    deaths: list[str] = field(default_factory=list)
    """Mutants that ended a worker, or took too long."""

    faults: list[str] = field(default_factory=list)
    """What must not be."""

    seconds: float = 0


@dataclass
class Reading:
    """What one reading of the whole folder gave, by the numbers of mutants."""

    rows: Counter
    errors: Counter
    codes: Counter
    causes: dict
    pixels: dict


class Mutants:
    """A folder of mutants behind one whole file, which tells what columns there are."""

    def __init__(self, name, seed, count, folder):
        self.name, self.folder = name, folder
        self.report = Report(name, seed, count)
        self.files = {0: samples(name)[0], **{n + 1: mutant(name, seed, n) for n in range(count)}}
        for number, content in self.files.items():
            self.path(number).write_bytes(content)

    def path(self, number):
        return self.folder / f"{number:06d}.{self.name}"

    def fault(self, words):
        self.report.faults.append(words[:600])

    def read(self, label, query):
        """Run a query over the folder, and sort what it gives by mutants."""
        reading = Reading(Counter(), Counter(), Counter(), {}, {})
        try:
            for path, pixels in paths_and_pixels(query):
                reading.rows[number_of(path)] += 1
                reading.pixels[number_of(path)] = pixels
            for error in query.errors().iter_rows(named=True):
                self.take(label, error, reading)
        except Exception as error:  # noqa: BLE001 - the point of it
            self.fault(f"{label}: {type(error).__name__}: {error}")
        return reading

    def take(self, label, error, reading):
        """Note a record of a row that failed, which must say all that there is to say."""
        number = number_of(error["uri"])
        reading.errors[number] += 1
        reading.codes[error["code"]] += 1
        reading.causes[number] = error["cause"]
        if error["code"] in ("worker_died", "timeout"):
            self.report.deaths.append(f"{label}, mutant {number - 1}: {error['cause'] or error['code']}")
        if error["code"] not in CODES or not error["stage"] or not 0 < len(error["message"]) <= MAX_MESSAGE:
            self.fault(f"{label}, mutant {number - 1}: {error}")

    def compare(self, label, nulls, skipped):
        """Each row is there or in the errors, once, in both modes."""
        for number in self.files:
            told = nulls.rows[number], nulls.errors[number], skipped.rows[number], skipped.errors[number]
            if nulls.errors[number] != skipped.errors[number] or told[0] != told[2] + told[1]:
                self.fault(f"{label}, mutant {number - 1}: rows and errors with nulls, rows and errors without: {told}")

    def judge(self, nulls):
        """Sort the mutants by what became of them."""
        found = Counter()
        if nulls.errors[0] or not nulls.rows[0]:
            self.fault("the whole file does not give its rows")
        for number in list(self.files)[1:]:
            rows, errors = nulls.rows[number], nulls.errors[number]
            outcome = "empty" if not rows else "whole" if not errors else "broken" if rows == errors else "in part"
            found[outcome] += 1
            if not rows and not holds_no_rows(self.name, self.files[number]):
                self.fault(f"mutant {number - 1} gave neither rows nor errors")
        self.report.outcomes, self.report.codes = dict(found), dict(nulls.codes)


def paths_and_pixels(query):
    """Give the file of each row, and the pixels of its image, if it has one; no other value need be one of Python's."""
    if "image" in query.columns:
        yield from ((row["path"], row["image"]) for row in query.iter_rows())
        return
    for batch in query.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield from ((path, None) for path in batch.column("path").to_pylist())


def number_of(path):
    return int(re.search(r"/(\d{6})\.", path)[1])


def is_importing():
    """Whether a module is being loaded, which may make classes out of text."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") != "importlib._bootstrap":
        frame = frame.f_back
    return frame is not None


def read_images(mutants):
    """Read images in every way there is, and compare their pixels with those of Pillow."""
    folder = mutants.folder

    def both(label, **options):
        modes = ("null", "skip")
        found = [
            mutants.read(label, ld.read_images(folder, on_error=one, include_paths=True, **options)) for one in modes
        ]
        mutants.compare(label, *found)
        return found[0]

    upright, as_stored = both("images"), both("as stored", exif_transpose=False)
    both("frames", frames="all")
    both("small", size=(4, 4), mode="RGB")
    mutants.judge(upright)
    for number, content in mutants.files.items():
        for label, reading, is_upright in (("images", upright, True), ("as stored", as_stored, False)):
            if reading.rows[number] != 1:
                mutants.fault(f"{label}, mutant {number - 1}: {reading.rows[number]} rows")
            elif found := difference(content, reading.pixels[number], reading.causes.get(number), upright=is_upright):
                mutants.fault(f"{label}, mutant {number - 1}: {found}")


def read_rows(mutants):
    """Read each mutant by itself in this process, then all of them in workers."""
    reader = reader_of(mutants.name)
    alone = Alone(mutants, reader)
    for number in mutants.files:
        alone.read(number)
    paths = [mutants.path(number) for number in mutants.files]
    modes = ("null", "skip")
    found = [mutants.read("rows", reader(paths, on_error=one, include_paths=True).map(as_it_is)) for one in modes]
    mutants.compare("rows", *found)
    mutants.judge(found[0])


def as_it_is(row):
    """Have a row read by a worker, who runs functions."""
    return row


def reader_of(name):
    plain = name.removesuffix(".gz")
    return READERS.get(plain) or READERS[plain.rpartition(".")[2]]


class Alone:
    """Reads mutants one by one, each as the file to learn from, while Python tells what is done beside."""

    def __init__(self, mutants, reader):
        self.mutants, self.reader = mutants, reader
        self.is_armed = False
        self.at = mutants.folder.parent / "at"
        sys.addaudithook(self.hear)

    def hear(self, event, arguments):
        is_text = event == "exec" and arguments[0].co_filename == "<string>" and not is_importing()
        if self.is_armed and (event in NEVER or is_text):
            self.mutants.fault(f"{self.at.read_text()}: {event} {arguments}")

    def read(self, number):
        """Read a mutant; nothing but errors of lightdata may come, and of two modes both or none fail."""
        self.at.write_text(f"alone, mutant {number - 1}")
        before = ld.config().workers
        ld.config(workers=0)
        self.is_armed = number > 0  # the whole file has everything imported
        faulthandler.dump_traceback_later(MUTANT_S, exit=True)
        try:
            self.told(self.mutants.path(number))
        except Exception as error:  # noqa: BLE001 - the point of it
            self.mutants.fault(f"{self.at.read_text()}: {type(error).__name__}: {error}")
        finally:
            faulthandler.cancel_dump_traceback_later()
            self.is_armed = False
            ld.config(workers=before)

    def told(self, path):
        """Read a file in both modes, and ask what is told of it without reading."""
        rows, stages, strict = 0, ["learn"], None
        with suppress(ld.LightdataError):  # there may be nothing to learn columns from
            query = self.reader(path, on_error="null")
            rows, stages = query.to_arrow().num_rows, query.errors()["stage"].to_list()
        with suppress(ld.LightdataError):
            query = self.reader(path, on_error="raise")
            strict = query.to_arrow().num_rows
        # Where errors are raised, a broken image is one if its header is, or if somebody looks at it.
        is_image = bool(stages) and all(stage.startswith("decode(") for stage in stages)
        if strict not in ((None, rows) if is_image else (None,) if stages else (rows,)):
            raise AssertionError(f"{rows} rows, {stages} failed with nulls; {strict} where errors are raised")
        if strict is not None:
            self.ask(query, strict)

    def ask(self, query, rows):
        """Have questions answered from what a file says of itself; that may be wrong, where nobody looks at rows."""
        if query.count() != rows:
            raise AssertionError(f"{rows} rows, {query.count()} counted")
        query.explain()
        with suppress(ld.LightdataError):
            query.take_all()  # there may be values that Python has not
        with suppress(ld.LightdataError):
            if "n" in (query.columns or ()):
                query.select(pl.col("n").max(), nulls=pl.col("n").null_count()).take_all()
                query.filter(pl.col("n") > 1).take_all()


def main():
    """Read the command line, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("formats", nargs="*", default=list(FILES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    faulthandler.enable()
    logging.getLogger("lightdata").addHandler(logging.NullHandler())
    logging.getLogger("lightdata").propagate = False
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ld.config(workers=2, progress=False, row_timeout=MUTANT_S)
    for name in options.formats:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            began = time.monotonic()
            inner = Path(folder, "files")
            inner.mkdir()
            mutants = Mutants(name, options.seed, options.count, inner)
            (read_images if name in IMAGES else read_rows)(mutants)
            if not processes._everyone:
                mutants.fault("no worker took part")
            mutants.report.seconds = round(time.monotonic() - began, 1)
            sys.stdout.write(json.dumps(asdict(mutants.report)) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
