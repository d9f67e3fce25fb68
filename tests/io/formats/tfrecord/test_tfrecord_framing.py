"""Records cut out of bytes that are right, damaged, cut short or lie about their length."""

import io
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tfrecord_bytes import checksum, crc32c, record

from lightdata.errors import DecodeError
from lightdata.io.formats.tfrecord.checksum import masked_crc, masked_crcs, masked_crcs_of_lengths
from lightdata.io.formats.tfrecord.framing import Framing, iter_blocks, write_record

CONTENTS = [bytes([number]) * (number % 7) for number in range(100)]
WHOLE = b"".join(map(record, CONTENTS))
BORDERS = np.cumsum([0, *(len(content) + 16 for content in CONTENTS)]).tolist()


class Dripping:
    """Gives a few bytes at a time, as the network may."""

    def __init__(self, content, size):
        self.file, self.size = io.BytesIO(content), size

    def read(self, size):
        return self.file.read(min(size, self.size))


def read(content, *, drip=1 << 20, knows_size=True, **options):
    framing = Framing(uri="a", size=len(content) if knows_size else None, **options)
    got = []
    try:
        for block in iter_blocks(Dripping(content, drip), framing):
            if isinstance(block, DecodeError):
                got.append(block)
            else:
                got.extend(block.content[a:b] for a, b in zip(block.starts, block.ends, strict=True))
    except DecodeError as error:
        return got, error
    return got, None


def test_checksums_are_those_of_the_polynomial():
    """Single checksums, many at once, and those of lengths all agree with the definition."""
    assert crc32c(b"123456789") == 0xE3069283
    starts, ends = np.array([0, 3, 5000]), np.array([3, 3, 10000])
    content = bytes(range(250)) * 40
    expected = [int.from_bytes(checksum(content[a:b]), "little") for a, b in zip(starts, ends, strict=True)]
    assert [masked_crc(content[a:b]) for a, b in zip(starts, ends, strict=True)] == expected
    assert masked_crcs(content, starts, ends).tolist() == expected
    lengths = np.frombuffer(content, np.uint8)[:800].reshape(-1, 8)
    assert masked_crcs_of_lengths(lengths).tolist() == [masked_crc(row.tobytes()) for row in lengths]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.binary(max_size=40), max_size=12), st.integers(1, 50), st.integers(1, 50), st.booleans())
def test_records_come_back_however_the_bytes_arrive(contents, drip, block_bytes, knows_size):
    """What was written is read, whatever the size of blocks and of what a read gives."""
    whole = b"".join(map(write_record, contents))
    assert whole == b"".join(map(record, contents))
    assert read(whole, drip=drip, knows_size=knows_size, block_bytes=block_bytes) == (contents, None)


@pytest.mark.parametrize(("block_bytes", "step"), [(30, 29), (1 << 20, 1)])
def test_every_flipped_byte_is_found(block_bytes, step):
    """Records before a damaged one are given, none after, and the error names record and byte."""
    for at in range(0, len(WHOLE), step):
        damaged = WHOLE[:at] + bytes([WHOLE[at] ^ 0x55]) + WHOLE[at + 1 :]
        number = np.searchsorted(BORDERS, at, side="right") - 1
        got, error = read(damaged, block_bytes=block_bytes)
        assert got == CONTENTS[:number]
        assert f"record {number} at byte {BORDERS[number]}: " in str(error)
        assert error.uri == "a"


@pytest.mark.parametrize(("block_bytes", "step"), [(30, 29), (1 << 20, 1)])
def test_behind_every_flipped_byte_reading_goes_on(block_bytes, step):
    """With resync all records but the damaged one are given, and one error in its place."""
    for at in range(0, len(WHOLE), step):
        damaged = WHOLE[:at] + bytes([WHOLE[at] ^ 0x55]) + WHOLE[at + 1 :]
        number = int(np.searchsorted(BORDERS, at, side="right")) - 1
        got, error = read(damaged, block_bytes=block_bytes, resync=True)
        assert error is None
        assert isinstance(got[number], DecodeError)
        assert got[:number] + got[number + 1 :] == CONTENTS[:number] + CONTENTS[number + 1 :]
        assert f"record {number} at byte {BORDERS[number]}: " in str(got[number])


