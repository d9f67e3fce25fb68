"""Files of formats that make decoders start other programs start none, whatever they are called."""

import io
import os
import re
import shutil
import struct
import subprocess
import sys

import pytest
from PIL import Image

ENDINGS = ("jpg", "jpeg", "png", "gif", "bmp", "tif", "tiff", "webp", "avif", "heic")

READ = """
import sys
import lightdata as ld
ld.config(workers=int(sys.argv[2]), progress=False)
for frames in ("first", "all"):
    data = ld.read_images(sys.argv[1], on_error="skip", frames=frames)
    print(len(data.take_all()), data.errors().height)
data = ld.read_binary_files(sys.argv[1], on_error="skip")
image = ld.col("bytes").image.decode(on_error="null")
data.select(image.image.width(), n=image.image.n_frames(), small=image.image.resize(4, 4)).take_all()
"""

PLAIN = """
import sys
from PIL import Image
Image.open(sys.argv[1]).load()
"""


def saved(file_format, **options):
    out = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(out, file_format, **options)
    return out.getvalue()


EPS = saved("EPS")
HOSTILE = {
    "eps": EPS,
    "eps in DOS": b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 30, len(EPS)) + bytes(18) + EPS,
    "wmf": b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<hhhhHIH", 0, 0, 100, 100, 96, 0, 0) + b"\1\0\x09\0\0\3" + bytes(40),
    "emf": struct.pack("<II8i", 1, 108, 0, 0, 100, 100, 0, 0, 100, 100) + b" EMF" + bytes(64),
    "psd": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 16, 16, 8, 3) + bytes(64),
    "ole": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2048),
    "pdf": saved("PDF"),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    **{name.lower(): saved(name) for name in ("TGA", "ICO", "PPM", "PCX", "SGI", "DDS")},
}


@pytest.fixture
def folder(tmp_path):
    """Hold each hostile file under each ending, and one sound image."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number, content in enumerate(HOSTILE.values()):
        for ending in ENDINGS:
            (folder / f"{number:02d}.{ending}").write_bytes(content)
    (folder / "sound.png").write_bytes(saved("PNG"))
    return folder


@pytest.fixture
def programs(tmp_path):
    """Put programs on the path that leave a mark when they are started; gives the path, and the place of the mark."""
    where, mark = tmp_path / "bin", tmp_path / "started"
    where.mkdir()
    for name in ("gs", "gswin64c", "gswin32c", "convert", "magick", "inkscape", "djpeg"):
        program = where / name
        program.write_text(f"#!/bin/sh\necho {name} >> {mark}\nexit 1\n")
        program.chmod(0o755)
    return {**os.environ, "PATH": f"{where}{os.pathsep}{os.environ['PATH']}"}, mark


@pytest.mark.skipif(sys.platform == "win32", reason="programs are scripts of a shell here")
def test_plain_pillow_would_start_one(tmp_path, programs):
    """The same file and the same path do start a program where Pillow is asked for any format: the test can fail."""
    environment, mark = programs
    (tmp_path / "a.jpg").write_bytes(EPS)
    subprocess.run([sys.executable, "-c", PLAIN, str(tmp_path / "a.jpg")], env=environment, capture_output=True)
    assert "gs" in mark.read_text().split()


@pytest.mark.skipif(sys.platform == "win32", reason="programs are scripts of a shell here")
@pytest.mark.parametrize("workers", [0, 1])
def test_no_program_is_started(tmp_path, folder, programs, workers):
    """Every hostile file is one error; nothing is executed but Python, which the kernel's own record shows too."""
    environment, mark = programs
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", READ, str(folder), str(workers)]
    log = tmp_path / "execs"
    traced = ["strace", "-f", "-qq", "-e", "trace=execve,execveat", "-o", str(log)] if shutil.which("strace") else []
    done = subprocess.run([*traced, *command], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", str(len(HOSTILE) * len(ENDINGS))] * 2
    assert not mark.exists()
    if traced:
        started = {
            os.path.basename(path) for path in re.findall(r'execve(?:at)?\((?:\w+, )?"([^"]+)"', log.read_text())
        }
        assert started == {os.path.basename(sys.executable)}
