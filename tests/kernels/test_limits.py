"""What a file may ask for, and what is said of one that asks for more."""

import io

import pytest
from PIL import Image

from lightdata.config import config
from lightdata.errors import DecodeError, LimitError
from lightdata.kernels.decode import to_pixels
from lightdata.kernels.header import read_header
from lightdata.kernels.limits import FREE_BYTES, FREE_PIXEL_BYTES, check_expansion, check_file_bytes, check_pixels


def test_a_limit_is_told_with_what_was_found_and_how_to_raise_it(settings):
    """The error names figure, setting, value and what to do, and is a DecodeError with a code of its own."""
    config(max_file_bytes=1000)
    with pytest.raises(LimitError) as caught:
        check_file_bytes(2_000_000, "a member", "a.zip::b")
    assert str(caught.value) == (
        "a.zip::b: 2,000,000 bytes of a member are more than max_file_bytes=1000; "
        "raise it with config(max_file_bytes=...)"
    )
    assert isinstance(caught.value, DecodeError)
    assert caught.value.code == "over_limit"
    check_file_bytes(1000)


def test_what_comes_to_little_may_expand_from_anything(settings):
    """A ratio is only looked at beyond what is little anyway."""
    check_expansion(1, FREE_BYTES)
    check_expansion(FREE_BYTES, 200 * FREE_BYTES)
    with pytest.raises(LimitError, match=r"16,777,217 bytes out of 1 bytes .* more than max_expansion=200"):
        check_expansion(1, FREE_BYTES + 1)
    config(max_expansion=float("inf"))
    check_expansion(1, 1 << 60)
    side = 4000
    assert side * side * 3 < FREE_PIXEL_BYTES
    check_pixels(side, side, 3, 10)
    with pytest.raises(LimitError, match="more than max_image_expansion=100000"):
        check_pixels(8192, 8289, 3, 425)


def test_images_that_pillow_warns_of_are_decoded_without_a_word(settings, caplog):
    """Whether an image is too large is for the limit to say: between Pillow's warning and its refusal none is told."""
    out = io.BytesIO()
    Image.new("1", (12_000, 9_000)).save(out, "TIFF", compression="group4")  # as many pixels as phones have
    header = read_header(out.getvalue())
    assert to_pixels(header).shape == (9_000, 12_000)
    assert caplog.text == ""
    config(max_image_pixels=100_000_000)
    with pytest.raises(LimitError, match=r"12000x9000 pixels are more than max_image_pixels=100000000; raise it"):
        read_header(out.getvalue())


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "GIF", "JPEG"])
def test_blank_pages_are_no_bombs(form):
    """A page of one colour, as large as scanners make them, is decoded in every format."""
    out = io.BytesIO()
    Image.new("RGB", (5000, 7000), "white").save(out, form, **({"lossless": True} if form == "WEBP" else {}))
    assert to_pixels(read_header(out.getvalue())).shape == (7000, 5000, 3)
