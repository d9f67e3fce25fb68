"""Small whole files of every format, a few kinds of each: what mutants are made of."""

import gzip
import io
import json
import struct
import zipfile
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from row_files import ipc, npy, npz, tar
from tfrecord_bytes import example, record

import lightdata as ld
from lightdata.kernels.header import read_header
from lightdata.types.image import dynamic_images

HEIGHT, WIDTH = 18, 26
IMAGES = ("jpeg", "png", "gif", "bmp", "tiff", "webp", "avif")


def picture(mode="RGB", height=HEIGHT, width=WIDTH, seed=0):
    """Draw an image without symmetry, smooth in one half and noisy in the other."""
    y, x = np.mgrid[0:height, 0:width]
    bands = {"LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}.get(mode, 1)
    noise = (x * x * 31 + y * y * x * 17) % 61 * (x > width // 2)
    planes = [(x * 4 + y * (3 + 2 * band) + noise + band * 60 + seed * 40) % 256 for band in range(bands)]
    pixels = np.stack(planes, axis=-1).astype(np.uint8)
    match mode:
        case "1" | "P":
            return Image.fromarray(pixels[..., 0]).convert("RGB").quantize(2 if mode == "1" else 16).convert(mode)
        case "I;16" | "I" | "F":
            dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
            return Image.fromarray(pixels[..., 0].astype(dtype) * 250)
        case "CMYK":
            return Image.frombytes("CMYK", (width, height), pixels.tobytes())
    return Image.fromarray(pixels.squeeze())


def saved(file_format, mode="RGB", frames=1, **options):
    """Save a drawing, or several as the frames of one file."""
    stream = io.BytesIO()
    first, *others = (picture(mode, seed=number) for number in range(frames))
    first.save(stream, file_format, **(options | ({"save_all": True, "append_images": others} if others else {})))
    return stream.getvalue()


def exif(orientation):
    """Say how a camera was held."""
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def rle_bmp():
    """Pack a bitmap of palette colours by run lengths, which Pillow reads and does not write."""
    runs = b"".join(bytes([WIDTH, row % 4]) + b"\0\0" for row in range(HEIGHT - 1)) + bytes([0, WIDTH])
    runs += bytes(n % 4 for n in range(WIDTH)) + b"\0\1"
    head = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 8, 1, len(runs), 0, 0, 4, 4)
    colours = b"".join(struct.pack("<I", colour) for colour in (0, 0xFF0000, 0xFF00, 0xFF))
    offset = 14 + len(head) + len(colours)
    return struct.pack("<2sIII", b"BM", offset + len(runs), 0, offset) + head + colours + runs


def jpeg():
    """JPEG of every kind that is common."""
    yield saved("JPEG")
    yield saved("JPEG", progressive=True)
    yield saved("JPEG", "L")
    yield saved("JPEG", exif=exif(6), subsampling=0)
    yield saved("JPEG", "CMYK")
    yield saved("JPEG", restart_marker_rows=1, subsampling=1)
    yield saved("MPO", frames=2)


def png():
    """PNG of most colour types, animated, packed and not."""
    yield saved("PNG")
    yield saved("PNG", "P", transparency=2)
    yield saved("PNG", "I;16")
    yield saved("PNG", "LA", compress_level=0)
    yield saved("PNG", "1")
    yield saved("PNG", "RGBA", frames=3)
    yield saved("PNG", "L", exif=exif(8), transparency=7)


def gif():
    """GIF of one and of several frames."""
    yield saved("GIF", "P")
    yield saved("GIF", "P", frames=3, disposal=2, loop=0)
    yield saved("GIF", "P", transparency=1, comment=b"hello")
    yield saved("GIF", "L", frames=2, interlace=0)


def bmp():
    """BMP of several depths, packed and not."""
    yield saved("BMP")
    yield saved("BMP", "P")
    yield saved("BMP", "1")
    yield saved("BMP", "RGBA")
    yield rle_bmp()


def tiff():
    """TIFF of most compressions and modes."""
    yield saved("TIFF")
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma"):
        yield saved("TIFF", compression=compression)
    yield saved("TIFF", "1", compression="group4")
    yield saved("TIFF", "1", compression="group3")
    yield saved("TIFF", "I;16", frames=3)
    yield saved("TIFF", "F", compression="tiff_deflate")
    yield saved("TIFF", "CMYK", compression="tiff_lzw")
    yield saved("TIFF", "P", exif=exif(5), big_tiff=True)


def webp():
    """WebP, lossy and lossless, with alpha, and animated."""
    yield saved("WEBP")
    yield saved("WEBP", "RGBA", lossless=True)
    yield saved("WEBP", "RGBA", exif=exif(3))
    yield saved("WEBP", frames=3)


def avif():
    """AVIF, with alpha, and animated."""
    yield saved("AVIF", speed=9)
    yield saved("AVIF", "RGBA", speed=9)
    yield saved("AVIF", "L", speed=9, exif=exif(6))
    yield undated(saved("AVIF", frames=2, speed=9))


def undated(avif):
    """Clear when a film was made: the same file comes every time."""
    content = bytearray(avif)
    for box in (b"mvhd", b"tkhd", b"mdhd"):
        at = content.index(box) + 8  # behind version and flags
        content[at : at + 16] = bytes(16)
    return bytes(content)


TABLE = pa.table(
    {
        "n": pa.array([1, None, 3, 4], pa.int32()),
        "s": ["abc", "", None, "é"],
        "l": [[1.5], None, [], [2.5, 3]],
        "r": [{"x": 1, "y": "z"}, None, {"x": None, "y": ""}, {"x": 4, "y": "w"}],
        "d": pa.array(["u", "v", "u", None]).dictionary_encode(),
        "t": pa.array([0, 1, None, 3], pa.timestamp("us")),
        "b": [b"\0\1", None, b"", b"x" * 40],
        "e": pa.array([True, False, None, True]),
    }
)


def parquet_of(table, **options):
    """Write a table, in two row groups."""
    stream = io.BytesIO()
    pq.write_table(table, stream, row_group_size=2, **options)
    return stream.getvalue()


def parquet():
    """Parquet of every encoding and compression that is common."""
    yield parquet_of(TABLE)
    yield parquet_of(TABLE, compression="zstd", data_page_version="2.0")
    yield parquet_of(TABLE, compression="none", use_dictionary=False, write_page_index=True)
    numbered = {"n": "DELTA_BINARY_PACKED", "s": "DELTA_BYTE_ARRAY", "b": "DELTA_LENGTH_BYTE_ARRAY"}
    yield parquet_of(TABLE, compression="gzip", use_dictionary=False, column_encoding=numbered)
    yield parquet_of(TABLE, compression="lz4", write_page_checksum=True)


def tensor_table():
    """Hold columns of tensors and images of all kinds."""
    pixels = [np.asarray(picture("RGB", 5, 4, seed)) for seed in range(3)]
    found = ld.from_items(
        [{"image": one, "tensor": np.full((2, n + 1), n, np.float32)} for n, one in enumerate(pixels)]
    )
    fixed = pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(12.0).reshape(3, 2, 2))
    files = dynamic_images([read_header(saved(one, "L")) for one in ("PNG", "JPEG", "GIF")])
    table = found.to_arrow().append_column("fixed", fixed)
    return table.append_column("file", files)