def test_every_cut_is_found_unless_it_is_between_records():
    """Bytes that end anywhere within a record are an error after the records before."""
    for end in range(len(WHOLE)):
        number = int(np.searchsorted(BORDERS, end, side="right")) - 1
        for knows_size in (True, False):
            got, error = read(WHOLE[:end], knows_size=knows_size)
            assert got == CONTENTS[:number]
            assert (error is None) == (end in BORDERS)


def test_resync_counts_each_damaged_stretch_once():
    """Bytes that are lost, put in, or overwritten are one error for each place, and the rest is read."""
    one, two, three = record(b"one" * 9), record(b"two" * 9), record(b"three" * 9)
    got, _ = read(one[:20] + two + b"\0" * 100 + three + b"?" * 11, resync=True)
    errors = [each for each in got if isinstance(each, DecodeError)]
    assert [each for each in got if isinstance(each, bytes)] == [b"two" * 9, b"three" * 9]
    assert ["next sound record is at byte 20" in str(errors[0]), len(errors)] == [True, 3]
    assert str(errors[2]).endswith("no sound record follows")


def test_records_within_a_record_are_not_taken_for_records():
    """Behind a record with wrong bytes the next one of the file follows, not one that its bytes hold."""
    outer = bytearray(record(record(b"inner") * 3))
    outer[-1] ^= 1
    got, _ = read(bytes(outer) + record(b"next"), resync=True)
    assert [str(each)[:12] if isinstance(each, DecodeError) else each for each in got] == ["a: record 0 ", b"next"]


@pytest.mark.parametrize("knows_size", [True, False])
@pytest.mark.parametrize("resync", [True, False])
@pytest.mark.parametrize("length", [(1 << 63), (1 << 64) - 1, 1 << 62, (1 << 31) - 1])
def test_a_length_beyond_the_file_allocates_nothing(length, resync, knows_size):
    """A record that claims more bytes than there are is refused before memory is asked for."""
    head = struct.pack("<Q", length)
    content = record(b"before") + head + checksum(head) + b"abc" + record(b"after")
    tracemalloc.start()
    got, error = read(content, resync=resync, knows_size=knows_size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 << 20
    what = str(error or got[1])
    assert f"record 1 at byte 22: it has {length} bytes" in what
    assert got == [b"before"] if not resync else [got[0], got[-1]] == [b"before", b"after"]


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.booleans(), st.integers(1, 64))
def test_no_bytes_make_it_hang_or_crash(content, resync, block_bytes):
    """Any bytes are records, errors, or both, and with resync reading never stops early."""
    got, error = read(content, resync=resync, block_bytes=block_bytes)
    assert error is None or not resync
    assert got or error or not content


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_whatever_is_cut_out_or_doubled_the_rest_is_found(data):
    """With resync every record that was left whole is read, in order, though a stretch was lost or is there twice."""
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, len(WHOLE)))))
    is_cut = data.draw(st.booleans())
    spliced = WHOLE[:start] + WHOLE[end:] if is_cut else WHOLE[:end] + WHOLE[start:]
    got, error = read(spliced, resync=True, block_bytes=data.draw(st.sampled_from([50, 4096])))
    kept, (first, second) = [each for each in got if isinstance(each, bytes)], (start, end) if is_cut else (end, start)
    ahead = [content for content, border in zip(CONTENTS, BORDERS[1:], strict=True) if border <= first]
    behind = [content for content, border in zip(CONTENTS, BORDERS, strict=False) if border >= second]
    assert error is None
    assert kept[: len(ahead)] == ahead
    assert kept[len(kept) - len(behind) :] == behind
