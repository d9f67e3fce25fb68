"""Which image operations can be left out or traded for cheaper ones without changing a pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from lightdata.kernels.geometry import centred
from lightdata.types.operation import (
    AsImage,
    CenterCrop,
    Crop,
    Decode,
    ExifTranspose,
    FlipLeftRight,
    FlipUpDown,
    ImageOperation,
    Known,
    Letterbox,
    Operation,
    Pad,
    Resize,
    ResizeShortest,
    Rotate,
    ToMode,
)
from lightdata.types.result_type import image_known, output_type
from lightdata.types.uri_operation import ReadUri

Images = tuple[ImageOperation, ...]


def simplified(operations: tuple[Operation, ...], dtype: pa.DataType) -> tuple[Operation, ...]:
    """Give the cheapest operations known to make the same pixels of the same type from a column of ``dtype``.

    >>> flip, crop = FlipLeftRight(), Crop(top=0, left=0, height=2, width=2)
    >>> simplified((Resize(height=4, width=6), flip, crop, flip), pa.large_binary())[1:]
    (Crop(top=0, left=4, height=2, width=2),)
    """
    if operations and isinstance(operations[0], ReadUri):
        return operations[:1] + simplified(operations[1:], pa.large_binary())
    wanted, known = output_type(operations, dtype), image_known(dtype)
    if known is None:
        return operations
    found: tuple[Operation, ...] | None = operations
    while found is not None:
        operations = found
        images = _leading_images(operations)
        rest = operations[len(images) :]
        found = next(
            (one for less in _rewrites(images, known) if output_type(one := (*less, *rest), dtype) == wanted), None
        )
    return operations


def _leading_images(operations: tuple[Operation, ...]) -> Images:
    images: list[ImageOperation] = []
    for step in operations:
        if not isinstance(step, ImageOperation):
            break
        images.append(step)
    return tuple(images)


def _rewrites(images: Images, known: Known) -> Iterator[Images]:
    """List what a chain can be after one rewrite."""
    is_held = bool(images) and isinstance(images[0], Decode) and not images[0].exif_transpose
    if is_held and ExifTranspose() in images:
        return  # operations here would not only change pixels but also what is left to be turned
    for place, step in enumerate(images):
        before, after = images[:place], images[place + 1 :]
        if _does_nothing(step, known, is_first=not place):
            yield from _unless_same((*before, *after), images)
        if place and isinstance(step, Decode) and step.mode is not None and step.on_error == "raise":
            yield (*before, ToMode(mode=step.mode), *after)
        if after and (pair := _pair(step, after[0], known)) is not None:
            yield from _unless_same((*before, *pair, *after[1:]), images)
        match (step, *after[:2]):
            case (FlipLeftRight() | FlipUpDown() as flip, FlipLeftRight() | FlipUpDown() as other, again) if (
                flip == again != other
            ):
                yield (*before, other, *after[2:])
        known = _known_after(step, known)


def _unless_same(less: Images, images: Images) -> Iterator[Images]:
    """Let a chain that does nothing still make images of files, and no other decode be the first to see them."""
    if all(isinstance(step, AsImage) for step in less):
        less = (Decode(), *less)
    if less != images and (less[0] in (images[0], Decode()) or not isinstance(less[0], Decode)):
        yield less


def _known_after(step: ImageOperation, known: Known) -> Known:
    """Say what is true of the images, also where their type shall not tell."""
    return known if isinstance(step, AsImage | ExifTranspose) else step.known(known)


def _does_nothing(step: ImageOperation, known: Known, *, is_first: bool) -> bool:
    size = (known.height, known.width)
    match step:
        case Resize(height=height, width=width) | Letterbox(height=height, width=width):
            return size == (height, width)
        case CenterCrop(height=height, width=width) | Crop(top=0, left=0, height=height, width=width):
            return size == (height, width)
        case ResizeShortest():
            return known.height is not None and known.width is not None and step.target(*size) == size  # type: ignore[arg-type]  # both are known
        case Rotate(angle=angle):
            return angle % 360 == 0
        case ToMode(mode=mode):
            return known.mode == mode
        case Decode(mode=None, exif_transpose=upright, on_error="raise"):
            return upright or not is_first
        case ExifTranspose():
            return True  # what decoding left as it was is not touched here
    return step == Pad()


def _pair(step: ImageOperation, after: ImageOperation, known: Known) -> Images | None:
    """Give what two operations are together, ``known`` being what goes into them."""
    match step, after:
        case (FlipLeftRight() | FlipUpDown(), _) if step == after:
            return ()
        case AsImage(), AsImage():
            return (after,)
        case Pad(), Pad() if step.fill == after.fill:
            sides = ("left", "top", "right", "bottom")
            return (replace(step, **{side: getattr(step, side) + getattr(after, side) for side in sides}),)
        case (FlipLeftRight() | FlipUpDown(), Crop() | CenterCrop()):
            return _crop_before_flip(step, after, known)
        case (Crop() | CenterCrop(), Crop() | CenterCrop()):
            outer, inner = _as_crop(step, known), _as_crop(after, step.known(known))
            return None if outer is None or inner is None else _inside(inner, outer.top, outer.left, outer)
        case Pad(left=left, top=top), Crop() | CenterCrop():
            inner = _as_crop(after, step.known(known))
            return None if inner is None else _inside_of_border(inner, top, left, known)
    return None


def _as_crop(step: Crop | CenterCrop, known: Known) -> Crop | None:
    """Say where a centred cut starts, where that can be known."""
    if isinstance(step, Crop):
        return step
    if known.height is None or known.width is None:
        return None
    top, left = centred(known.height, step.height), centred(known.width, step.width)
    return Crop(top=top, left=left, height=step.height, width=step.width)


def _inside(inner: Crop, top: int, left: int, outer: Crop) -> Images | None:
    """Cut once, if the second cut lies inside the first: what lies outside of that is black."""
    fits_down = inner.top >= 0 and inner.top + inner.height <= outer.height
    fits_across = inner.left >= 0 and inner.left + inner.width <= outer.width
    return (replace(inner, top=inner.top + top, left=inner.left + left),) if fits_down and fits_across else None


def _inside_of_border(inner: Crop, top: int, left: int, known: Known) -> Images | None:
    """Forget a border that a cut leaves out."""
    if known.height is None or known.width is None:
        return None
    whole = Crop(top=0, left=0, height=known.height, width=known.width)
    return _inside(replace(inner, top=inner.top - top, left=inner.left - left), 0, 0, whole)


def _crop_before_flip(flip: ImageOperation, step: Crop | CenterCrop, known: Known) -> Images | None:
    """Mirror only what is kept."""
    crop = _as_crop(step, known)
    if crop is None or known.height is None or known.width is None:
        return None
    if crop.height * crop.width >= known.height * known.width:
        return None
    if isinstance(flip, FlipLeftRight):
        mirrored = replace(crop, left=known.width - crop.left - crop.width)
    else:
        mirrored = replace(crop, top=known.height - crop.top - crop.height)
    return (step if mirrored == crop else mirrored, flip)