def tensors():
    """Parquet with columns of tensors and images."""
    yield parquet_of(tensor_table())
    yield parquet_of(tensor_table(), compression="none", use_dictionary=False)


def hub():
    """Parquet with images as Hugging Face has them."""
    images = [{"bytes": saved("PNG", "L"), "path": "a.png"}, None, {"bytes": saved("JPEG", "L"), "path": None}]
    features = {"info": {"features": {"image": {"_type": "Image"}, "n": {"dtype": "int64", "_type": "Value"}}}}
    table = pa.table({"image": images, "n": [1, 2, 3]})
    yield parquet_of(table.replace_schema_metadata({"huggingface": json.dumps(features)}))


def arrow():
    """Arrow IPC files, plain and packed."""
    yield ipc(TABLE, pa.ipc.new_file, 2)
    yield ipc(TABLE, packed("lz4"), 2)
    yield ipc(TABLE, packed("zstd"), 2)


def packed(compression):
    """Open an Arrow file whose buffers are compressed."""
    return lambda sink, schema: pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression))


def arrow_tensors():
    """Arrow IPC files with columns of tensors and images."""
    yield ipc(tensor_table(), pa.ipc.new_file, 2)


def arrows():
    """Arrow IPC streams."""
    yield ipc(TABLE, pa.ipc.new_stream, 2)


