"""The frames of an image file, one after another."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from lightdata.config import config
from lightdata.errors import DecodeError
from lightdata.kernels.decode import decode_file, from_pillow, loaded
from lightdata.kernels.foreign import decode_foreign, foreign_format, foreign_images
from lightdata.kernels.header import check_size, decode_errors, open_image, read_header
from lightdata.kernels.limits import check_frames
from lightdata.types.image import EncodedImage, Payload

_SEQUENCES = ("GIF", "TIFF", "WEBP", "PNG", "AVIF", "HEIF")
"""Formats whose further images are frames. A JPEG's are previews and maps of the one image."""


def iter_frames(data: Payload, *, upright: bool = True) -> Iterator[EncodedImage]:
    """List the frames of an image file, as Pillow composes them; what is not asked for is not decoded.

    A file of one frame is described by its header and keeps its own bytes, if ``upright``.

    Parameters
    ----------
    data : bytes-like
        The whole file.
    upright : bool
        Apply the EXIF orientation.

    Yields
    ------
    EncodedImage
        Pixels, or the file itself where it is all there is.

    Raises
    ------
    DecodeError
        At the first frame that is broken, cut short or too large, after those before it; at once for a file of more
        than ``max_frames`` of them.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> Image.new("L", (4, 3)).save(file, "TIFF", save_all=True, append_images=[Image.new("L", (2, 2), 9)])
    >>> [(frame.height, frame.width) for frame in iter_frames(file.getvalue())]
    [(3, 4), (2, 2)]
    """
    if (kind := foreign_format(data)) is not None:
        yield from foreign_images(data, kind, every_frame=True)
        return
    image = open_image(data)
    count, is_cut = _count(image, data)
    if count == 1 and not is_cut:
        yield read_header(data) if upright else from_pillow(decode_file(data, upright=False))
        return
    number = 0
    while (count is None or number < count) and (frame := _frame(image, data, number, upright=upright)):
        yield frame
        number += 1
    if is_cut or number < (count or 0):
        raise DecodeError(f"the file is cut short after {number} frame{'' if number == 1 else 's'}")


def count_frames(data: Payload) -> int:
    """Count the frames of an image file; the further images of a JPEG count too.

    Raises
    ------
    DecodeError
        If it is broken, or has more than ``max_frames``.
    """
    if (kind := foreign_format(data)) is not None:
        return len(decode_foreign(data, kind, every_frame=True))
    image = open_image(data)
    count, is_cut = _count(image, data)
    if count is not None and not is_cut and image.format in _SEQUENCES:
        return count
    with decode_errors():
        return int(getattr(image, "n_frames", 1))


def _frame(image: Image.Image, data: Payload, number: int, *, upright: bool) -> EncodedImage | None:
    """Decode a frame; ``None`` after the last."""
    with decode_errors():
        try:
            image.seek(number)
        except EOFError:
            return None
        check_size(image, data)
        return from_pillow(loaded(image, upright=upright))


def _count(image: Image.Image, data: Payload) -> tuple[int | None, bool]:
    """Tell how many frames there are, ``None`` where only reading them tells, and whether the file ends in their midst.

    Counting never decodes, and stops where there are too many.
    """
    count: int | None
    match image.format:
        case "GIF":
            count, is_cut = count_gif_frames(data)
        case "TIFF":
            count, is_cut = _tiff_frames(data), False
        case _:
            with decode_errors():
                count, is_cut = getattr(image, "n_frames", 1) if image.format in _SEQUENCES else 1, False
    if count is not None:
        check_frames(count, is_whole=image.format not in ("GIF", "TIFF"))
    return count, is_cut


def _tiff_frames(data: Payload) -> int | None:
    most = config().max_frames
    if _has_directory(data, most):
        return most + 1
    return None if _has_directory(data, 1) is not False else 1


def _has_directory(data: Payload, number: int) -> bool | None:
    """Say whether a TIFF has so many directories and one more; ``None`` where one of them is broken."""
    image = open_image(data)
    try:
        with decode_errors():
            image.seek(number)
    except DecodeError as error:
        return False if isinstance(error.__cause__, EOFError) else None
    return True


def count_gif_frames(data: Payload) -> tuple[int, bool]:
    """Count the frames of a GIF by walking its blocks (GIF89a, 18 to 27), and say whether it ends before its trailer.

    >>> count_gif_frames(b"GIF89a" + bytes(7) + b",")
    (1, True)
    """
    view, count = memoryview(data).cast("B"), 0
    at = 13 + _table_bytes(view, 10)
    most = config().max_frames
    while at < len(view) and count <= most:
        kind, at = view[at], at + 1
        if kind == 0x3B:  # noqa: PLR2004 - trailer
            return count, False
        if kind == 0x2C:  # noqa: PLR2004 - image descriptor
            count += 1
            at = _after_blocks(view, at + 10 + _table_bytes(view, at + 8))
        elif kind == 0x21:  # noqa: PLR2004 - extension
            at = _after_blocks(view, at + 1)
    return count, count <= most


def _table_bytes(view: memoryview, at: int) -> int:
    """Give the bytes of the colour table that a byte of flags tells of."""
    flags = view[at] if at < len(view) else 0
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(view: memoryview, at: int) -> int:
    while at < len(view) and view[at]:
        at += 1 + view[at]
    return at + 1
