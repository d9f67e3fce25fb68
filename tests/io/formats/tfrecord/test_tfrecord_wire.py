"""Many messages read in step by NumPy say what Protocol Buffers says of each of them."""

import struct

import numpy as np
from hypothesis import example as with_example
from hypothesis import given, settings
from hypothesis import strategies as st
from tfrecord_bytes import entry, example, feature, part, varint

from lightdata.io.formats.tfrecord.decode import parse_block
from lightdata.io.formats.tfrecord.framing import Block
from lightdata.io.formats.tfrecord.messages import in_usual_layout, parse_example
from lightdata.io.formats.tfrecord.wire import KINDS, find_features, gather

INTS = st.one_of(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-2, 300), st.sampled_from([-(1 << 63), 1 << 62]))
FLOATS = st.floats(width=32)
NAMES = st.one_of(st.sampled_from(["label", "image", "x", "y", ""]), st.text(max_size=5))
VALUES = st.one_of(
    st.lists(st.binary(max_size=200), max_size=4),
    st.lists(FLOATS, max_size=6),
    st.lists(INTS, max_size=6),
    st.none(),
    st.lists(st.integers(0, 100), min_size=20, max_size=40),
)


@st.composite
def lists_of_values(draw):
    """A feature, in one of the layouts that mean the same."""
    values = draw(VALUES)
    layout = draw(st.sampled_from(["usual"] * 6 + ["unpacked", "halves", "padded", "unknown", "two kinds"]))
    if not values or isinstance(values[0], bytes) or layout == "usual":
        return feature(values)
    is_float = isinstance(values[0], float)
    write = (lambda each: struct.pack("<f", each)) if is_float else varint
    field = 2 if is_float else 3
    match layout:
        case "unpacked":
            return part(field, b"".join(bytes([0x0D if is_float else 0x08]) + write(each) for each in values))
        case "halves":
            middle = len(values) // 2
            pieces = (part(1, b"".join(map(write, piece))) for piece in (values[:middle], values[middle:]))
            return part(field, b"".join(pieces))
        case "padded":
            return part(field, part(1, b"".join(map(write, values)), padding=2))
        case "unknown":
            return feature(values) + part(9, b"unknown")
    return feature([b"first"]) + feature(values)


@st.composite
def messages(draw):
    """A message of some features, perhaps twice of one name, perhaps in two parts, perhaps with what is unknown."""
    entries = [entry(draw(NAMES), draw(lists_of_values())) for _ in range(draw(st.integers(0, 6)))]
    match draw(st.sampled_from(["usual"] * 8 + ["halves", "padded", "unknown", "turned"])):
        case "usual":
            return part(1, b"".join(entries))
        case "halves":
            return b"".join(part(1, each) for each in entries)
        case "padded":
            return part(1, b"".join(entries), padding=3)
        case "unknown":
            return part(1, b"".join(entries) + part(7, b"?")) + part(2, b"!") + varint(5 << 3) + varint(1 << 40)
    turned = (part(1, part(2, feature([number])) + part(1, b"turned")) for number in (1, 2))
    return part(1, b"".join([*entries, *turned]))


def mutated(message, edits):
    content = bytearray(message)
    for at, byte in edits:
        if content:
            content[at % len(content)] = byte
    return bytes(content)


EDITS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 255)), max_size=3)


def block_of(contents):
    """Put messages behind one another, with something else between them."""
    pieces, starts, at = [], [], 0
    for content in contents:
        starts.append(at + 12)
        pieces.append(b"\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a" + content + b"\xff\xff\xff\xff")
        at += len(content) + 16
    starts = np.array(starts, np.int64)
    return Block(b"".join(pieces), starts, starts + [len(each) for each in contents], 0, 0)


def told(value):
    """Write a float by its bits, so that zeros differ by sign; one that is no number is like another."""
    if not isinstance(value, float):
        return value
    return "nan" if value != value else struct.pack("<f", value)  # noqa: PLR0124 - that is what no number is


def one_by_one(contents):
    """Read messages with Protocol Buffers, and leave out what is empty."""
    found = {}
    for row, content in enumerate(contents):
        try:
            parsed = parse_example(content)
        except ValueError:
            continue
        found[row] = {name: (kind, [*map(told, values)]) for name, (kind, values) in parsed.items() if values}
    return found


def in_step(contents):
    block = block_of(contents)
    parsed = parse_block(block, are_sequences=False)
    found = {int(row): {} for row in parsed.rows}
    for name, kinds in parsed.features.items():
        for kind, values in kinds.items():
            flat = [*map(told, values.flat.to_pylist())]
            assert len(flat) == values.counts.sum()
            ends = np.cumsum(values.counts).tolist()
            for row, count, end in zip(values.rows.tolist(), values.counts.tolist(), ends, strict=True):
                found[int(parsed.rows[row])][name] = (KINDS[kind], flat[end - count : end])
    assert sorted([*found, *parsed.errors]) == list(range(len(contents)))
    return found


@settings(deadline=None, max_examples=100)
@given(st.lists(messages(), max_size=8))
@with_example([example(x=[n, -n], y=[0.5]) for n in range(100)])
@with_example([example(**{f"x{n}": [n]}) for n in range(100)])
@with_example([example(x=[bytes([n])] * n) for n in range(100)])
def test_all_layouts_mean_what_protocol_buffers_says(contents):
    """Names, kinds, numbers of values and values agree with the parser that reads one message at a time."""
    assert in_step(contents) == one_by_one(contents)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(messages(), EDITS), min_size=1, max_size=5))
def test_mutants_are_malformed_or_mean_the_same(mutants):
    """Messages with bytes changed are refused exactly where Protocol Buffers refuses them."""
    contents = [mutated(message, edits) for message, edits in mutants]
    assert in_step(contents) == one_by_one(contents)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.binary(max_size=30), max_size=5))
def test_any_bytes_are_refused_or_mean_the_same(contents):
    """So are bytes that were never a message."""
    assert in_step(contents) == one_by_one(contents)


def test_every_message_cut_short_is_odd_or_whole():
    """A message that ends early, or goes on too long, is left to Protocol Buffers."""
    whole = example(label=[7, 300, -1], image=[b"\xff" * 200, b""], score=[0.5, -0.0])
    for end in range(len(whole)):
        contents = [whole[:end], whole, whole + whole[:end]]
        assert in_step(contents) == one_by_one(contents)


@settings(deadline=None, max_examples=100)
@given(messages())
def test_the_usual_layout_is_never_odd(message):
    """What is laid out as usual needs no second look, and means the same."""
    again = in_usual_layout(message)
    assert one_by_one([again]) == one_by_one([message])
    block = block_of([again])
    assert not find_features(block.content, block.starts, block.ends)[1].any()


def test_stretches_are_gathered():
    """Stretches of bytes become values, also where there is none or one is empty."""
    assert gather(b"abcdef", np.array([1, 2, 2]), np.array([1, 2, 6])).to_pylist() == [b"", b"", b"cdef"]
    assert gather(b"", np.array([], np.int64), np.array([], np.int64)).to_pylist() == []
