"""Where files say how large, how many and where things are: for mutants that lie about that, and of that alone."""

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lightdata.io.formats.tfrecord.checksum import masked_crc

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT = Literal["text"]


class Field(NamedTuple):
    """A number in a file."""

    start: int
    size: int
    order: Literal["big", "little", "text"] = "little"
    """The order of its bytes, or that it is written in digits."""


@dataclass(frozen=True)
class Layout:
    """What a mutator knows of a format."""

    fields: tuple[Callable[[bytes], Iterable[Field]], ...] = ()
    """Find numbers, one kind of them each: kinds are equally likely to be changed."""

    borders: Callable[[bytes], Iterable[int]] | None = None
    """Find where parts begin that can be doubled, dropped and swapped."""

    repaired: Callable[[bytes], bytes] | None = None
    """Make checksums right again."""

    inside: "Inside | None" = None


class Inside(NamedTuple):
    """What a file holds in packed form."""

    unpack: Callable[[bytes], bytes]
    pack: Callable[[bytes, bytes], bytes]
    """Put other content into a file."""

    layout: Layout


def number(data, start, size, order="little"):
    return int.from_bytes(data[start : start + size], order)


def walked(data, start, step):
    """List where parts begin, given how to get from one to the next; a part of no length is the last."""
    at, found = start, []
    while at < len(data) and len(found) < 5000:
        found.append(at)
        at = max(step(data, at), at + 1)
    return found


# JPEG: ITU T.81, annex B.


def jpeg_segments(data):
    def step(data, at):
        if data[at : at + 1] != b"\xff" or data[at + 1 : at + 2] in (b"\xd8", b"\xd9", b"\0", b"\xff"):
            return at + 1 if data[at : at + 1] != b"\xff" else at + 2
        end = at + 2 + number(data, at + 2, 2, "big")
        if data[at + 1 : at + 2] != b"\xda":
            return end
        while end + 1 < len(data) and (data[end] != 0xFF or data[end + 1] in (0, *range(0xD0, 0xD8))):
            end += 1
        return end

    return walked(data, 0, step)


def jpeg_lengths(data):
    return [Field(at + 2, 2, "big") for at in jpeg_segments(data) if data[at + 1 : at + 2] not in (b"\xd8", b"\xd9")]


def jpeg_frames(data):
    """Precision, height, width, components and their sampling, and what scans say."""
    for at in jpeg_segments(data):
        match data[at + 1 : at + 2]:
            case b"\xc0" | b"\xc1" | b"\xc2":
                yield from [Field(at + 4, 1), Field(at + 5, 2, "big"), Field(at + 7, 2, "big"), Field(at + 9, 1)]
                yield from (Field(at + 10 + byte, 1) for byte in range(9))
            case b"\xda":
                yield from (Field(at + 4 + byte, 1) for byte in range(10))
            case b"\xdd":
                yield Field(at + 4, 2, "big")


def jpeg_tables(data):
    """Quantisers, and how many codes there are of each length."""
    for at in jpeg_segments(data):
        if data[at + 1 : at + 2] in (b"\xc4", b"\xdb"):
            yield from (Field(at + 4 + byte, 1) for byte in range(20))


def exif_numbers(data):
    """Offsets and entries of a TIFF inside of another file."""
    start = data.find(b"Exif\0\0") + 6
    if start > 6:
        yield from (Field(field.start + start, *field[1:]) for field in tiff_numbers(data[start : start + 500]))


# PNG: W3C's recommendation, section 5.


def png_chunks(data):
    return walked(data, len(SIGNATURE), lambda data, at: at + 12 + number(data, at, 4, "big"))


def png_lengths(data):
    return [Field(at, 4, "big") for at in png_chunks(data)]


def png_header(data):
    return [Field(16, 4, "big"), Field(20, 4, "big"), *(Field(at, 1) for at in range(24, 29))]


def png_animation(data):
    for at in png_chunks(data):
        if data[at + 4 : at + 8] in (b"acTL", b"fcTL"):
            yield from (Field(at + 8 + step, 4, "big") for step in range(0, min(number(data, at, 4, "big"), 24), 4))


