"""Image operations against Pillow and torchvision's definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lightdata.kernels.geometry import apply
from lightdata.kernels.raster import Raster
from lightdata.kernels.resize import INTERPOLATIONS
from lightdata.types.image_spec import MODES, pixel_shape
from lightdata.types.operation import (
    AsImage,
    CenterCrop,
    Crop,
    ExifTranspose,
    FlipLeftRight,
    FlipUpDown,
    ImageOperation,
    Known,
    Letterbox,
    Pad,
    Resize,
    ResizeShortest,
    Rotate,
    ToMode,
)


def pixels_of(mode, height=9, width=14):
    dtype = MODES[mode][0]
    high = {"I;16": 65536, "I": 65536}.get(mode, 256)
    return np.random.default_rng(5).integers(0, high, pixel_shape(mode, height, width)).astype(dtype)


pytestmark = pytest.mark.usefixtures("exact_pixels")


def picture(mode="RGB", height=9, width=14):
    return Image.fromarray(pixels_of(mode, height, width))


def run(operation, image):
    return applied(operation, image).array()


def applied(operation, image):
    """Carry an operation out on an image as Pillow has it, and on its array: the result is the same."""
    of_pillow = apply(operation, Raster(image))
    of_array = apply(operation, Raster(np.asarray(image), image.mode))
    assert of_pillow.mode == of_array.mode
    assert np.array_equal(of_pillow.array(), of_array.array())
    assert (of_array.height, of_array.width) == of_array.array().shape[:2]
    return of_array


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "F", "I"])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_resize_is_that_of_pillow(mode, interpolation):
    """Resizing gives Pillow's pixels for every filter and mode."""
    image = picture(mode)
    wanted = image.resize((5, 7), INTERPOLATIONS[interpolation])
    found = run(Resize(height=7, width=5, interpolation=interpolation), image)
    assert np.array_equal(found, np.asarray(wanted))


def test_resize_keeps_sixteen_bits():
    """16-bit grey is resized in 16 bits, within one level of the same done in floats, and never wraps around."""
    image = picture("I;16")
    wanted = np.asarray(Image.fromarray(np.asarray(image).astype(np.float32)).resize((5, 7), Image.Resampling.LANCZOS))
    found = run(Resize(height=7, width=5, interpolation="lanczos"), image)
    assert found.dtype == np.uint16
    assert np.abs(found - wanted.clip(0, 65535)).max() <= 1


@pytest.mark.parametrize(
    ("size", "target"),
    [((480, 640), (256, 341)), ((640, 480), (341, 256)), ((375, 500), (256, 341)), ((1, 1000), (256, 256000))],
)
def test_resize_shortest_truncates_the_longer_side(size, target):
    """The longer side is truncated as torchvision does, never rounded."""
    assert ResizeShortest(size=256).target(*size) == target


@pytest.mark.parametrize(("height", "width"), [(7, 50), (50, 7), (9, 9), (300, 1)])
def test_resize_shortest_never_makes_an_empty_image(height, width):
    """The shorter side has the size asked for, and no side is ever empty."""
    found = applied(ResizeShortest(size=3), picture(height=height, width=width))
    assert min(found.height, found.width) == 3
    assert ResizeShortest(size=3).known(Known("RGB", height, width)) == ("RGB", found.height, found.width)


