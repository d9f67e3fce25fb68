"""What plain Pillow makes of an image file, and how that differs from what was read."""

import io
import os
import warnings
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF")

OVER_LIMIT = "over_limit"
"""The code of an error of a file that asks for more than a setting lets it."""

KEPT = {"L", "LA", "RGB", "RGBA", "I;16", "I", "F"}
STORED_AS = {"1": "L", "La": "LA", "RGBX": "RGB", "RGBa": "RGBA", "PA": "RGBA", "I;16B": "I;16", "I;16L": "I;16"}
"""What docs/decoding.md says becomes of modes that no column has; all others become RGB."""


def by_pillow(content, *, upright):
    """Decode the first frame of a file as anybody would.

    Returns
    -------
    array [H, W] or [H, W, C], or the exception
    """
    try:
        with warnings.catch_warnings(), silence():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            image.load()
            return as_stored(turned(image) if upright else image)
    except Exception as error:  # noqa: BLE001 - nine classes are known
        return error


def turned(image):
    """Turn an image upright; EXIF that cannot be read says nothing of how it lies, which is no fault of its pixels."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - nine classes are known
        return image


@contextmanager
def silence():
    """Have nothing printed, be it by Python or by libtiff, which knows nothing of Python's streams."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def as_stored(image):
    """Give pixels in the mode that keeps everything."""
    if image.mode == "I;16B":
        return np.asarray(image).astype(np.uint16)
    mode = STORED_AS.get(image.mode, image.mode if image.mode in KEPT else "RGB")
    if image.mode == "P":
        mode = "RGBA" if "transparency" in image.info else "RGB"
    return np.asarray(image.convert(mode))


def has_late_transparency(content):
    """Whether a PNG has its tRNS chunk behind its pixels, where the standard forbids it (PNG 5.6).

    To know of it Pillow must decode the pixels, and the mode of an image is known before: it is as if there were none.
    """
    return content.startswith(b"\x89PNG") and 0 < content.find(b"IDAT") < content.find(b"tRNS")


def difference(content, pixels, cause, *, upright):
    """Say how an image that was read differs from Pillow's; ``None`` if it does not, or if it is known why.

    Parameters
    ----------
    content : bytes
        The file.
    pixels : array, optional
        What was read, where it is no error.
    cause : str, optional
        Of an error, the class of the exception behind it; or :data:`OVER_LIMIT`, where Pillow was not asked.
    upright : bool
        Whether it was to be turned as EXIF says.
    """
    if (upright and has_late_transparency(content)) or cause == OVER_LIMIT:
        return None
    wanted = by_pillow(content, upright=upright)
    if isinstance(wanted, Exception):
        name = type(wanted).__name__
        if pixels is not None:
            return f"pixels {pixels.shape}, and Pillow says {name}: {wanted}"
        return None if cause == name or not content else f"{cause}, and Pillow says {name}: {wanted}"
    if pixels is None:
        return f"an error, and Pillow gives pixels {wanted.shape}"
    if (pixels.shape, pixels.dtype) != (wanted.shape, wanted.dtype):
        return f"{pixels.dtype} {pixels.shape}, and Pillow gives {wanted.dtype} {wanted.shape}"
    return None if pixels.tobytes() == wanted.tobytes() else "other pixels than those of Pillow"  # NaN is NaN
