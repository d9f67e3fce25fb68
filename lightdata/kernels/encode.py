"""Pixels to the bytes of an image file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lightdata.errors import ArgumentError, EncodeError
from lightdata.kernels.decode import to_pixels
from lightdata.kernels.png import encode_png
from lightdata.kernels.tally import tally
from lightdata.types.image import RAW, EncodedImage, Payload
from lightdata.types.image_spec import MODES, pixel_shape


class Codec(NamedTuple):
    """What a file format can hold."""

    name: str
    """Pillow's name."""

    suffix: str
    modes: tuple[str, ...]
    """Modes that it keeps without loss of channels or range."""

    options: tuple[str, ...]
    """Options of Pillow's encoder."""


CODECS = {
    "png": Codec("PNG", "png", ("L", "LA", "RGB", "RGBA", "I;16"), ("compress_level", "optimize")),
    "jpeg": Codec("JPEG", "jpg", ("L", "RGB"), ("quality", "optimize", "progressive", "subsampling")),
    "webp": Codec("WEBP", "webp", ("RGB", "RGBA"), ("quality", "lossless", "method", "alpha_quality", "exact")),
    "tiff": Codec("TIFF", "tiff", ("L", "LA", "RGB", "RGBA", "I;16", "I", "F"), ("compression",)),
    "bmp": Codec("BMP", "bmp", ("L", "RGB"), ()),
}

_ALIASES = {"jpg": "jpeg", "tif": "tiff"}


def codec_of(file_format: str, options: Mapping[str, Any] | None = None) -> Codec:
    """Find a format by name, and refuse options it does not have.

    >>> codec_of("JPG", {"quality": 90}).name
    'JPEG'

    Raises
    ------
    ArgumentError
        For an unknown format or option.
    """
    name = file_format.lower().lstrip(".")
    codec = CODECS.get(_ALIASES.get(name, name))
    if codec is None:
        raise ArgumentError(f"images cannot be written as {file_format!r}; use one of {', '.join(CODECS)}")
    if unknown := (options or {}).keys() - set(codec.options):
        allowed = ", ".join(codec.options) or "no options"
        raise ArgumentError(f"{codec.name} has no option {', '.join(sorted(unknown))}; it takes {allowed}")
    return codec


def encode_image(image: Image.Image, codec: Codec, options: Mapping[str, Any] | None = None) -> bytes:
    """Encode one Pillow image; nothing of its mode is lost silently, and no metadata is written.

    PNG without options is made by :func:`lightdata.kernels.png.encode_png`, all else by Pillow.

    Raises
    ------
    EncodeError
        If the format cannot hold the image's mode, or the encoder fails.
    """
    if _is_ours(codec, options):
        return encode_pixels(np.asarray(image), image.mode, codec)
    if codec.name == "WEBP" and image.mode in ("L", "LA"):
        image = image.convert("RGB" if image.mode == "L" else "RGBA")  # exact: WebP has no grey
    _check_mode(image.mode, codec)
    out = io.BytesIO()
    info, image.info = image.info, {}
    try:
        image.save(out, format=codec.name, **(options or {}))
    except Exception as error:
        raise EncodeError(f"{codec.name}: {error}") from error
    finally:
        image.info = info  # others may look at the same image
    tally("images_encoded")
    return out.getvalue()


def encode_pixels(pixels: NDArray[Any], mode: str, codec: Codec, options: Mapping[str, Any] | None = None) -> bytes:
    """Encode one image that is an array, as :func:`encode_image` does.

    Parameters
    ----------
    pixels : [H, W] or [H, W, C]
        Of the type and channels of ``mode``.
    mode : str
        One that the format keeps.
    codec : Codec
    options : optional
        Those of Pillow's encoder.

    Raises
    ------
    EncodeError
        If the format cannot hold the mode, the array is none of that mode, or the encoder fails.

    Examples
    --------
    >>> encode_pixels(np.zeros((4, 5, 3), np.uint8), "RGB", CODECS["bmp"])[:2]
    b'BM'
    """
    if not _is_ours(codec, options):
        return encode_image(Image.fromarray(pixels), codec, options)
    _check_mode(mode, codec)
    if pixels.dtype != MODES[mode][0] or pixels.shape != pixel_shape(mode, *pixels.shape[:2]):
        raise EncodeError(f"{codec.name}: {pixels.dtype} {list(pixels.shape)} is no {mode} image")
    if not pixels.size:
        raise EncodeError(f"{codec.name}: an image of {list(pixels.shape[:2])} has no pixels; leave it out")
    tally("images_encoded")
    return encode_png(pixels, mode)


def _is_ours(codec: Codec, options: Mapping[str, Any] | None) -> bool:
    """Options mean what they mean to Pillow, which then has to encode."""
    return codec.name == "PNG" and not options


def _check_mode(mode: str, codec: Codec) -> None:
    if mode not in codec.modes:
        raise EncodeError(
            f"{codec.name} cannot hold {mode} images (it holds {', '.join(codec.modes)}); "
            'convert them first, e.g. with .image.to_mode("RGB"), or choose PNG or TIFF'
        )


def is_encoded_as(image: EncodedImage, codec: Codec) -> bool:
    """Whether an image has the bytes of a file of this format."""
    return image.encoding.upper() == codec.name


def image_file(image: EncodedImage, codec: Codec | None) -> tuple[Payload, str]:
    """Give an image as a file, with its suffix.

    Parameters
    ----------
    image : EncodedImage
    codec : Codec, optional
        The format it shall have; by default the one it has, and PNG for pixels, or TIFF where PNG cannot hold them.
        The bytes of files of that format are kept as they are.

    Raises
    ------
    DecodeError
        If its bytes are broken, and had to be decoded.
    EncodeError
        If the format cannot hold it.
    """
    if image.encoding != RAW and (codec is None or is_encoded_as(image, codec)):
        return image.payload, suffix_of(image.encoding)
    wanted = codec or CODECS["png" if image.mode in CODECS["png"].modes else "tiff"]
    return encode_pixels(to_pixels(image), image.mode, wanted), wanted.suffix


def suffix_of(encoding: str) -> str:
    """Give the ending of the files of a format.

    >>> suffix_of("jpeg"), suffix_of("gif")
    ('jpg', 'gif')
    """
    return CODECS[encoding].suffix if encoding in CODECS else encoding
