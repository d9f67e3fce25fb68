"""What the header of an image file tells, without decoding its pixels."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from lightdata.errors import ENDS, DecodeError, words_of
from lightdata.kernels import decoder_warnings, png_chunks
from lightdata.kernels.foreign import foreign_format, foreign_images, foreign_pillow
from lightdata.kernels.heif import is_heif, open_heif
from lightdata.kernels.jpeg import ORIENTATION, read_jpeg_header
from lightdata.kernels.limits import check_pixels, too_many_pixels
from lightdata.kernels.tally import tally, warned
from lightdata.types.image import EncodedImage, Payload
from lightdata.types.image_spec import MODES

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF")
"""Formats that Pillow parses. Others of it are refused: some make it start other programs."""

_STORED_AS = {"1": "L", "La": "LA", "RGBX": "RGB", "RGBa": "RGBA", "PA": "RGBA"}


def stored_mode(image: Image.Image) -> str:
    """Choose the mode that keeps everything an opened file says.

    Palettes become the colours they stand for, with alpha if they have transparency; 1-bit becomes 8-bit grey;
    16-bit grey stays 16-bit; CMYK, YCbCr, LAB and HSV become RGB.
    """
    if image.mode in MODES:
        return image.mode
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    if image.mode.startswith("I;16"):
        return "I;16"
    return _STORED_AS.get(image.mode, "RGB")


def exif_of(image: Image.Image) -> Image.Exif:
    """Read the EXIF of an opened image; Pillow decodes a whole PNG to look for it behind the pixels."""
    before = getattr(image, "tile", None)  # what is left to decode
    exif = image.getexif()
    if before and not getattr(image, "tile", None):
        tally("images_decoded")
    return exif


def orientation_of(image: Image.Image) -> int:
    """Read the EXIF orientation; 1 where there is none, it cannot be read or it makes no sense."""
    try:
        value = exif_of(image).get(ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - damaged EXIF can fail in any way, and the pixels do not depend on it
        return 1
    return value if value in range(1, 9) else 1


def open_image(data: Payload) -> Image.Image:
    """Open an image file held in memory, without decoding it; of a foreign format, with its pixels.

    Raises
    ------
    DecodeError
        If it is not one of :data:`FORMATS`, HEIF or a foreign format, is broken, or has more pixels than it may.
    """
    if not len(data):
        raise DecodeError("the file is empty")
    with decode_errors():
        kind = foreign_format(data)
        if kind is not None:
            return foreign_pillow(data, kind)
        png_chunks.check_text(data)
        image = open_heif(data) if is_heif(data) else Image.open(io.BytesIO(data), formats=FORMATS)
    check_size(image, data)
    return image


def check_size(image: Image.Image, data: Payload) -> None:
    """Refuse an image, or a frame of it, that has too many pixels, or too many for the file it is in.

    Raises
    ------
    LimitError
        Naming the limit.
    """
    dtype, channels = MODES[stored_mode(image)]
    check_pixels(image.height, image.width, channels * dtype.itemsize, len(data))


def read_header(data: Payload) -> EncodedImage:
    """Describe an image file by its header; height and width are those after EXIF orientation.

    A file of a foreign format is decoded, and described as pixels.

    Raises
    ------
    DecodeError
        If the header is not that of an image.
    """
    if (jpeg := read_jpeg_header(data)) is not None:
        tally("headers_read")
        return EncodedImage(data, "jpeg", jpeg.mode, *jpeg.size)
    with decode_errors():
        if (kind := foreign_format(data)) is not None:
            return foreign_images(data, kind)[0]
        image = open_image(data)
        height, width = image.height, image.width
        # Pillow decodes a whole PNG to look for EXIF, and tells the upright size of a TIFF.
        turns = png_chunks.may_turn(data) if image.format == "PNG" else image.format != "TIFF"
        if turns and orientation_of(image) >= 5:  # noqa: PLR2004 - 5 to 8 are the quarter turns
            height, width = width, height
        tally("headers_read")
        return EncodedImage(data, (image.format or "").lower(), stored_mode(image), height, width)


def holds_jpeg_header(head: bytes) -> bool:
    """Say whether the beginning of a file is a JPEG up to its first scan (ITU T.81, B.1.1): all there is to tell of it.

    >>> holds_jpeg_header(bytes.fromhex("ffd8 ffda 0008 000000000000")), holds_jpeg_header(b"GIF89a")
    (True, False)
    """
    at = 2 if head.startswith(b"\xff\xd8") else len(head)
    while at + 4 <= len(head) and head[at] == 0xFF:  # noqa: PLR2004 - begins a marker
        if head[at + 1] == 0xDA:  # noqa: PLR2004 - start of scan
            return at + 2 + int.from_bytes(head[at + 2 : at + 4]) <= len(head)
        at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return False


def exif_tag(data: Payload, tag: int) -> str | None:
    """Read one EXIF tag as text; ``None`` where the file does not have it."""
    with decode_errors():
        exif = exif_of(open_image(data))
        value = exif.get(tag, exif.get_ifd(0x8769).get(tag))
        return None if value is None else str(value)


@contextmanager
def decode_errors() -> Iterator[None]:
    """Turn whatever a decoder raises into :class:`DecodeError`, and take note of what it warns of.

    Nine exception classes come out of Pillow for broken files, and warnings for odd ones.
    """
    heard = decoder_warnings.begin()
    try:
        yield
        if heard:
            warned(heard)
    except DecodeError:
        raise
    except Image.DecompressionBombError as error:
        raise too_many_pixels(_first_number(str(error))) from error
    except MemoryError as error:
        raise DecodeError.of_memory(error) from error
    except UnidentifiedImageError:
        why = decoder_warnings.last_logged()
        words = f"not an image file of a known format ({', '.join(FORMATS)})"
        raise DecodeError(words if why is None else f"{words}: {why}", cause=UnidentifiedImageError.__name__) from None
    except ENDS:
        raise
    except BaseException as error:
        why = decoder_warnings.last_of_libtiff()
        raise DecodeError(
            f"{type(error).__name__}: {words_of(error)}{'' if why is None else f' (libtiff: {why})'}"
        ) from error
    finally:
        if heard is not None:
            decoder_warnings.end()


def _first_number(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found[0]) if found else 0
