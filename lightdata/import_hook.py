"""Do something once another library is imported, without importing it."""

# How it behaves. Code that disagrees with this is wrong.
#   Loaded     If the library is imported already, the callback runs at once; if another thread is in the midst of
#              importing it, after that.
#   Later      Else it runs at the end of the first import of the library, by whatever way and in whatever thread,
#              before that import returns. Looking for the library (``importlib.util.find_spec``) is not importing it.
#   Once       A callback that ran is forgotten. When none is left, the finder leaves ``sys.meta_path``, and nothing of
#              it stays behind: the library's module and spec have the loader they would have had.
#   Failure    An import that fails changes nothing: the next one is watched as the first. What a callback raises, the
#              import raises.
#   Locks      A callback runs while the import lock of the library is held: a module that it imports must not be one
#              that another thread may be importing while it waits for that library; see ``types/registry.py``.
#   Not seen   An import that another thread begins in the instant in which the finder is put in place.

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # For these names alone Python would import half of importlib, a third of what lightdata costs.
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_waiting: dict[str, Callable[[], None]] = {}


def when_imported(library: str, callback: Callable[[], None]) -> None:
    """Call back when ``library``, a top-level module, is imported: now, or at the end of its import.

    One callback waits for a library; another takes its place.

    >>> when_imported("sys", lambda: print("was there"))
    was there
    """
    _waiting[library] = callback
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    if library in sys.modules:
        import_module(library)  # waits for a thread that is in the midst of it
        _call_back(library)


def _call_back(library: str) -> None:
    if callback := _waiting.get(library):
        callback()
        _waiting.pop(library, None)
    if not _waiting and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)


class _Finder:
    """Finds what the other finders find, and has its loader call back."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _waiting:
            return None
        others = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        spec = next((spec for finder in others if (spec := finder.find_spec(fullname, path, target))), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment]  # a loader in all but name
        return spec


class _Loader:
    """Loads as another loader does, steps out of its way, and calls back."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _call_back(module.__name__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # for whoever asks the spec of a library that is not imported


_finder = _Finder()
