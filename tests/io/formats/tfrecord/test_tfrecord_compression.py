"""Compressed streams that are right, cut short, damaged, put together, or expand without end."""

import gzip
import io
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tfrecord_bytes import record

from lightdata.errors import DecodeError
from lightdata.io.formats.tfrecord.compression import Expanded, compression_of, other_compression
from lightdata.io.formats.tfrecord.framing import Framing, iter_blocks
from lightdata.kernels.limits import FREE_BYTES

CONTENT = b"".join(record(bytes([number]) * number) for number in range(40))
PACKINGS = pytest.mark.parametrize(("name", "pack"), [("GZIP", gzip.compress), ("ZLIB", zlib.compress)])


def read_all(packed, name, size=1000):
    """Read to the end or the damage."""
    stream, got = Expanded(io.BytesIO(packed), name, "a"), b""
    try:
        while piece := stream.read(size):
            got += piece
    except DecodeError as error:
        return got, error
    return got, None


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=3000), st.sampled_from(["GZIP", "ZLIB"]), st.integers(1, 5000))
def test_what_was_compressed_comes_back(content, name, size):
    """However much is asked for at a time, the same bytes come."""
    packed = {"GZIP": gzip.compress, "ZLIB": zlib.compress}[name](content)
    assert read_all(packed, name, size) == (content, None)
    assert compression_of(packed) == name


@PACKINGS
def test_what_was_compressed_apart_and_put_together_is_one(name, pack):
    """Streams behind one another are read as one, and zeros that fill up a block of tape are passed over."""
    packed = pack(CONTENT) + pack(b"") + bytes(100_000) + pack(CONTENT) + bytes(100_000)
    assert read_all(packed, name) == (CONTENT * 2, None)


@PACKINGS
def test_every_cut_is_found_after_what_came_before(name, pack):
    """A stream that ends early gives what it holds, then says so."""
    packed = pack(CONTENT)
    for end in range(1, len(packed)):
        got, error = read_all(packed[:end], name)
        assert CONTENT.startswith(got)
        assert "the compressed data end too early" in str(error)
    assert got == CONTENT


@PACKINGS
def test_every_flipped_byte_leaves_whole_records_before_it(name, pack):
    """Whatever byte is changed, records that come are those that were written, or the damage is told."""
    packed = pack(CONTENT)
    for at in range(len(packed)):
        damaged = packed[:at] + bytes([packed[at] ^ 0x10]) + packed[at + 1 :]
        got, error = [], None
        try:
            for block in iter_blocks(Expanded(io.BytesIO(damaged), name, "a"), Framing(uri="a")):
                got += [block.content[a:b] for a, b in zip(block.starts, block.ends, strict=True)]
        except DecodeError as caught:
            error = caught
        assert got == [bytes([number]) * number for number in range(len(got))]
        assert error is not None or len(got) == 40


def test_a_damaged_stream_gives_what_comes_before_the_damage():
    """The bytes of the damaged stretch are given up to the damage itself."""
    packed = bytearray(gzip.compress(bytes(range(256)) * 4000, compresslevel=0))
    packed[500_000:500_010] = b"\xff" * 10
    packed[-8] ^= 1
    got, error = read_all(bytes(packed), "GZIP")
    assert len(got) > 900_000
    assert "the compressed data are damaged" in str(error)


@pytest.mark.parametrize("resync", [False, True])
def test_a_bomb_is_stopped_and_held_in_little_memory(resync):
    """A stream that expands more than a thousandfold is given up, and never held whole."""
    bomb = zlib.compressobj(9, wbits=31)
    packed = b"".join([*(bomb.compress(bytes(1 << 20)) for _ in range((FREE_BYTES >> 20) + 64)), bomb.flush()])
    assert len(packed) < 1 << 20
    stream = Expanded(io.BytesIO(packed), "GZIP", "a")
    tracemalloc.start()
    with pytest.raises(DecodeError, match="are more than max_expansion=200" if resync else "record 0 at byte 0"):
        list(iter_blocks(stream, Framing(uri="a", resync=resync)))
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_what_is_not_compressed_is_told_by_its_checksum():
    """A first record whose length looks like a mark is no compressed file."""
    assert compression_of(record(bytes(0x8B1F))) is None
    assert compression_of(b"\x1f\x8b") == "GZIP"
    assert compression_of(b"x") is None
    assert other_compression(b"\x28\xb5\x2f\xfd...") == "zstd"
    assert other_compression(record(b"")) is None
