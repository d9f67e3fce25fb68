"""The checksums of TFRecord files: CRC-32C, masked, of one stretch of bytes or of many lengths at once."""

from __future__ import annotations

from functools import cache

import google_crc32c
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_LENGTH_BYTES = 8
_COPIED_BYTES = 4096
"""Records up to this size are copied to be summed: making a view takes longer."""


def masked_crc(content: bytes) -> int:
    """Sum up bytes as the format does: a checksum of data that hold checksums would be weak.

    >>> hex(masked_crc(bytes(8)))
    '0x7980329'
    """
    crc = google_crc32c.value(content)
    return int(((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def masked_crcs(content: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Sum up many stretches of ``content``.

    Parameters
    ----------
    starts, ends : int64 [N]

    Returns
    -------
    uint32 [N]
    """
    value = google_crc32c.value
    # google_crc32c takes no memoryview, but an array, so that large records are not copied.
    whole = np.frombuffer(content, np.uint8)
    crcs = [
        value(content[start:end] if end - start < _COPIED_BYTES else whole[start:end])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    return _mask(np.array(crcs, np.uint32))


def masked_crcs_of_lengths(lengths: Bytes) -> NDArray[np.uint32]:
    """Sum up many lengths of 8 bytes at once.

    Parameters
    ----------
    lengths : uint8 [N, 8]

    Returns
    -------
    uint32 [N]
    """
    base, tables = _tables()
    crcs = np.full(len(lengths), base, np.uint32)
    for table, column in zip(tables, lengths.T, strict=True):
        crcs ^= table.take(column)
    return _mask(crcs)


def _mask(crcs: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (crcs >> np.uint32(15) | crcs << np.uint32(17)) + np.uint32(0xA282EAD8)


@cache
def _tables() -> tuple[int, list[NDArray[np.uint32]]]:
    """Tell what each byte at each of 8 places does to a checksum: they only add up, as CRCs are linear."""
    base = google_crc32c.value(bytes(_LENGTH_BYTES))
    places = (
        [bytes(place) + bytes([byte]) + bytes(_LENGTH_BYTES - 1 - place) for byte in range(256)]
        for place in range(_LENGTH_BYTES)
    )
    return base, [np.array([google_crc32c.value(each) ^ base for each in place], np.uint32) for place in places]
