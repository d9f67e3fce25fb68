"""Damaged copies of files, the same ones each time: a mutant is made from its format, a seed and its number.

Damage is of four kinds: bytes that change, go missing or are put in; numbers that say how large, how many or where
something is, set to extremes; parts that are doubled, dropped or swapped; and the end of another file. Half of the
mutants of formats with checksums have right ones, and half of those of packed formats are damaged before packing:
else nothing would come behind the first check.
"""

import zlib
from random import Random

from faults.layouts import layout_of
from faults.samples import samples

BYTES = (0, 1, 127, 128, 255, *b'[]{}",:\\\n\r 09-')
WORDS = (
    *(b"\xff" * 4, b"\0" * 8, b"\xff" * 7 + b"\x7f", b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\xff\xd9"),
    *(b"null", b"[" * 30, b'"', b"\n", b"{}", b"1e999", b"-1", b"|O8", b"9" * 20),
)
DIGITS = (b"0", b"-1", b"1", b"7", b"4294967296", b"9223372036854775807", b"18446744073709551616", b"9" * 25)
LENGTHS = (1, 4, 16, 64)


def mutant(name, seed, number):
    """Make a damaged copy of one of a format's samples.

    Parameters
    ----------
    name : str
        The format: a key of ``samples.FILES``.
    seed, number : int
        Which one.

    Returns
    -------
    bytes
    """
    draw = Random(f"{name} {seed} {number}")
    whole = samples(name)
    content = whole[number % len(whole)]
    return damaged(content, layout_of(name), [one for one in whole if one is not content], draw)


def damaged(content, layout, others, draw):
    """Change a file in a few ways; half of the time, what it packs."""
    if layout.inside is not None and draw.random() < 0.5:
        try:
            inner = layout.inside.unpack(content)
            return layout.inside.pack(content, damaged(inner, layout.inside.layout, [], draw))
        except (ValueError, StopIteration, OSError, zlib.error):
            pass  # this one packs nothing
    for _ in range(draw.choice((1, 1, 1, 2, 4, 8))):
        content = changed(content, layout, others, draw)
    return layout.repaired(content) if layout.repaired is not None and draw.random() < 0.5 else content


def changed(content, layout, others, draw):
    """Change a file in one way."""
    match draw.random():
        case chance if chance < 0.4 and layout.fields:
            return with_extreme(content, layout, draw)
        case chance if chance < 0.5 and layout.borders is not None:
            return rearranged(content, list(layout.borders(content)), draw)
        case chance if chance < 0.55 and others:
            other = draw.choice(others)
            at = draw.randrange(len(content) + 1)
            return content[:at] + other[at if draw.random() < 0.5 else draw.randrange(len(other)) :]
        case chance if chance < 0.65:
            return content[: draw.randrange(len(content) + 1)]
    return with_other_bytes(bytearray(content), draw)


def with_other_bytes(content, draw):
    """Flip a bit, or change, drop, insert or double some bytes."""
    at = draw.randrange(len(content) + 1)
    length = draw.choice(LENGTHS)
    match draw.randrange(8):
        case 0:
            content[at : at + 1] = bytes([draw.choice(BYTES)])
        case 1:
            content[at : at + 1] = bytes([draw.randrange(256)])
        case 2:
            content[at : at + length] = b""
        case 3:
            content[at:at] = draw.choice(WORDS)
        case 4:
            word = draw.choice(WORDS)
            content[at : at + len(word)] = word
        case 5:
            content[at : at + length] = draw.choice((b"\0", b"\xff")) * len(content[at : at + length])
        case 6:
            to = draw.randrange(len(content) + 1)
            content[to:to] = content[at : at + length]
        case 7 if at < len(content):
            content[at] ^= 1 << draw.randrange(8)
    return bytes(content)


def with_extreme(content, layout, draw):
    """Set one of the numbers in a file to an extreme, or next to what it was."""
    fields = list(draw.choice(layout.fields)(content))
    if not fields:
        return content
    start, size, order = draw.choice(fields)
    if order == "text":
        return content[:start] + draw.choice((*DIGITS, b"7" * size)) + content[start + size :]
    bits = 8 * size
    was = int.from_bytes(content[start : start + size], order)
    near = (was + 1, was - 1, was * 2, was // 2, was ^ 1 << draw.randrange(bits))
    extremes = (0, 1, (1 << bits) - 1, 1 << bits - 1, (1 << bits - 1) - 1, len(content), 1 << bits // 2, 1 << bits - 2)
    value = draw.choice(extremes if draw.random() < 0.6 else near) % (1 << bits)
    return content[:start] + value.to_bytes(size, order) + content[start + size :]


def rearranged(content, borders, draw):
    """Double, drop or swap parts of a file."""
    if len(borders) < 2:
        return content
    parts = [content[a:b] for a, b in zip([0, *borders], [*borders, len(content)], strict=True)]
    one, other = draw.randrange(1, len(parts)), draw.randrange(1, len(parts))
    match draw.randrange(3):
        case 0:
            parts[other:other] = [parts[one]] * draw.choice((1, 1, 2, 50))
        case 1:
            del parts[one]
        case 2:
            parts[one], parts[other] = parts[other], parts[one]
    return b"".join(parts)