def center_cropped(pixels, height, width):
    """Crop the centre by the definition of torchvision."""
    rows, columns = pixels.shape[:2]
    if width > columns or height > rows:
        left, top = max((width - columns) // 2, 0), max((height - rows) // 2, 0)
        right, bottom = max((width - columns + 1) // 2, 0), max((height - rows + 1) // 2, 0)
        pixels = np.pad(pixels, [(top, bottom), (left, right)] + [(0, 0)] * (pixels.ndim - 2))
        rows, columns = pixels.shape[:2]
    top, left = round((rows - height) / 2.0), round((columns - width) / 2.0)
    return pixels[top : top + height, left : left + width]


@pytest.mark.parametrize("height", [1, 2, 7, 8, 9, 10, 11, 12, 13, 20])
@pytest.mark.parametrize("width", [1, 4, 5, 14, 15, 16, 17, 31])
def test_center_crop_is_that_of_torchvision(height, width):
    """Centred cuts fall on torchvision's pixels, also where the cut is larger than the image on one side or both."""
    found = run(CenterCrop(height=height, width=width), picture())
    assert np.array_equal(found, center_cropped(pixels_of("RGB"), height, width))


@pytest.mark.parametrize("mode", MODES)
def test_crop_outside_is_black(mode):
    """What a crop takes from outside the image is zero in every mode."""
    pixels = pixels_of(mode)
    found = run(Crop(top=-2, left=3, height=13, width=20), picture(mode))
    wanted = np.zeros_like(found)
    wanted[2:11, :11] = pixels[:, 3:]
    assert found.dtype == pixels.dtype
    assert np.array_equal(found, wanted)


def test_crop_entirely_outside():
    """A crop beside the image is all black."""
    assert not run(Crop(top=100, left=100, height=3, width=4), picture()).any()


@pytest.mark.parametrize("mode", MODES)
def test_pad_adds_a_border_of_one_level(mode):
    """A border surrounds the unchanged image; alpha in it is opaque."""
    pixels = pixels_of(mode)
    found = run(Pad(left=1, top=2, right=3, bottom=4, fill=200), picture(mode))
    assert found.shape[:2] == (9 + 6, 14 + 4)
    assert np.array_equal(found[2:-4, 1:-3], pixels)
    corner = np.atleast_1d(found[0, 0]).tolist()
    assert corner == ([200, 255] if mode == "LA" else [200, 200, 200, 255] if mode == "RGBA" else [200] * len(corner))


@pytest.mark.parametrize(
    ("size", "box", "inner"),
    [((9, 14), (28, 28), (18, 28, 5, 0)), ((14, 9), (28, 28), (28, 18, 0, 5)), ((9, 14), (9, 14), (9, 14, 0, 0))],
)
def test_letterbox_fits_and_centres(size, box, inner):
    """The image is scaled to fit, centred, and the rest has the fill; the alpha of the rest is opaque."""
    image = picture("RGB", *size)
    found = run(Letterbox(height=box[0], width=box[1], fill=114), image)
    height, width, top, left = inner
    wanted = np.full((*box, 3), 114, np.uint8)
    scaled = image if size == box else image.resize((width, height), Image.Resampling.BILINEAR)
    wanted[top : top + height, left : left + width] = np.asarray(scaled)
    assert np.array_equal(found, wanted)


@settings(deadline=None, max_examples=50)
@given(*[st.integers(1, 300)] * 2, *[st.integers(1, 40)] * 2)
def test_a_letterbox_lies_where_it_says(height, width, box_height, box_width):
    """Every pixel of the place is the image's and every other is filled; one side of the rectangle is full."""
    step = Letterbox(height=box_height, width=box_width, fill=7)
    place = step.placed(height, width)
    found = run(step, Image.new("L", (width, height), 200))
    wanted = np.full((box_height, box_width), 7, np.uint8)
    wanted[place.top : place.top + place.height, place.left : place.left + place.width] = 200
    assert np.array_equal(found, wanted)
    assert place.height == box_height or place.width == box_width
    assert step.target(height, width) == (place.height, place.width)


def test_letterbox_of_extreme_ratios():
    """A line of pixels still has one pixel of height in its letterbox."""
    assert run(Letterbox(height=8, width=8), picture("RGB", 1, 500)).shape == (8, 8, 3)


@pytest.mark.parametrize("mode", MODES)
def test_flips(mode):
    """Flips mirror the array and keep the mode."""
    pixels = pixels_of(mode)
    assert np.array_equal(run(FlipLeftRight(), picture(mode)), pixels[:, ::-1])
    assert np.array_equal(run(FlipUpDown(), picture(mode)), pixels[::-1])


@pytest.mark.parametrize("mode", MODES)
def test_rotate_half_a_turn(mode):
    """Half a turn is exact in every mode, and the size stays."""
    assert np.array_equal(run(Rotate(angle=180), picture(mode)), pixels_of(mode)[::-1, ::-1])


def test_rotate_is_counter_clockwise_and_fills():
    """A quarter turn of a square is NumPy's rot90; other angles keep the size and fill the corners."""
    square = pixels_of("RGB", 9, 9)
    assert np.array_equal(run(Rotate(angle=90), Image.fromarray(square)), np.rot90(square))
    turned = run(Rotate(angle=45, fill=77), Image.fromarray(square))
    assert turned.shape == square.shape
    assert turned[0, 0].tolist() == [77, 77, 77]


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("mode", MODES)
def test_rotate_in_every_mode(mode, interpolation):
    """Every mode can be turned with every filter and keeps its mode."""
    found = applied(Rotate(angle=30, interpolation=interpolation, fill=9), picture(mode))
    assert (found.mode, found.height, found.width) == (mode, 9, 14)


OPERATIONS = [
    Resize(height=3, width=4),
    ResizeShortest(size=5),
    Crop(top=1, left=2, height=3, width=4),
    CenterCrop(height=20, width=3),
    Pad(left=1, fill=3),
    Letterbox(height=8, width=5),
    FlipLeftRight(),
    FlipUpDown(),
    Rotate(angle=33),
    ToMode(mode="L"),
    ToMode(mode="RGB"),
    ExifTranspose(),
]


@pytest.mark.parametrize("operation", OPERATIONS, ids=repr)
@pytest.mark.parametrize("mode", MODES)
def test_the_plan_knows_what_the_kernel_makes(operation, mode):
    """What a plan says of an operation's result is true of the pixels, in every mode."""
    image = picture(mode)
    known = operation.known(Known(mode, 9, 14))
    found = applied(operation, image)
    for said, true in zip(known, (found.mode, found.height, found.width), strict=True):
        assert said in (None, true)


def test_operations_leave_their_input_alone():
    """No operation changes the image it is given."""
    for operation in OPERATIONS:
        image = picture()
        applied(operation, image)
        assert np.array_equal(np.asarray(image), pixels_of("RGB"))


def test_unknown_operation_says_what_to_add():
    """An operation without a kernel is a programming error that names itself."""

    class Sharpen(ImageOperation):
        pass

    with pytest.raises(TypeError, match="Sharpen"):
        apply(Sharpen(), Raster(picture()))
    assert AsImage().known(Known("RGB", 1, 1)) == Known()
