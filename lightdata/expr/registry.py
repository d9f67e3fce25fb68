"""Make ``.image``, ``.tensor`` and ``.uri`` known to Polars."""

from __future__ import annotations

import polars as pl

from lightdata.expr.image import ImageNamespace
from lightdata.expr.tensor import TensorNamespace
from lightdata.expr.uri import UriNamespace


def register() -> None:
    """Register the namespaces on :class:`polars.Expr`; does nothing where they are registered."""
    for name, namespace in (("image", ImageNamespace), ("tensor", TensorNamespace), ("uri", UriNamespace)):
        if not hasattr(pl.Expr, name):
            pl.api.register_expr_namespace(name)(namespace)