def png_repaired(data):
    out = bytearray(data)
    for at in png_chunks(data):
        end = at + 8 + number(data, at, 4, "big")
        if end + 4 <= len(data):
            out[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
    return bytes(out)


def png_chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_rows(data):
    """Unpack the rows, each of which begins with the number of its filter."""
    packed = b"".join(
        data[at + 8 : at + 8 + number(data, at, 4, "big")]
        for at in png_chunks(data)
        if data[at + 4 : at + 8] == b"IDAT"
    )
    return zlib.decompress(packed)


def png_with_rows(data, rows):
    parts = [data[at : at + 12 + number(data, at, 4, "big")] for at in png_chunks(data)]
    first = next(index for index, part in enumerate(parts) if part[4:8] == b"IDAT")
    kept = [part for part in parts if part[4:8] != b"IDAT"]
    return SIGNATURE + b"".join([*kept[:first], png_chunk(b"IDAT", zlib.compress(rows)), *kept[first:]])


# GIF89a, sections 17 to 27.


def gif_blocks(data):
    def after(data, at):
        while at < len(data) and data[at]:
            at += 1 + data[at]
        return at + 1

    def step(data, at):
        match data[at : at + 1]:
            case b",":
                flags = number(data, at + 9, 1)
                return after(data, at + 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0))
            case b"!":
                return after(data, at + 2)
        return at + 1

    flags = number(data, 10, 1)
    return walked(data, 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0), step)


def gif_screen(data):
    return [Field(6, 2), Field(8, 2), Field(10, 1), Field(11, 1)]


def gif_frames(data):
    for at in gif_blocks(data):
        if data[at : at + 1] == b",":
            yield from (Field(at + step, 2) for step in (1, 3, 5, 7))
            yield from (Field(at + step, 1) for step in (9, 10, 11))
        else:
            yield from (Field(at + step, 1) for step in range(1, 8))


# BMP: Windows' BITMAPINFOHEADER and its successors.


def bmp_header(data):
    return [
        Field(2, 4),
        Field(10, 4),
        Field(14, 4),
        *(Field(at, 4) for at in range(18, 54, 4)),
        Field(26, 2),
        Field(28, 2),
    ]


# TIFF 6.0, section 2, and BigTIFF.


def tiff_directories(data):
    """List byte order, whether it is BigTIFF, and where directories are."""
    order = "big" if data[:2] == b"MM" else "little"
    is_big = number(data, 2, 2, order) == 43
    found, at = [], number(data, 8 if is_big else 4, 8 if is_big else 4, order)
    while 0 < at < len(data) and at not in found and len(found) < 8:
        found.append(at)
        count = min(number(data, at, 8 if is_big else 2, order), 4000)
        after = at + 8 + 20 * count if is_big else at + 2 + 12 * count
        at = number(data, after, 8 if is_big else 4, order)
    return order, is_big, found


def tiff_numbers(data):
    """Offsets, counts, and tag, type, count and value of each entry."""
    order, is_big, directories = tiff_directories(data)
    yield Field(8 if is_big else 4, 8 if is_big else 4, order)
    for at in directories:
        head, entry, word = (8, 20, 8) if is_big else (2, 12, 4)
        yield Field(at, head, order)
        count = min(number(data, at, head, order), 40)
        for start in range(at + head, at + head + entry * count, entry):
            yield from (Field(start, 2, order), Field(start + 2, 2, order), Field(start + 4, word, order))
            yield from (Field(start + 4 + word, word, order), Field(start + 4 + word, 2, order))
        yield Field(at + head + entry * count, word, order)


# WebP: RIFF.


def webp_chunks(data):
    return walked(data, 12, lambda data, at: at + 8 + number(data, at + 4, 4) + number(data, at + 4, 4) % 2)


def webp_sizes(data):
    return [Field(4, 4), *(Field(at + 4, 4) for at in webp_chunks(data))]


def webp_headers(data):
    """The first bytes of each chunk: sizes of canvas and frames, flags, partitions."""
    return [Field(at + 8 + step, 2) for at in webp_chunks(data) for step in range(0, 24, 2)]


def webp_repaired(data):
    return data[:4] + struct.pack("<I", max(len(data) - 8, 0)) + data[8:]


# AVIF: ISO 14496-12, section 4.2, and 23008-12.

_NESTED = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"dinf": 0}


def avif_boxes(data, start=0, stop=None):
    """List where boxes begin, those inside others too."""
    at, stop = start, len(data) if stop is None else stop
    while at + 8 <= stop:
        size = number(data, at, 4, "big")
        end = min(at + size, stop) if size >= 8 else stop
        yield at
        kind = data[at + 4 : at + 8]
        if kind in _NESTED:
            yield from avif_boxes(data, at + 8 + _NESTED[kind], end)
        at = end


