"""Files of rows that were damaged or made to do harm: never a crash, never an error that lightdata does not name."""

import subprocess
import sys

import pytest

# In a process of its own, with an end to its memory: Arrow's parsers are C++.
MUTATE = '''
import gzip, io, random, resource, sys, tarfile, warnings
from pathlib import Path
import faulthandler
import numpy as np, polars as pl, pyarrow as pa, pyarrow.parquet as pq
import lightdata as ld

faulthandler.enable()
warnings.simplefilter("ignore")
resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
ld.config(workers=0, progress=False)
name, seed, count, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])


def in_memory(write):
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def tar(stream):
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for i in range(3):
            array = in_memory(lambda one: np.save(one, np.arange(4.0)))
            for ending, content in {"txt": b"text", "cls": b"12", "npy": array}.items():
                info = tarfile.TarInfo(f"a/{i}.{ending}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))


def ipc(new, compression=None):
    def write(stream):
        with new(stream, TABLE.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
            writer.write_table(TABLE, max_chunksize=2)
    return in_memory(write)


TABLE = pa.table({
    "n": pa.array([1, None, 3], pa.int32()), "s": ["abc", "", None], "l": [[1.5], None, []],
    "r": [{"x": 1, "y": "z"}, None, {"x": None, "y": ""}], "d": pa.array(["u", "v", "u"]).dictionary_encode(),
})
TENSORS = pa.table({"t": pa.FixedShapeTensorArray.from_numpy_ndarray(np.zeros((3, 2, 2)))})
CSV = b'n,s,d\\n1,"a ""b""",2020-01-01\\n2,"c\\nd",2020-01-02\\n-3,,\\n'
JSON = b'{"n":1,"s":"a\\\\n","l":[1,2.5],"o":{"x":null}}\\n{"n":2,"s":"b","l":[],"o":{"x":true}}\\n'
VALID = {
    "txt": lambda: "one\\r\\ntwo é\\n\\nthree".encode(),
    "txt.gz": lambda: gzip.compress(b"one\\ntwo\\n" * 50),
    "jsonl": lambda: JSON * 2,
    "json": lambda: b"[" + JSON.strip().replace(b"}\\n{", b"}, \\n{") + b"]",
    "csv": lambda: CSV,
    "csv.gz": lambda: gzip.compress(CSV * 20),
    "arrow": lambda: ipc(pa.ipc.new_file),
    "arrows": lambda: ipc(pa.ipc.new_stream),
    "zstd.arrow": lambda: ipc(pa.ipc.new_file, "zstd"),
    "lz4.arrows": lambda: ipc(pa.ipc.new_stream, "lz4"),
    "npy": lambda: in_memory(lambda one: np.save(one, np.asfortranarray(np.arange(6).reshape(3, 2)))),
    "npz": lambda: in_memory(lambda one: np.savez_compressed(one, a=np.arange(3), b=np.zeros((3, 2)))),
    "tar": lambda: in_memory(tar),
    "tar.gz": lambda: gzip.compress(in_memory(tar)),
    "parquet": lambda: in_memory(lambda one: pq.write_table(TABLE, one, row_group_size=2)),
    "tensors.parquet": lambda: in_memory(lambda one: pq.write_table(TENSORS, one)),
}
READERS = {
    "txt": ld.read_text, "json": ld.read_json, "jsonl": ld.read_json, "csv": ld.read_csv, "arrow": ld.read_arrow,
    "arrows": ld.read_arrow, "npy": ld.read_numpy, "npz": ld.read_numpy, "tar": ld.read_webdataset,
    "parquet": ld.read_parquet,
}
BYTES = [0, 1, 127, 128, 255, *b'[]{}",:\\\\\\n\\r 09-']
WORDS = [b"\\xff" * 4, b"\\0" * 8, b"null", b"[" * 30, b"\\xff" * 7 + b"\\x7f", b'"', b"\\n", b"{}", b"1e999"]


def mutant(content, draw):
    content = bytearray(content)
    for _ in range(draw.choice([1, 1, 1, 2, 4, 8])):
        at = draw.randrange(len(content) + 1)
        match draw.randrange(7):
            case 0:
                content[at : at + 1] = bytes([draw.choice(BYTES)])
            case 1:
                content[at : at + 1] = bytes([draw.randrange(256)])
            case 2:
                content[at : at + draw.choice([1, 4, 16])] = b""
            case 3:
                content[at:at] = draw.choice(WORDS)
            case 4:
                word = draw.choice(WORDS)
                content[at : at + len(word)] = word
            case 5:
                piece = content[at : at + draw.choice([4, 16, 64])]
                to = draw.randrange(len(content) + 1)
                content[to:to] = piece
            case 6:
                if draw.random() < 0.3:
                    del content[at:]
                elif len(content) > at:
                    content[at] ^= 1 << draw.randrange(8)
    return bytes(content)


valid = VALID[name]()
reader = READERS[name.removesuffix(".gz").rpartition(".")[2]]
path = folder / f"a.{name}"
path.write_bytes(valid)
assert reader(path).take_all()
draw = random.Random(seed)
read = 0
for number in range(count):
    path.write_bytes(mutant(valid, draw))
    try:
        rows = reader(path, on_error="null")
        read += len(rows.take_all())
        rows.count()
        rows.explain()
        if name == "parquet":
            rows.select(pl.col("n").max(), pl.col("n").null_count()).take_all()
    except ld.LightdataError:
        continue
    except BaseException:
        print(f"mutant {number} of {name}, seed {seed}", file=sys.stderr)
        raise
print(read)
'''

NAMES = [
    *("txt", "txt.gz", "jsonl", "json", "csv", "csv.gz", "arrow", "arrows"),
    *("zstd.arrow", "lz4.arrows"),
    *("npy", "npz", "tar", "tar.gz", "parquet", "tensors.parquet"),
]


def read_mutants(name, seed, count, folder):
    command = [sys.executable, "-c", MUTATE, name, str(seed), str(count), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) > 0


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_give_rows_or_an_error_of_ours(tmp_path, name):
    """Files with some bytes changed, added or missing are read, or refused by an error that lightdata names."""
    read_mutants(name, 1, 60, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", NAMES)
def test_ten_thousand_damaged_files_give_rows_or_an_error_of_ours(tmp_path, name):
    """As above, ten thousand of each format."""
    read_mutants(name, 2, 10_000, tmp_path)
