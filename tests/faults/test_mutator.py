"""The mutator of files: the same mutants each time, that get behind the first check of a format."""

import hashlib
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from faults.layouts import SIGNATURE, gunzipped, masked_crc, number, png_chunks, records
from faults.mutants import mutant
from faults.samples import FILES, samples

TESTS = Path(__file__).parents[1]
DIGEST = """
import hashlib
from faults.mutants import mutant
from faults.samples import FILES
print({name: hashlib.sha256(b"".join(mutant(name, 3, n) for n in range(30))).hexdigest() for name in FILES})
"""


def test_mutants_are_the_same_in_each_process():
    """A mutant is told by its format, a seed and its number alone."""
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "7"}
    there = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, env=environment, check=True)
    here = {name: hashlib.sha256(b"".join(mutant(name, 3, n) for n in range(30))).hexdigest() for name in FILES}
    assert there.stdout.strip() == str(here)


@pytest.mark.parametrize("name", FILES)
def test_mutants_are_many(name):
    """Nearly all mutants differ from the files that they are made of, and from each other."""
    found = {mutant(name, 4, n) for n in range(100)}
    assert len(found - set(samples(name))) >= 50


def has_sound_chunks(png):
    chunks = png_chunks(png)
    ends = [at + 8 + number(png, at, 4, "big") for at in chunks]
    crcs = [zlib.crc32(png[at + 4 : end]) == number(png, end, 4, "big") for at, end in zip(chunks, ends, strict=True)]
    return png.startswith(SIGNATURE) and all(crcs)


def has_sound_records(content):
    starts = records(content)
    ends = [at + 12 + number(content, at, 8) for at in starts]
    return all(
        struct.unpack_from("<I", content, at + 8)[0] == masked_crc(content[at : at + 8])
        and content[end : end + 4] == struct.pack("<I", masked_crc(content[at + 12 : end]))
        for at, end in zip(starts, ends, strict=True)
        if end + 4 <= len(content)
    )


def is_sound_gzip(content):
    try:
        return bool(gunzipped(content))
    except (OSError, EOFError, zlib.error):
        return False


@pytest.mark.parametrize(
    ("name", "is_sound"),
    [("png", has_sound_chunks), ("tfrecord", has_sound_records), ("shard.tar.gz", is_sound_gzip)],
)
def test_many_mutants_have_right_checksums(name, is_sound):
    """A fifth at least is damaged and checks out all the same."""
    changed = [one for n in range(200) if (one := mutant(name, 5, n)) not in samples(name)]
    assert sum(map(is_sound, changed)) > 40
