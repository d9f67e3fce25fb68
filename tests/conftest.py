"""What tests of all folders share."""

import pytest

from lightdata.config import config, config_from


@pytest.fixture(autouse=True)
def settings_stay():
    """Whatever a test changes, the next one finds the settings as they were."""
    before = config()
    yield
    config_from(before)


@pytest.fixture
def settings():
    """Settings that a test may change: afterwards they are as they were."""


@pytest.fixture
def exact_pixels():
    """Pillow's own pixels, for tests whose expectations Pillow makes."""
    before = config().exact_pixels
    config(exact_pixels=True)
    yield
    config(exact_pixels=before)
