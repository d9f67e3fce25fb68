"""Operations on images that cancel, merge or get cheaper."""

import pyarrow as pa
import pytest

from lightdata.optimize.image_algebra import simplified
from lightdata.types.image import ImageType
from lightdata.types.image_spec import ImageSpec
from lightdata.types.operation import (
    AsImage,
    Attribute,
    CenterCrop,
    Crop,
    Decode,
    Encode,
    ExifTranspose,
    FlipLeftRight,
    FlipUpDown,
    Letterbox,
    Pad,
    Resize,
    ResizeShortest,
    Rotate,
    ToMode,
    ToTensor,
)

FILES = pa.large_binary()
FIXED = ImageType(ImageSpec("RGB", 6, 8))
LR, UD = FlipLeftRight(), FlipUpDown()
GREY, SMALL = ToMode(mode="L"), Resize(height=4, width=6)


def crop(top, left, height, width):
    """Write a cut briefly."""
    return Crop(top=top, left=left, height=height, width=width)


@pytest.mark.parametrize(
    ("dtype", "operations", "simpler"),
    [
        (FILES, (LR, LR), (Decode(),)),
        (FILES, (GREY, UD, UD), (GREY,)),
        (FILES, (LR, UD, LR), (UD,)),
        (FILES, (Decode(), GREY, GREY), (GREY,)),
        (FILES, (SMALL, SMALL, Encode(format="png")), (SMALL, Encode(format="png"))),
        (FILES, (Decode(mode="L"), ToMode(mode="L")), (Decode(mode="L"),)),
        (FILES, (SMALL, Decode(mode="L")), (SMALL, GREY)),
        (FILES, (Rotate(angle=-720.0), Pad(), LR), (LR,)),
        (FILES, (GREY, ExifTranspose()), (GREY,)),
        (FILES, (LR, AsImage(), AsImage()), (LR, AsImage())),
        (FILES, (Pad(left=1, fill=3), Pad(top=2, left=1, fill=3)), (Pad(left=2, top=2, fill=3),)),
        (FILES, (crop(1, 2, 5, 5), crop(1, 1, 4, 3)), (crop(2, 3, 4, 3),)),
        (FILES, (crop(1, 2, 5, 5), CenterCrop(height=3, width=3)), (crop(2, 3, 3, 3),)),
        (FILES, (SMALL, LR, crop(0, 1, 4, 2)), (SMALL, crop(0, 3, 4, 2), LR)),
        (FILES, (SMALL, LR, CenterCrop(height=2, width=2)), (SMALL, CenterCrop(height=2, width=2), LR)),
        (FILES, (SMALL, Pad(left=3, top=3, right=3, bottom=3), crop(4, 4, 2, 2)), (SMALL, crop(1, 1, 2, 2))),
        (FIXED, (Resize(height=6, width=8),), (Decode(),)),
        (FIXED, (Letterbox(height=6, width=8), LR), (LR,)),
        (FIXED, (ResizeShortest(size=6), LR), (LR,)),
        (FIXED, (CenterCrop(height=6, width=8), ToMode(mode="RGB"), UD), (UD,)),
        (FIXED, (LR, LR, ToTensor()), (Decode(), ToTensor())),
        (FIXED, (LR, LR, Attribute(name="format")), (Decode(), Attribute(name="format"))),
    ],
)
def test_chains_become_simpler(dtype, operations, simpler):
    """What does nothing is left out, and what is done twice is done once."""
    assert simplified(operations, dtype) == simpler


@pytest.mark.parametrize(
    ("dtype", "operations"),
    [
        (FILES, (Decode(),)),
        (FILES, (Resize(height=4, width=4), SMALL)),
        (FILES, (LR, crop(0, 0, 2, 2))),
        (FILES, (crop(0, 0, 4, 4), crop(2, 2, 4, 4))),
        (FILES, (Pad(left=1, fill=3), Pad(left=1, fill=4))),
        (FILES, (SMALL, LR, crop(-9, 0, 20, 3))),
        (FILES, (CenterCrop(height=5, width=5), CenterCrop(height=3, width=3))),
        (FILES, (Decode(exif_transpose=False), LR, LR, ExifTranspose())),
        (FILES, (GREY, ToMode(mode="RGB"))),
        (FILES, (Rotate(angle=180.0),)),
        (FILES, (SMALL, GREY, AsImage(), ToMode(mode="RGB"))),
        (pa.int64(), ()),
    ],
)
def test_chains_that_matter_stay(dtype, operations):
    """What changes a pixel, or could, is kept."""
    assert simplified(operations, dtype) == operations


def test_a_decode_never_becomes_the_first_by_leaving_others_out():
    """The first decode sees the file and a later one pixels, which are not always the same."""
    assert simplified((LR, LR, Decode(mode="RGB")), FILES) == (ToMode(mode="RGB"),)
    assert simplified((LR, LR, Decode(exif_transpose=False)), FILES) == (Decode(),)
