"""A result of an expression as a worker computes it: most are only a column or a chain, and take no Polars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightdata.expr.deferred import Chain

if TYPE_CHECKING:
    from lightdata.expr.expression import Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """One column to compute of a batch."""

    name: str
    """The name of the result."""

    chains: tuple[Chain, ...]
    """What to compute first, under deferred names."""

    source: str | None
    """The column, real or deferred, that the result is; else ``expression`` says what it is."""

    expression: Expression | None

    @classmethod
    def of(cls, expression: Expression) -> Computed:
        """Take an expression apart."""
        source = expression.source
        rest = expression if source is None else None
        return cls(name=expression.name, chains=expression.chains, source=source, expression=rest)