def avif_sizes(data):
    return [Field(at, 4, "big") for at in avif_boxes(data)]


def avif_contents(data):
    """What stands in boxes other than the one of pixels, two bytes at a time."""
    for at in avif_boxes(data):
        if data[at + 4 : at + 8] not in (*_NESTED, b"mdat"):
            size = min(number(data, at, 4, "big"), 120)
            yield from (Field(at + step, 2, "big") for step in range(8, size - 1, 2))


# npy: NEP 1. Its header is text.


def npy_header(data):
    return [Field(8, 2)]


def digits(data, start=0, stop=None):
    """Find numbers that are written in digits."""
    at, stop = start, len(data) if stop is None else min(stop, len(data))
    while at < stop:
        end = at
        while end < stop and data[end : end + 1].isdigit():
            end += 1
        if end > at:
            yield Field(at, end - at, "text")
        at = end + 1


def npy_digits(data):
    return digits(data, 8, 10 + number(data, 8, 2))


# Zip: PKWARE's APPNOTE, 4.3.


def zip_parts(data):
    return sorted(at for sign in (b"PK\3\4", b"PK\1\2", b"PK\5\6") for at in found_all(data, sign))


def found_all(data, sign):
    at = data.find(sign)
    while at >= 0:
        yield at
        at = data.find(sign, at + 1)


def zip_numbers(data):
    sizes = {
        b"PK\3\4": (2,) * 5 + (4, 4, 4, 2, 2),
        b"PK\1\2": (2,) * 6 + (4, 4, 4) + (2,) * 5 + (4, 4),
        b"PK\5\6": None,
    }
    for at in zip_parts(data):
        start = at + 4
        for size in sizes[data[at : at + 4]] or (2, 2, 2, 2, 4, 4, 2):
            yield Field(start, size)
            start += size


def zip_repaired(data):
    """Make checksums of members what their bytes have, where the list of members still says where they are."""
    out = bytearray(data)
    for at in found_all(data, b"PK\1\2"):
        method, packed, offset = number(data, at + 10, 2), number(data, at + 20, 4), number(data, at + 42, 4)
        start = offset + 30 + number(data, offset + 26, 2) + number(data, offset + 28, 2)
        content = data[start : start + packed]
        try:
            whole = zlib.decompress(content, -15) if method == zipfile.ZIP_DEFLATED else content
        except zlib.error:
            continue
        checksum = struct.pack("<I", zlib.crc32(whole))
        for place in (at + 16, offset + 14):
            if place + 4 <= len(out):
                out[place : place + 4] = checksum
    return bytes(out)


# Gzip: RFC 1952.


def gzip_numbers(data):
    return [Field(2, 1), Field(3, 1), Field(len(data) - 8, 4), Field(len(data) - 4, 4)]


def gunzipped(data):
    return gzip.GzipFile(fileobj=io.BytesIO(data)).read()


def regzipped(data, content):
    return gzip.compress(content, mtime=0)


# TFRecord, and Protocol Buffers inside.


def records(data):
    return walked(data, 0, lambda data, at: at + 16 + number(data, at, 8))


def record_lengths(data):
    return [Field(at, 8) for at in records(data)]


def records_repaired(data):
    out = bytearray(data)
    for at in records(data):
        end = at + 12 + number(data, at, 8)
        out[at + 8 : at + 12] = struct.pack("<I", masked_crc(data[at : at + 8]))
        if end + 4 <= len(data):
            out[end : end + 4] = struct.pack("<I", masked_crc(data[at + 12 : end]))
    return bytes(out[: len(data)])


def message_of(data):
    return data[12 : 12 + number(data, 0, 8)]


def with_message(data, content):
    rest = data[16 + number(data, 0, 8) :]
    return records_repaired(struct.pack("<Q", len(content)) + bytes(4) + content + bytes(4) + rest)


def every_byte(data):
    return [Field(at, 1) for at in range(len(data))]


# Parquet: the footer is Thrift, whose numbers take one byte if they are small.


def footer_length(data):
    return [Field(len(data) - 8, 4)]


def footer_of(data):
    return data[-8 - number(data, len(data) - 8, 4) : -8]


