"""Whatever functions, filesystems and decoders of others raise, a row that is let go is one short record."""

import dataclasses
import importlib
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from PIL import Image

import lightdata as ld
from lightdata.errors import ENDS, MAX_MESSAGE, DecodeError
from lightdata.kernels.header import decode_errors

NOT_IMPORTED = {"antigravity", "this", "idlelib", "lib2to3", "turtledemo", "turtle", "tkinter", "msilib", "test"}
"""Modules that open windows and browsers, or are large and without exceptions."""

HUGE_BYTES = 100 << 20


class UnpicklableError(Exception):
    """Holds what cannot travel."""

    def __init__(self):
        super().__init__("broken")
        self.lock = threading.Lock()


class MuteError(Exception):
    """Cannot say what it is."""

    def __str__(self):
        raise ValueError("no words")


class NumberError(Exception):
    """Says a number where words are asked for."""

    def __str__(self):
        return 7  # noqa: PLE0307 - so it is wrong


class HugeError(Exception):
    """Quotes all it was given, and more."""

    def __str__(self):
        return "x\x1b" * (HUGE_BYTES // 2)


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    """Cannot be changed: not even by those who note where it was raised."""

    reason: str = "broken"


class OwnBaseError(BaseException):
    """Is no ``Exception``, as those of Rust's panics and of cancelled tasks."""


ODD = (UnpicklableError, MuteError, NumberError, HugeError, FrozenError, OwnBaseError)


def subclasses(kind):
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


def stdlib_exceptions():
    """List the classes of exceptions of the standard library that are there under their name, but those of ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some modules are old
        for name in sys.stdlib_module_names - NOT_IMPORTED:
            if not name.startswith("_"):
                try:
                    importlib.import_module(name)
                except ImportError:  # of another system
                    continue
    found = {one for one in subclasses(BaseException) if one.__module__.partition(".")[0] in sys.stdlib_module_names}
    known = [one for one in found if getattr(sys.modules[one.__module__], one.__qualname__, None) is one]
    return sorted(set(known) - set(ENDS), key=lambda one: (one.__module__, one.__qualname__))


KINDS = [*stdlib_exceptions(), *ODD]


def made(kind):
    """Make an exception, whatever its class wants to know."""
    if issubclass(kind, BaseExceptionGroup):
        return kind("broken", [ValueError("inner") if issubclass(kind, Exception) else OwnBaseError("inner")])
    for arguments in ((), ("broken",), ("broken", 1), (1, "broken", "broken")):
        try:
            return kind(*arguments)
        except Exception:  # noqa: BLE001, S112 - of 300 classes
            continue
    return kind.__new__(kind)  # its message fails, too


@pytest.fixture(params=[0, 2])
def workers(request):
    """Run each test here, and with two workers."""
    before = ld.config().workers
    ld.config(workers=request.param)
    yield
    ld.config(workers=before)


def numbered():
    """Give a row for each class, between rows that are well."""
    return ld.from_numpy({"id": np.arange(2 * len(KINDS))})


def check(query, on_error, nulls=None):
    """Hold a query over such rows to one short record for each bad one."""
    found = [row["id"] for row in query.take_all()]
    well = list(range(0, 2 * len(KINDS), 2))
    if on_error == "skip":
        assert found == well
    else:
        assert found == [one if one % 2 == 0 else None for one in range(2 * len(KINDS))]
    errors = query.errors()
    assert errors["row"].to_list() == [one + 1 for one in well]
    assert set(errors["code"]) == {"function_failed"}
    assert errors["message"].str.len_chars().max() <= MAX_MESSAGE
    assert errors["message"].str.contains("\x1b").any() is False
    return dict(zip(KINDS, errors["cause"], strict=True))


def test_there_are_many_classes():
    """The test looks at some hundred classes, those of ``BaseException`` among them."""
    assert len(KINDS) > 200
    assert sum(not issubclass(one, Exception) for one in KINDS) >= 3


@pytest.mark.parametrize("on_error", ["skip", "null"])
def test_functions_of_rows_may_raise_anything(on_error, workers):
    """Each class becomes a record with its name, and no row beside it is lost."""

    def function(row):
        if row["id"] % 2:
            raise made(KINDS[row["id"] // 2])
        return {"id": row["id"]}

    causes = check(numbered().map(function, schema={"id": int}, on_error=on_error), on_error)
    assert causes == {kind: kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("on_error", ["skip", "null"])
def test_functions_of_batches_may_raise_anything(on_error, workers):
    """The same for functions of batches, of which the bad rows are found; StopIteration is none in a generator."""

    def function(batch):
        for one in batch["id"]:
            if one % 2:
                raise made(KINDS[one // 2])
        return {"id": batch["id"]}

    data = numbered().map_batches(function, batch_size=64, schema={"id": int}, on_error=on_error)
    causes = check(data, on_error)
    assert causes.pop(StopIteration) == "RuntimeError"  # PEP 479
    assert causes == {kind: kind.__name__ for kind in KINDS if kind is not StopIteration}


def test_functions_of_several_rows_may_raise_anything(workers):
    """A generator that raises half-way gives none of its rows, whatever it raises."""

    def function(row):
        yield {"id": row["id"]}
        if row["id"] % 2:
            raise made(KINDS[row["id"] // 2])

    causes = check(numbered().flat_map(function, on_error="skip"), "skip")
    assert causes.pop(StopIteration) == "RuntimeError"  # PEP 479
    assert causes == {kind: kind.__name__ for kind in KINDS if kind is not StopIteration}


class RaisingFiles(AbstractFileSystem):
    """The files of this machine, as if elsewhere; to read one raises what its name says."""

    protocol = "raising"
    cachable = False

    def info(self, path, **options):
        return LocalFileSystem().info(path)

    def ls(self, path, detail=True, **options):
        return LocalFileSystem().ls(path, detail=detail)

    def cat_file(self, path, start=None, end=None, **options):
        _, _, name = Path(path).stem.partition("-")
        if name:
            module, _, kind = name.rpartition(".")
            raise made(getattr(importlib.import_module(module), kind))
        return Path(path).read_bytes()[start:end]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold an image for each class, and some that are well."""
    folder = tmp_path_factory.mktemp("images")
    for number, kind in enumerate(KINDS):
        Image.new("L", (2, 2)).save(folder / f"{number:03d}-{kind.__module__}.{kind.__qualname__}.png")
    for number in range(40):
        Image.new("L", (2, 2)).save(folder / f"good{number}.png")
    return folder


@pytest.mark.parametrize("on_error", ["skip", "null"])
def test_filesystems_may_raise_anything(folder, on_error, workers):
    """Each class becomes a record with the name of the file, and of the class where it is a fault of its own."""
    query = ld.read_images(folder, filesystem=RaisingFiles(), on_error=on_error, include_paths=True)
    rows = query.take_all()
    assert sum(row["image"] is not None for row in rows) == 40
    assert len(rows) == 40 + (len(KINDS) if on_error == "null" else 0)
    errors = query.errors()
    assert errors["cause"].to_list() == [kind.__name__ for kind in KINDS]
    assert set(errors["code"]) == {"read_failed"}
    assert errors["message"].str.len_chars().max() <= MAX_MESSAGE
    assert errors["uri"].str.contains(r"/\d+-.*\.png$").all()


def test_decoders_may_raise_anything():
    """What comes out of a decoder is an error of ours that names its class."""
    for kind in KINDS:
        with pytest.raises(DecodeError) as caught, decode_errors():
            raise made(kind)
        assert caught.value.at().cause == kind.__name__
        assert len(caught.value.message) <= MAX_MESSAGE


@pytest.mark.parametrize("kind", ENDS)
def test_ends_are_ends(kind):
    """What asks for the end of the process is no fault of a row or a file."""
    with pytest.raises(kind), decode_errors():
        raise kind

    def function(row):
        raise kind

    with pytest.raises(kind):
        ld.range(3).map(function, on_error="skip").take_all()


def test_runs_that_raise_tell_what_was_raised(workers):
    """Without ``on_error`` the exception itself comes, or where it cannot travel its name and words."""
    for kind in (UnpicklableError, MuteError, OwnBaseError):

        def function(row, kind=kind):
            raise made(kind)

        with pytest.raises(BaseException) as caught:  # noqa: PT011 - which, is looked at below
            ld.from_numpy({"id": np.arange(200)}).map(function, schema={"id": pl.Int64}).take_all()
        assert caught.type is kind or (caught.type is RuntimeError and kind.__name__ in str(caught.value))