def numpy_arrays():
    """Arrays of one dtype and shape, in both orders."""
    yield npy(np.arange(6.0).reshape(3, 2))
    yield npy(np.asfortranarray(np.arange(6.0).reshape(3, 2)))
    yield npy(np.arange(6, dtype=">f8").reshape(3, 2))


def numpy_archives():
    """Archives of arrays, stored and packed."""
    arrays = {"a": np.arange(3), "b": np.ones((3, 2))}
    yield npz(**arrays)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    yield stream.getvalue()


def tfrecord():
    """TFRecord files of three messages."""
    rows = ([b"ab", [0.5, 1.0], 1, "a"], [b"", [0.25], -2, "é"], [b"c" * 30, [2.0], 3, "z"])
    yield b"".join(record(example(b=[b], f=f, i=[i], s=[s.encode()])) for b, f, i, s in rows)


def csv():
    """CSV with quotes, dates and missing values."""
    yield b'n,s,d\n1,"a ""b""",2020-01-01\n2,"c\nd",2020-01-02\n-3,,\n'
    yield b"n,s,d\r\n1,plain,2020-01-01\r\n2,,2020-01-02\r\n" + b"3,x,2021-02-03\r\n" * 3


LINES = b'{"n":1,"s":"a\\n","l":[1,2.5],"o":{"x":null}}\n{"n":2,"s":"b","l":[],"o":{"x":true}}\n'


def jsonl():
    """JSON lines."""
    yield LINES * 2


def json_lists():
    """A list of objects in one JSON value."""
    yield b"[" + LINES.strip().replace(b"}\n{", b"}, \n{") + b"]"
    yield json.dumps([json.loads(one) for one in LINES.splitlines()], indent=1).encode()


def txt():
    """Lines of text."""
    yield "one\r\ntwo é\n\nthree".encode()


def shards():
    """WebDataset shards."""
    files = {"txt": b"text", "cls": b"12", "npy": npy(np.arange(4.0)), "png": saved("PNG", "L")}
    yield trimmed(tar([(f"a/{row}.{ending}", content) for row in range(3) for ending, content in files.items()]))


def archived():
    """Images to be put into archives."""
    return [(f"a/{row}.{one}", saved(one.upper(), "L")) for row, one in enumerate(("png", "jpeg", "gif"))]


def tars():
    """Tar archives of images."""
    yield trimmed(tar(archived()))


def trimmed(archive):
    """Cut what fills an archive up behind its end marker of two blocks of zeros."""
    held = len(archive.rstrip(b"\0"))
    return archive[: -(-held // 512) * 512 + 1024]


def zips():
    """Zip archives of images, stored and packed."""
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            for name, content in archived():
                archive.writestr(zipfile.ZipInfo(name), content, method)
        yield stream.getvalue()


def gzipped(files):
    """Compress each file."""
    return lambda: (gzip.compress(content, mtime=0) for content in files())


FILES = {
    "jpeg": jpeg,
    "png": png,
    "gif": gif,
    "bmp": bmp,
    "tiff": tiff,
    "webp": webp,
    "avif": avif,
    "npy": numpy_arrays,
    "npz": numpy_archives,
    "tfrecord": tfrecord,
    "tfrecord.gz": gzipped(tfrecord),
    "parquet": parquet,
    "tensors.parquet": tensors,
    "hub.parquet": hub,
    "arrow": arrow,
    "tensors.arrow": arrow_tensors,
    "arrows": arrows,
    "csv": csv,
    "csv.gz": gzipped(csv),
    "jsonl": jsonl,
    "json": json_lists,
    "txt": txt,
    "txt.gz": gzipped(txt),
    "shard.tar": shards,
    "shard.tar.gz": gzipped(shards),
    "images.tar": tars,
    "images.tar.gz": gzipped(tars),
    "images.zip": zips,
}
"""The formats, by what the names of their files end with."""


@cache
def samples(name):
    """Give the whole files of a format, the same each time."""
    return tuple(FILES[name]())
