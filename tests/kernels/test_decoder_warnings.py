"""What decoders warn of while they decode for lightdata is heard there, and nowhere else."""

import io
import logging
import os
import struct
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from lightdata.errors import DecodeError
from lightdata.kernels.decode import to_pixels
from lightdata.kernels.frames import iter_frames
from lightdata.kernels.header import decode_errors, read_header
from lightdata.kernels.tally import Tally, row_in_hand, rows_in_hand, tallied

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))
EXIF = b"Exif\0\0II*\0" + struct.pack("<IHHHIIHHIII", 8, 2, 0x010F, 2, 500_000, 8, 0x0112, 3, 1, 1, 0)
"""A tag that says it is longer than the file."""


def saved(file_format, picture=PICTURE, **options):
    out = io.BytesIO()
    picture.save(out, file_format, **options)
    return out.getvalue()


def changed(data, at):
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


FAX = changed(saved("TIFF", PICTURE.convert("1"), compression="group4"), 20)
"""Lines of a fax that are not as they should be; libtiff goes on behind them."""

DEFLATED = changed(saved("TIFF", compression="tiff_deflate"), 10)
ODD = {
    "png": (saved("PNG", exif=EXIF), "UserWarning", "Tag data larger than file"),
    "webp": (saved("WEBP", exif=EXIF), "UserWarning", "Tag data larger than file"),
    "fax": (FAX, "libtiff", "Fax4Decode: Bad code word"),
}


def heard(data, names=None):
    """Decode a file as a stage does, and give what it warned of."""

    def work():
        rows_in_hand(names)
        row_in_hand(0)
        to_pixels(read_header(data))
        yield 1

    counts = Tally()
    list(tallied(work(), counts))
    return [(kind.source, cases.first[0].message, cases.files, cases.first[0].uri) for kind, cases in counts.warned]


@pytest.mark.parametrize(("data", "source", "words"), ODD.values(), ids=ODD)
def test_a_file_that_is_odd_is_decoded_and_noted(data, source, words, capfd):
    """Its pixels come, though warnings are errors here; the kind of warning, its words and the file are kept."""
    found = {(kind, message[: len(words)], files, uri) for kind, message, files, uri in heard(data, "a{}".format)}
    assert (source, words, 1, "a0") in found
    assert capfd.readouterr() == ("", "")


def test_a_sound_file_has_none():
    """Nothing is noted of files that nothing is wrong with."""
    assert [heard(saved(form)) for form in ("PNG", "TIFF", "GIF", "WEBP", "BMP", "JPEG", "AVIF")] == [[]] * 7


def test_why_a_tiff_cannot_be_decoded_is_told_by_its_error(capfd):
    """Pillow says only that its decoder failed; what libtiff would have printed is in the error's words."""
    with pytest.raises(DecodeError, match=r"OSError: decoder error -2 \(libtiff: ZIPDecode: Decoding error") as caught:
        to_pixels(read_header(DEFLATED))
    assert isinstance(caught.value.__cause__, OSError)
    assert capfd.readouterr() == ("", "")


def test_what_pillow_logs_is_heard_too(caplog, capfd):
    """A TIFF that says it has 32,771 channels is logged by Pillow as an error; here it is the row's error alone."""
    data = bytearray(saved("TIFF"))
    start = struct.unpack_from("<I", data, 4)[0]
    for entry in range(start + 2, len(data) - 12, 12):
        if struct.unpack_from("<H", data, entry)[0] == 277:
            struct.pack_into("<H", data, entry + 8, 32771)
            break
    with caplog.at_level(logging.DEBUG, "lightdata"), pytest.raises(DecodeError):
        read_header(bytes(data))
    assert [record for record in caplog.records if record.name.startswith("PIL") and record.levelno > 20] == []
    assert capfd.readouterr() == ("", "")


def test_other_uses_of_pillow_are_warned_as_ever():
    """Outside of our decoding Pillow's warnings are Python's: they can be caught, raised and attributed."""
    to_pixels(read_header(ODD["png"][0]))
    with pytest.warns(UserWarning, match="Tag data larger than file") as caught:
        Image.open(io.BytesIO(ODD["png"][0])).getexif().tobytes()
    assert caught[0].filename.endswith("TiffImagePlugin.py")
    # They are errors for all tests.
    with pytest.raises(UserWarning, match="Tag data"):
        Image.open(io.BytesIO(ODD["png"][0])).getexif()


def test_other_uses_of_libtiff_print_as_ever(capfd):
    """Outside of our decoding libtiff says on standard error what it always said."""
    to_pixels(read_header(FAX))
    Image.open(io.BytesIO(FAX)).load()
    assert "Fax4Decode: Bad code word" in capfd.readouterr().err


def test_threads_do_not_hear_each_other():
    """While one thread decodes for us, another that uses Pillow itself is warned, and filters stay as they were."""
    before = list(warnings.filters)
    begun, done = threading.Event(), threading.Event()

    def decoding():
        with decode_errors():
            begun.set()
            done.wait(10)

    thread = threading.Thread(target=decoding)
    thread.start()
    begun.wait(10)
    try:
        with pytest.warns(UserWarning, match="Tag data larger than file"):
            Image.open(io.BytesIO(ODD["png"][0])).getexif().tobytes()
    finally:
        done.set()
        thread.join()
    assert warnings.filters == before


def test_a_decoder_that_is_asked_by_nobody_logs_quietly(caplog):
    """Outside of a run what is warned of goes to the log, for whoever wants to see it."""
    with caplog.at_level(logging.DEBUG, "lightdata"):
        to_pixels(read_header(FAX))
    assert [record.levelname for record in caplog.records if "Fax4Decode" in record.getMessage()] == ["DEBUG"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiff_lzw", "tiff_deflate", "jpeg", "packbits", "group4", "group3", "lzma", "zstd"])
def test_mutated_tiff_files_print_nothing(name, capfd):
    """Whatever is wrong with a TIFF, no line of C reaches standard error."""
    draw = np.random.default_rng(5)
    data = saved("TIFF", PICTURE.convert("1") if name.startswith("group") else PICTURE, compression=name)
    for _ in range(1000):
        mutant = bytearray(data)
        for at in draw.integers(0, len(data), draw.integers(1, 5)):
            mutant[at] = draw.integers(0, 256)
        try:
            to_pixels(read_header(bytes(mutant)))
            list(iter_frames(bytes(mutant)))
        except DecodeError:
            continue
    assert capfd.readouterr() == ("", "")


def test_formats_that_nobody_asked_for_are_not_loaded():
    """Decoding, also of what is no image, loads none of Pillow's modules for other formats."""
    script = (
        "import sys, io; from PIL import Image; from lightdata.errors import DecodeError\n"
        "from lightdata.kernels.header import read_header\n"
        "for data in (b'%!PS-Adobe-3.0 EPSF-3.0', b'II*\\0'):\n"
        "    try: read_header(data)\n"
        "    except DecodeError: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('PIL.') and name.endswith('ImagePlugin')))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    loaded = {name.removeprefix("PIL.").removesuffix("ImagePlugin") for name in eval(done.stdout)}  # noqa: S307 - ours
    assert loaded <= {"Jpeg", "Png", "Gif", "Bmp", "Tiff", "WebP", "Avif", "Ppm"}
