"""Callbacks at the end of another library's import."""

import importlib
import importlib.util
import sys

import pytest

from lightdata import import_hook
from lightdata.import_hook import when_imported


@pytest.fixture
def library(tmp_path, monkeypatch):
    """The name of a library that is not imported, and its file."""
    path = tmp_path / "library_to_watch.py"
    path.write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield path
    sys.modules.pop(path.stem, None)
    import_hook._waiting.pop(path.stem, None)
    import_hook._call_back(path.stem)


def test_a_callback_runs_once_at_the_end_of_the_import(library):
    """It sees the whole library; then the finder is gone, and the library is as if there had been none."""
    seen = []
    when_imported(library.stem, lambda: seen.append(sys.modules[library.stem].value))
    assert import_hook._finder in sys.meta_path
    module = importlib.import_module(library.stem)
    assert seen == [1]
    assert import_hook._finder not in sys.meta_path
    assert type(module.__loader__) is type(module.__spec__.loader) is importlib.machinery.SourceFileLoader
    importlib.reload(module)
    assert seen == [1]


def test_a_library_that_is_there_is_told_of_at_once():
    """Nothing waits for a library that is imported already."""
    seen = []
    when_imported("json", lambda: seen.append("json" in sys.modules))
    assert seen == [True]
    assert import_hook._finder not in sys.meta_path


def test_looking_is_not_importing(library):
    """Who asks whether a library is there gets a spec that works, and no callback."""
    seen = []
    when_imported(library.stem, lambda: seen.append(True))
    spec = importlib.util.find_spec(library.stem)
    assert spec.origin == str(library)
    assert spec.loader.get_source(library.stem) == "value = 1\n"
    assert seen == []
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert seen == [True]


def test_an_import_that_fails_is_watched_again(library):
    """The callback runs when the library can be imported."""
    seen = []
    when_imported(library.stem, lambda: seen.append(True))
    library.write_text("raise ImportError('not yet')\n")
    with pytest.raises(ImportError, match="not yet"):
        importlib.import_module(library.stem)
    library.write_text("value = 12\n")
    importlib.invalidate_caches()
    assert importlib.import_module(library.stem).value == 12
    assert seen == [True]


def test_an_error_of_a_callback_is_raised(library):
    """The import raises it, and the next import tries again."""
    tries = []

    def callback():
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("once")

    when_imported(library.stem, callback)
    with pytest.raises(RuntimeError, match="once"):
        importlib.import_module(library.stem)
    importlib.import_module(library.stem)
    assert len(tries) == 2


def test_a_library_that_does_not_exist_is_none(library):
    """Waiting for what is not installed changes nothing."""
    library.unlink()
    importlib.invalidate_caches()
    when_imported(library.stem, lambda: None)
    assert importlib.util.find_spec(library.stem) is None
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(library.stem)
