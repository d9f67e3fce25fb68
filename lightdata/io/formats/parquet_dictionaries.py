"""How many rows of a row group can be made at once, where a value is stored once and meant many times.

A footer tells how many bytes columns take as they are stored. A text or bytes value in a dictionary takes its bytes
once, whatever number of rows it stands in: a file of a kilobyte can ask for terabytes. Only the dictionaries tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import compute as pc

from lightdata.config import batch_limit
from lightdata.io.location import Location
from lightdata.kernels.limits import check_expansion

FREE_BYTES = 256 << 20
"""Bytes that a row group may expand to, whatever its size: it is read piece by piece, and may well be of one value."""

_MOST_BYTES = 1 << 30
_LONG = 4096
_LEAST_ROWS = 16
"""Where values are as long as images are, on the average, so many rows at least are made at once."""

_WIDTHS = {"INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 8, "BYTE_ARRAY": 4}
_NARROW = {"INT_8": 1, "UINT_8": 1, "INT_16": 2, "UINT_16": 2}
"""Bytes of a value in Arrow, at least, by its physical type, or where it tells more by its converted type."""


class KnownFile(NamedTuple):
    """A file whose footer was read."""

    location: Location
    metadata: Any


def rows_at_once(file: KnownFile, number: int, names: Sequence[str], leaves: Sequence[Any], most: int) -> int:
    """Tell how many rows of some columns take no more memory than they should, whatever their dictionaries hold.

    Parameters
    ----------
    file : KnownFile
    number : int
        Of the row group.
    names : sequence of str
        The columns.
    leaves : sequence of pyarrow.parquet.ColumnChunkMetaData
        Theirs.
    most : int
        Rows that are wanted.
    """
    repeating = [leaf for leaf in leaves if leaf.physical_type == "BYTE_ARRAY" and leaf.has_dictionary_page]
    stored = sum(leaf.total_uncompressed_size for leaf in repeating)
    # No value is longer than all that is stored of its column.
    if most * stored <= FREE_BYTES:
        return most
    if stored > _LONG * max(leaf.num_values for leaf in repeating):  # few rows at a time cost little then
        return max(min(most, _MOST_BYTES // stored), _LEAST_ROWS)
    longest = sum(_longest_values(file, number, names, [leaf.path_in_schema for leaf in repeating]))
    return max(1, min(most, batch_limit() // max(longest, 1)))


def check_lists(leaves: Sequence[Any], schema: Any, path: str) -> None:
    """Refuse lists that have far more values than bytes are stored of them: one row may hold them all.

    Raises
    ------
    LimitError
        If they go beyond ``max_expansion``.
    """
    columns = map(schema.column, range(len(schema)))
    repeated = {one.path: one.converted_type for one in columns if one.max_repetition_level}
    for leaf in leaves:
        if leaf.path_in_schema in repeated:
            width = _NARROW.get(repeated[leaf.path_in_schema]) or _WIDTHS.get(leaf.physical_type, 1)
            check_expansion(leaf.total_compressed_size, leaf.num_values * width, free=FREE_BYTES, uri=path)


def _longest_values(file: KnownFile, number: int, names: Sequence[str], paths: list[str]) -> list[int]:
    """Read the dictionaries of some columns, with one row, and give the bytes of the longest value of each."""
    with ExitStack() as stack:
        remote = file.location.remote
        source = file.location.path if remote is None else stack.enter_context(remote.open(file.location.path, "rb"))
        reader = pq.ParquetFile(source, metadata=file.metadata, read_dictionary=paths, pre_buffer=False)
        batches = stack.enter_context(reader).iter_batches(
            1, row_groups=[number], columns=list(names), use_threads=False
        )
        columns = next(iter(batches), pa.record_batch({})).columns
        return [_longest(one) for column in columns for one in _dictionaries(column)]


def _dictionaries(array: pa.Array) -> Iterator[pa.Array]:
    match array:
        case pa.DictionaryArray():
            yield array.dictionary
        case pa.StructArray():
            for place in range(array.type.num_fields):
                yield from _dictionaries(array.field(place))
        case pa.ExtensionArray():
            yield from _dictionaries(array.storage)
        case pa.ListArray() | pa.LargeListArray() | pa.FixedSizeListArray() | pa.MapArray():
            yield from _dictionaries(array.values)


def _longest(dictionary: pa.Array) -> int:
    return pc.max(pc.binary_length(dictionary)).as_py() or 0
