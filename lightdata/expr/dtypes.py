"""How Polars shows and carries columns of images and tensors; needs nothing but Polars."""

from __future__ import annotations

from typing import Any, Self

import polars as pl


class ImageDtype(pl.datatypes.BaseExtension):
    """A column of images."""

    @classmethod
    def ext_from_params(cls, name: str, storage: Any, metadata: str | None) -> Self:
        """Rebuild the dtype from what travelled with the data."""
        return cls(name, storage, metadata)

    def _string_repr(self) -> str:
        mode, _, size = (self.ext_metadata() or "").partition(",")
        return f"Image[{mode}, {size}]" if mode else "Image"


class TensorDtype(pl.datatypes.BaseExtension):
    """A column of tensors of any shape."""

    @classmethod
    def ext_from_params(cls, name: str, storage: Any, metadata: str | None) -> Self:
        """Rebuild the dtype from what travelled with the data."""
        return cls(name, storage, metadata)

    def _string_repr(self) -> str:
        return f"Tensor[{self.ext_metadata()}]"


DTYPES = {"lightdata.image": ImageDtype, "lightdata.tensor": TensorDtype}
"""By the names of the extension types, which :mod:`lightdata.types` has for pyarrow."""
