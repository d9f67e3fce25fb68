"""Blocks of records to rows: every record is a row or an error, whichever columns are asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from lightdata.errors import DecodeError
from lightdata.io.formats.tfrecord.columns import Column, Seen, build_column
from lightdata.io.formats.tfrecord.framing import Block
from lightdata.io.formats.tfrecord.messages import SequenceRow, has_steps, in_usual_layout, parse_sequence
from lightdata.io.formats.tfrecord.steps import build_steps, see_steps
from lightdata.io.formats.tfrecord.wire import UNSET, Ints, Values, find_features, read_values
from lightdata.types.schema import Schema

NO_COLUMN = "\0rows"
"""Counts the rows of a batch that no column is asked of."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a block's records hold."""

    rows: Ints
    """Which records of the block they are: those that are no messages are not among them."""

    features: Mapping[str, Mapping[int, Values]]
    """The values of each feature, by their kind."""

    sequences: Sequence[SequenceRow] | None = None
    """The records, where they have feature lists."""

    errors: Mapping[int, str] = field(default_factory=dict)
    """What is wrong with the other records of the block."""


def parse_block(block: Block, *, are_sequences: bool | None, wanted: Collection[str] | None = None) -> Parsed:
    """Read the messages of a block.

    Parameters
    ----------
    wanted : collection of str, optional
        The only features whose bytes are copied; by default all.
    are_sequences : bool, optional
        Whether they are ``tf.train.SequenceExample``; by default the first one tells.
    """
    if are_sequences is None:
        are_sequences = len(block.starts) > 0 and has_steps(block.content[block.starts[0] : block.ends[0]])
    if are_sequences:
        return _parse_sequences(block, wanted)
    features, odd = _examples(block.content, block.starts, block.ends, wanted)
    if not odd.any():
        return Parsed(np.arange(len(odd)), features)
    return _parse_odd(block, odd, wanted)


def see(parsed: Parsed) -> dict[str, Seen]:
    """Tell kind and number of values of each feature."""
    seen: dict[str, Seen] = {}
    for name, values in parsed.features.items():
        seen[name] = Seen()
        # The kind of the first record that has one comes first: it holds.
        for kind, found in sorted(values.items(), key=lambda item: item[1].rows[:1].tolist()):
            seen[name] = seen[name].merge(Seen(kind, int(found.counts.max(initial=0))))
    for name, steps in see_steps(parsed.sequences or ()).items():
        seen[name] = seen.get(name, Seen()).merge(steps)
    return seen


def batches_of(
    block: Block, parsed: Parsed, schema: Schema, columns: Sequence[str], *, is_given: bool
) -> Iterator[pa.RecordBatch | DecodeError]:
    """Make the rows of a block, and in its place the error of each record that is none.

    Parameters
    ----------
    schema : Schema
        All columns.
    columns : sequence of str
        Those to make.
    is_given : bool
        Whether other features are to be left out; else they are errors.
    """
    count, errors = len(parsed.rows), dict(parsed.errors)
    arrays: dict[str, pa.Array] = {NO_COLUMN: pa.nulls(count)}
    for name, kind in schema.items():
        column = _column(parsed, name, kind, count)
        arrays[name] = column.array
        _note(errors, parsed.rows, column)
    if not is_given:
        for name in {**parsed.features, **see_steps(parsed.sequences or ())}.keys() - set(schema):
            _note(errors, parsed.rows, _unknown(parsed, name))
    names = list(columns) or [NO_COLUMN]
    batch = pa.RecordBatch.from_arrays([arrays[name] for name in names], names=names)
    yield from _in_order(block, parsed, batch, errors)


def _examples(
    content: bytes, starts: Ints, ends: Ints, wanted: Collection[str] | None
) -> tuple[dict[str, dict[int, Values]], Any]:
    features, odd = find_features(content, starts, ends)
    values: dict[str, dict[int, Values]] = {}
    for name, feature in features.items():
        is_wanted = wanted is None or name in wanted
        kinds = [kind for kind in np.unique(feature.kinds).tolist() if kind != UNSET]
        values[name] = {kind: read_values(content, feature, kind, odd, is_wanted=is_wanted) for kind in kinds}
    return values, odd


def _parse_odd(block: Block, odd: Any, wanted: Collection[str] | None) -> Parsed:
    """Have odd messages laid out as usual, and read the block again."""
    contents: dict[int, bytes] = {}
    errors: dict[int, str] = {}
    for row, (start, end) in enumerate(zip(block.starts.tolist(), block.ends.tolist(), strict=True)):
        content = block.content[start:end]
        try:
            contents[row] = in_usual_layout(content) if odd[row] else content
        except ValueError as error:
            errors[row] = str(error)
    features, odd = _examples(*_joined(list(contents.values())), wanted)
    if odd.any():
        raise DecodeError("a tf.train.Example has a layout that is not known")
    return Parsed(np.array(list(contents), np.int64), features, errors=errors)


def _parse_sequences(block: Block, wanted: Collection[str] | None) -> Parsed:
    sequences: dict[int, SequenceRow] = {}
    errors: dict[int, str] = {}
    for row, (start, end) in enumerate(zip(block.starts.tolist(), block.ends.tolist(), strict=True)):
        try:
            sequences[row] = parse_sequence(block.content[start:end])
        except ValueError as error:
            errors[row] = str(error)
    features, odd = _examples(*_joined([sequence.context for sequence in sequences.values()]), wanted)
    if odd.any():
        raise DecodeError("the context of a tf.train.SequenceExample has a layout that is not known")
    return Parsed(np.array(list(sequences), np.int64), features, list(sequences.values()), errors)


def _joined(contents: Sequence[bytes]) -> tuple[bytes, Ints, Ints]:
    ends = np.cumsum([len(content) for content in contents], dtype=np.int64)
    return b"".join(contents), np.concatenate(([0], ends))[:-1], ends


def _column(parsed: Parsed, name: str, kind: pa.DataType, count: int) -> Column:
    if any(name in sequence.steps for sequence in parsed.sequences or ()):
        if name in parsed.features:
            what = f"{name!r} is a feature of the context and a feature list too"
            return Column(pa.nulls(count, kind), dict.fromkeys(range(count), what))
        return build_steps(parsed.sequences or (), kind, name)
    return build_column(parsed.features.get(name, {}), kind, count, name)


def _unknown(parsed: Parsed, name: str) -> Column:
    """Give the records that have a feature of which the first records knew nothing."""
    what = f"feature {name!r} is not in the first records, which the columns come from; name all columns with schema="
    rows = {row for found in parsed.features.get(name, {}).values() for row in found.rows.tolist()}
    rows |= {row for row, sequence in enumerate(parsed.sequences or ()) if name in sequence.steps}
    return Column(None, dict.fromkeys(rows, what))


def _note(errors: dict[int, str], rows: Ints, column: Column) -> None:
    for row, what in column.misfits.items():
        errors.setdefault(int(rows[row]), what)


def _in_order(
    block: Block, parsed: Parsed, batch: pa.RecordBatch, errors: Mapping[int, str]
) -> Iterator[pa.RecordBatch | DecodeError]:
    at = 0
    for row in sorted(errors):
        before = int(np.searchsorted(parsed.rows, row))
        if before > at:
            yield batch.slice(at, before - at)
        yield DecodeError(f"{block.place(row)}: {errors[row]}")
        is_parsed = before < len(parsed.rows) and parsed.rows[before] == row
        at = before + is_parsed
    if at < batch.num_rows:
        yield batch.slice(at)
