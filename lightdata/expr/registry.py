"""Make ``.image``, ``.tensor`` and ``.uri``, and the dtypes of images and tensors, known to Polars."""

from __future__ import annotations

import warnings
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


class _Namespace:
    """A namespace of expressions, on ``pl.Expr`` from the start and imported when somebody first looks.

    Polars' own descriptor needs the class, and with it pyarrow and NumPy, when it is registered.
    """

    def __init__(self, accessor: str, class_name: str) -> None:
        self.accessor, self._class_name = accessor, class_name

    @cached_property
    def _class(self) -> type[Any]:
        import_module("pyarrow")  # before the locks of our own modules: see types/registry.py
        return getattr(import_module(f"lightdata.expr.{self.accessor}"), self._class_name)

    def __get__(self, expr: pl.Expr | None, _: type[pl.Expr]) -> Any:
        if expr is None:
            return self._class
        namespace = self._class(expr)
        setattr(expr, self.accessor, namespace)  # found there from now on, as Polars' own are
        return namespace


_NAMESPACES = (
    _Namespace("image", "ImageNamespace"),
    _Namespace("tensor", "TensorNamespace"),
    _Namespace("uri", "UriNamespace"),
)


def register() -> None:
    """Register namespaces and dtypes with Polars; does nothing where they are registered."""
    import polars as pl  # noqa: PLC0415 - this module is there before Polars is

    from lightdata.expr.dtypes import DTYPES  # noqa: PLC0415 - the same

    for namespace in _NAMESPACES:
        accessor = namespace.accessor
        if accessor not in vars(pl.Expr):
            pl.api.register_expr_namespace(accessor)(_Namespace)
            setattr(pl.Expr, accessor, namespace)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Polars calls extension types unstable
        for name, dtype in DTYPES.items():
            if pl.get_extension_type(name) is None:
                pl.register_extension_type(name, dtype)


def unregister() -> None:
    """Undo the registering of the dtypes: what Polars reads of these types is then their storage."""
    import polars as pl  # noqa: PLC0415 - this module is there before Polars is

    from lightdata.expr.dtypes import DTYPES  # noqa: PLC0415 - the same

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in DTYPES:
            pl.unregister_extension_type(name)