def with_footer(data, footer):
    kept = data[: max(len(data) - 8 - number(data, len(data) - 8, 4), 0)]
    return kept + footer + struct.pack("<I", len(footer)) + b"PAR1"


def page_headers(data):
    """The first bytes of a file, where the header of its first page is, and those like them."""
    yield from (Field(at, 1) for at in range(4, 40))
    for sign in (b"\x15\x00\x15", b"\x15\x04\x15", b"\x15\x06\x15"):
        yield from (Field(at + step, 1) for at in found_all(data, sign) for step in range(16))


# Arrow IPC: lengths of metadata, which is FlatBuffers, whose numbers lie on borders of four bytes.


def arrow_messages(data):
    return list(found_all(data, b"\xff\xff\xff\xff"))


def arrow_lengths(data):
    return [*(Field(at + 4, 4) for at in arrow_messages(data)), Field(len(data) - 10, 4)]


def arrow_words(data):
    spans = [(at + 8, at + 8 + number(data, at + 4, 4)) for at in arrow_messages(data)]
    spans.append((len(data) - 10 - number(data, len(data) - 10, 4), len(data) - 10))
    for start, stop in spans:
        yield from (Field(at, 4) for at in range(max(start, 0), min(stop, len(data)), 4))


def arrow_longs(data):
    return [Field(field.start, 8) for field in arrow_words(data) if field.start % 8 == 0]


# Tar: ustar.


def tar_blocks(data):
    return range(0, len(data), 512)


def tar_headers(data):
    return [at for at in tar_blocks(data) if data[at + 257 : at + 262] == b"ustar"]


def tar_numbers(data):
    for at in tar_headers(data):
        for start, stop in ((100, 107), (124, 135), (136, 147), (156, 157), (345, 500)):
            yield from digits(data, at + start, at + stop)
        yield from (Field(at + 124, 4), Field(at + 156, 1), Field(at, 4))


def tar_repaired(data):
    out = bytearray(data)
    for at in tar_headers(data):
        block = data[at : at + 148] + b" " * 8 + data[at + 156 : at + 512]
        out[at + 148 : at + 156] = b"%06o\0 " % sum(block)
    return bytes(out)


TIFF = Layout((tiff_numbers,))
NPY = Layout((npy_header, npy_digits, every_byte))
TAR = Layout((tar_numbers,), tar_blocks, tar_repaired)
TFRECORD = Layout((record_lengths,), records, records_repaired, Inside(message_of, with_message, Layout((every_byte,))))
PARQUET = Layout((footer_length, page_headers), None, None, Inside(footer_of, with_footer, Layout((every_byte,))))
TEXT_ONLY = Layout((digits,))

LAYOUTS = {
    "jpeg": Layout((jpeg_lengths, jpeg_frames, jpeg_tables, exif_numbers), jpeg_segments),
    "png": Layout(
        (png_lengths, png_header, png_animation),
        png_chunks,
        png_repaired,
        Inside(png_rows, png_with_rows, Layout((every_byte,))),
    ),
    "gif": Layout((gif_screen, gif_frames), gif_blocks),
    "bmp": Layout((bmp_header,)),
    "tiff": TIFF,
    "webp": Layout((webp_sizes, webp_headers), webp_chunks, webp_repaired),
    "avif": Layout((avif_sizes, avif_contents), avif_boxes),
    "npy": NPY,
    "npz": Layout((zip_numbers, digits), zip_parts, zip_repaired),
    "tfrecord": TFRECORD,
    "parquet": PARQUET,
    "arrow": Layout((arrow_lengths, arrow_words, arrow_longs), arrow_messages),
    "arrows": Layout((arrow_lengths, arrow_words, arrow_longs), arrow_messages),
    "csv": TEXT_ONLY,
    "jsonl": TEXT_ONLY,
    "json": TEXT_ONLY,
    "txt": TEXT_ONLY,
    "tar": TAR,
    "zip": Layout((zip_numbers,), zip_parts, zip_repaired),
}
"""What is known of each format, by the last ending of its files' names that says what they hold."""


def layout_of(name):
    """Give the layout of a format; of a compressed one, that of what it packs is its inside."""
    if name.endswith(".gz"):
        return Layout((gzip_numbers,), None, None, Inside(gunzipped, regzipped, layout_of(name.removesuffix(".gz"))))
    return LAYOUTS[name.rpartition(".")[2]]
