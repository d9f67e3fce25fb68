"""Files that no decoder in this interpreter reads: DICOM, OpenEXR and Radiance HDR.

tensorflow-io reads them, but not beside this library: it needs an older NumPy, and dies on some broken files. So it
runs in an interpreter of its own (:mod:`lightdata.kernels.decoder_process`) that ``config(decoder_python=...)`` names.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from PIL import Image

from lightdata.config import config
from lightdata.errors import DecodeError
from lightdata.kernels.tally import tally
from lightdata.types.image import EncodedImage, Payload, raw_image, raw_pixels
from lightdata.types.image_spec import mode_of

_NAMES = {"dicom": "a DICOM file", "exr": "an OpenEXR file", "hdr": "a Radiance HDR file"}
_TIFF = (b"II*\0", b"MM\0*")


def foreign_format(data: Payload) -> str | None:
    """Recognise a file by its content: "dicom", "exr" or "hdr"; ``None`` for all others.

    >>> foreign_format(bytes(128) + b"DICM"), foreign_format(b"#?RADIANCE"), foreign_format(b"GIF89a")
    ('dicom', 'hdr', None)
    """
    head = bytes(memoryview(data)[:132])
    if head.startswith(b"\x76\x2f\x31\x01"):
        return "exr"
    if head.startswith((b"#?RADIANCE", b"#?RGBE")):
        return "hdr"
    # A file may be TIFF and DICOM at once: the first is read here.
    return "dicom" if head[128:] == b"DICM" and head[:4] not in _TIFF else None


def decode_foreign(data: Payload, kind: str, *, every_frame: bool = False) -> NDArray[Any]:
    """Decode a file that :func:`foreign_format` recognised.

    Returns
    -------
    uint8, uint16, int32 or float32 [N, H, W] or [N, H, W, C]
        As stored. N is 1 unless ``every_frame``.

    Raises
    ------
    DecodeError
        If no decoder is set, or it cannot read the file, takes too long or dies.
    """
    settings = config()
    if settings.decoder_python is None:
        raise DecodeError(
            f"{_NAMES[kind]}, which takes tensorflow-io in an interpreter of its own: set config(decoder_python=...) "
            "to one that has tensorflow==2.16.*, tensorflow-io==0.37.1 and numpy<2"
        )
    from lightdata.kernels.decoder_process import decoder_of  # noqa: PLC0415 - starts processes, for rare formats

    pixels = decoder_of(settings.decoder_python).decode(
        data,
        kind,
        every_frame=every_frame,
        timeout_s=settings.decoder_timeout_s,
        max_pixels=settings.max_image_pixels,
    )
    tally("images_decoded", len(pixels))
    return pixels


def foreign_images(data: Payload, kind: str, *, every_frame: bool = False) -> list[EncodedImage]:
    """Decode a file as rows of an image column.

    Raises
    ------
    DecodeError
        As :func:`decode_foreign`; also for pixels that no image mode holds, such as colours in float32.
    """
    frames = decode_foreign(data, kind, every_frame=every_frame)
    if mode_of(frames.shape[1:], frames.dtype) is None:
        raise DecodeError(
            f"{_NAMES[kind]} of {frames.dtype} pixels of shape {frames.shape[1:]}, which no image mode holds; read it "
            "with read_binary_files and lightdata.decode_pixels, which gives a tensor"
        )
    return [raw_image(frame) for frame in frames]


def foreign_pillow(data: Payload, kind: str) -> Image.Image:
    """Decode the first frame as a Pillow image."""
    return Image.fromarray(raw_pixels(foreign_images(data, kind)[0]))
