"""Feature lists of sequence examples to columns of lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from lightdata.io.formats.tfrecord.columns import Column, Seen, kind_of, value_type
from lightdata.io.formats.tfrecord.messages import SequenceRow
from lightdata.io.formats.tfrecord.wire import KINDS, UNSET
from lightdata.types.schema import describe


def see_steps(sequences: Iterable[SequenceRow]) -> dict[str, Seen]:
    """Tell kind and number of values of the steps of each feature list."""
    seen: dict[str, Seen] = {}
    for sequence in sequences:
        for name, steps in sequence.steps.items():
            kinds = (KINDS.index(kind) for kind, values in steps if kind is not None and values)
            longest = max((len(values) for _, values in steps), default=0)
            # A step without values has no place in a list of single ones.
            is_plain = all(len(values) == 1 for _, values in steps)
            found = Seen(next(kinds, UNSET), len(steps), 1 if is_plain else max(longest, 2))
            seen[name] = seen[name].merge(found) if name in seen else found
    return seen


def build_steps(sequences: Sequence[SequenceRow], kind: pa.DataType, name: str) -> Column:
    """Make the column of one feature list: of lists of what a step holds, or of lists of lists.

    Parameters
    ----------
    kind : the type of the column
    """
    rows: list[Any] = []
    misfits: dict[int, str] = {}
    for row, sequence in enumerate(sequences):
        try:
            rows.append(_checked(sequence.steps.get(name), kind))
        except (ValueError, TypeError, pa.ArrowException) as error:
            misfits[row] = f"feature list {name!r}: {error}; its column is {describe(kind)}"
            rows.append(None)
    return Column(pa.array(rows, kind), misfits)


def _checked(steps: Sequence[tuple[str | None, Sequence[Any]]] | None, kind: pa.DataType) -> list[Any] | None:
    """Take the values of one record's steps as its column has them.

    Raises
    ------
    ValueError
        If they do not fit it.
    """
    if steps is None:
        return None
    if not pa.types.is_large_list(kind):
        raise ValueError("a feature list is a list")
    inner = kind.value_type
    wanted = kind_of(value_type(inner))
    for found, values in steps:
        if values and found is not None and KINDS.index(found) != wanted:
            raise ValueError(f"a step is {found}")
    is_plain = not pa.types.is_large_list(inner)
    if is_plain and (lengths := {len(values) for _, values in steps} - {1}):
        raise ValueError(f"a step has {max(lengths)} values, not one")
    row = [values[0] if is_plain else list(values) for _, values in steps]
    pa.array([row], kind)
    return row
