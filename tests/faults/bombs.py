"""Files that are small and ask for much; each is made by hand where writers would not."""

import gzip
import io
import os
import struct
import tarfile
import zipfile
import zlib

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

GIB = 1 << 30
LARGE = 48 << 20
"""Bytes that packed bombs expand to: far more than anything may that is so small."""


def zeros(gzip_head=b"", size=LARGE, wbits=31):
    """Compress a head and so many zeros."""
    deflate, piece = zlib.compressobj(9, wbits=wbits), bytes(1 << 20)
    return b"".join(
        [deflate.compress(gzip_head), *(deflate.compress(piece) for _ in range(size >> 20)), deflate.flush()]
    )


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, data=b"", text=()):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *text,
            chunk(b"IDAT", data or zlib.compress(b"")),
            chunk(b"IEND", b""),
        ]
    )


def gif(width, height):
    """Give a GIF whose screen is so large, and whose one frame is a pixel."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\0"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame + b";"


def saved(file_format, **options):
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, file_format, **options)
    return bytearray(out.getvalue())


def jpeg(width, height):
    data = saved("JPEG", progressive=True)
    at = data.index(b"\xff\xc2")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def tiff(width, height):
    data = saved("TIFF", compression="tiff_lzw")
    start = struct.unpack_from("<I", data, 4)[0]
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        tag = struct.unpack_from("<H", data, entry)[0]
        if tag in (256, 257, 278):
            struct.pack_into("<HHII", data, entry, tag, 4, 1, width if tag == 256 else height)
    return bytes(data)


def text_chunks(kind, count):
    megabyte = zlib.compress(bytes(1 << 20), 9)
    head = {b"zTXt": b"key\0\0", b"iTXt": b"key\0\1\0\0\0"}[kind]
    return [chunk(kind, head + megabyte) for _ in range(count)]


PIXELS = zlib.compress(bytes(13 * 4))
IMAGES = {
    "gif.gif": gif(8289, 8192),
    "gif_larger.gif": gif(65535, 65535),
    "png.png": png(30_000, 30_000),
    "png_8289.png": png(8289, 8192),
    "jpeg.jpg": jpeg(13_000, 13_000),
    "tiff.tif": tiff(13_000, 13_000),
    "ztxt.png": png(4, 4, PIXELS, text_chunks(b"zTXt", 200)),
    "itxt.png": png(4, 4, PIXELS, text_chunks(b"iTXt", 60)),
    "one_ztxt.png": png(4, 4, PIXELS, [chunk(b"zTXt", b"key\0\0" + zeros(size=64 << 20, wbits=15))]),
    "iccp.png": png(4, 4, PIXELS, [chunk(b"iCCP", b"p\0\0" + zeros(size=64 << 20, wbits=15))]),
    "frames.gif": b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    + (b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\0") * 20_000 + b";",
}  # fmt: skip


def zip_of(name, members):
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for member, head, size in members:
            with archive.open(member, "w", force_zip64=True) as file:
                file.write(head)
                for _ in range(size >> 20):
                    file.write(bytes(1 << 20))


def npy_head(shape, descr="|u1"):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": shape})
    return out.getvalue()


def overlapping_zip():
    """Give a zip in which a hundred members are the same bytes (as D. Fifield's, 2019)."""
    body = zeros(size=16 << 20, wbits=-15)
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(body), 16 << 20, 1, 0) + b"a" + body
    entries = b"".join(
        struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, len(body), 16 << 20, 3, 0, 0, 0, 0, 0, 0)
        + b"%03d" % number
        for number in range(100)
    )
    return local + entries + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 100, 100, len(entries), len(local), 0)


def crowded_zip(count):
    """Give a zip that lists so many members of no bytes."""
    entries = b"".join(
        struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0) + b"%06x" % number
        for number in range(count)
    )
    end = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(entries), 0)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(entries), 1)
    return entries + end + locator + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, *[0xFFFFFFFF] * 2, 0)


