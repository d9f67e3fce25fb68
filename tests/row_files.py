"""Files of rows, and their rows read as a user reads them."""

import io
import tarfile

import numpy as np
import pyarrow as pa


def write(folder, **files):
    """Write files whose names have an underscore for their dot."""
    for name, content in files.items():
        text = content.encode() if isinstance(content, str) else content
        (folder / name.replace("_", ".")).write_bytes(text)
    return folder


def tar(members, **options):
    """Pack names and contents, in order."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", **options) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def npy(array):
    """Write an array as a file."""
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(**arrays):
    """Write arrays as an archive."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def ipc(table, new=pa.ipc.new_file, rows=None):
    """Write a table as an Arrow file or stream."""
    stream = io.BytesIO()
    with new(stream, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)
    return stream.getvalue()
