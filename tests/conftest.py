"""What tests of all folders share."""

import pytest

from lightdata.config import config


@pytest.fixture
def exact_pixels():
    """Pillow's own pixels, for tests whose expectations Pillow makes."""
    before = config().exact_pixels
    config(exact_pixels=True)
    yield
    config(exact_pixels=before)