def record_head(length):
    """Begin a TFRecord of so many bytes, with a right checksum."""
    head = struct.pack("<Q", length)
    crc = google_crc32c.value(head)
    return head + struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def tar_head(name, kind=tarfile.REGTYPE):
    info = tarfile.TarInfo(name)
    info.size, info.type = LARGE, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def write_parquet_bombs(folder):
    blank = pa.table({"a": pa.array([bytes(1 << 20)] * 300, pa.binary())})
    plain = {"use_dictionary": False, "compression": "zstd", "write_statistics": False}
    pq.write_table(blank, folder / "plain.parquet", **plain)
    ones = pa.array(np.zeros(35_000_000, np.uint64))
    lists = pa.ListArray.from_arrays(pa.array([0, len(ones)], pa.int32()), ones)
    pq.write_table(pa.table({"a": lists}), folder / "lists.parquet", write_statistics=False)
    key = pa.array([b"\0" * 900_000], pa.binary())
    rows = pa.DictionaryArray.from_arrays(pa.array(np.zeros(300, np.int32)), key)
    pq.write_table(pa.table({"a": rows}), folder / "repeated.parquet", store_schema=False, compression="zstd")


def write_arrow_bombs(folder):
    blank = pa.table({"a": pa.array([bytes(1 << 20)] * 300, pa.large_binary())})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    for name, new in {"file.arrow": pa.ipc.new_file, "stream.arrows": pa.ipc.new_stream}.items():
        with new(folder / name, blank.schema, options=options) as writer:
            writer.write_table(blank)
    words = pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), blank["a"].chunk(0))
    with pa.ipc.new_file(folder / "dictionary.arrow", pa.schema([("a", words.type)]), options=options) as writer:
        writer.write_table(pa.table({"a": words}))


def write_tables(folder):
    """Write bombs that take seconds to make: tables, which may expand to 256 MB, and a list of a million members."""
    write_parquet_bombs(folder)
    write_arrow_bombs(folder)
    (folder / "crowded.zip").write_bytes(crowded_zip(1_000_001))


def write_files(folder):
    """Write all others."""
    for name, content in IMAGES.items():
        (folder / name).write_bytes(content)
    for name, head in {"csv": b"a,b\n1,2\n", "txt": b"a\n", "jsonl": b'{"a":1}\n', "json": b"["}.items():
        (folder / f"{name}.{name}.gz").write_bytes(zeros(head))
    (folder / "gzip.tfrecord.gz").write_bytes(zeros(record_head(LARGE - (1 << 20))))
    (folder / "zlib.tfrecord").write_bytes(zeros(record_head(LARGE - (1 << 20)), wbits=15))
    (folder / "member.tar.gz").write_bytes(zeros(tar_head("a.jpg")))
    (folder / "name.tar.gz").write_bytes(zeros(tar_head("././@LongLink", tarfile.GNUTYPE_LONGNAME)))
    zip_of(folder / "member.zip", [("a.jpg", b"", LARGE)])
    zip_of(folder / "array.npz", [("a.npy", npy_head((LARGE,)), LARGE)])
    (folder / "overlapping.zip").write_bytes(overlapping_zip())
    (folder / "shape.npy").write_bytes(npy_head((1 << 40, 1 << 20)))
    (folder / "overflow.npy").write_bytes(npy_head((1 << 62, 4), "<f8"))
    (folder / "nothing.npy").write_bytes(npy_head((1 << 40,), "<U0"))
    for name, head in {"hole.jpg": b"\xff\xd8", "hole.npy": npy_head((1, 5 * GIB))}.items():
        (folder / name).write_bytes(head)
        os.truncate(folder / name, len(head) + 5 * GIB)


def write_sound(folder):
    """Write a sound file of each kind, and a broken one: what is loaded for the first of a kind is no bomb's memory."""
    folder.mkdir()
    for ending in ("png", "gif", "jpg", "tif"):
        Image.new("RGB", (4, 4)).save(folder / f"a.{ending}")
    (folder / "broken.png").write_bytes(b"no image")
    for name, content in {"csv": b"a\n1\n", "txt": b"a\n", "jsonl": b'{"a":1}\n', "json": b'[{"a":1}]'}.items():
        (folder / f"a.{name}.gz").write_bytes(gzip.compress(content))
    (folder / "a.tfrecord.gz").write_bytes(gzip.compress(record_head(9)))
    np.save(folder / "a.npy", np.zeros((3, 2)))
    np.savez(folder / "a.npz", a=np.zeros(3))
    pq.write_table(pa.table({"a": pa.array([b"x"] * 9)}), folder / "a.parquet")
    table = pa.table({"a": pa.array([b"x"] * 9)})
    with pa.ipc.new_file(folder / "a.arrow", table.schema) as writer:
        writer.write_table(table)
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.write(folder / "a.png", "a.png")
    with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
        archive.add(folder / "a.png", "a.png")
