"""Which files hold no rows at all, as others see it: of those alone may nothing come, not even an error."""

import csv
import gzip
import io
import json
import tarfile
import zipfile
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ENDINGS = (".png", ".jpeg", ".jpg", ".gif")


def holds_no_rows(name, content):
    """Say whether others find no rows in a file; one that they cannot read is not empty."""
    with suppress(Exception):
        if name.endswith(".gz"):
            return holds_no_rows(name.removesuffix(".gz"), gzip.decompress(content))
        return not any(FINDERS[name.rpartition(".")[2]](content))
    return False


def npy(content):
    return [len(np.load(io.BytesIO(content), allow_pickle=False))]


def npz(content):
    return [len(array) for array in np.load(io.BytesIO(content), allow_pickle=False).values()]


def arrow(content):
    return [pa.ipc.open_file(content).read_all().num_rows]


def arrows(content):
    return [pa.ipc.open_stream(content).read_all().num_rows]


def parquet(content):
    return [pq.ParquetFile(io.BytesIO(content)).metadata.num_rows]


def lines(content):
    return [one.strip() for one in content.removeprefix(b"\xef\xbb\xbf").splitlines()]


def csv_rows(content):
    return [*csv.reader(io.StringIO(content.decode("latin-1")))][1:]


def json_values(content):
    return json.loads(content) if content.strip() else []


def tar_images(content):
    """List the names of images and of files of rows; others are left out, as docs say."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return [one.name for one in archive if one.isreg() and "." in one.name.rpartition("/")[2].lstrip(".")]


def zip_images(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [one.filename for one in archive.infolist() if one.filename.lower().endswith(ENDINGS)]


FINDERS = {
    "npy": npy,
    "npz": npz,
    "arrow": arrow,
    "arrows": arrows,
    "parquet": parquet,
    "tfrecord": lambda content: content,
    "csv": csv_rows,
    "jsonl": lines,
    "json": json_values,
    "txt": lambda content: [one for one in content.removeprefix(b"\xef\xbb\xbf").split(b"\n") if one.strip(b"\r")],
    "tar": tar_images,
    "zip": zip_images,
}
