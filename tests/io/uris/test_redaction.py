"""What is shown of names that others chose keeps secrets and terminals safe."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightdata.io.uris.redaction import safe_text, safe_url, visible


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hidden@host/a",
        "https://hidden@host/a",
        "https://user:hid@hidden@host/a",
        "https://host/a?X-Amz-Signature=hidden",
        "https://host?sig=hidden",
        "https://host#hidden",
        "https://host/a?x=1#hidden",
        "s3://key:hidden@bucket/key",
        "https://user:hidden@[::1]:80/a?b=c@d/e",
        "simplecache::https://user:hidden@host/a",
    ],
)
def test_secrets_are_left_out(url):
    """Passwords, queries and fragments are not shown, alone or in a message of others."""
    assert "hidden" not in safe_url(url)
    assert "hidden" not in safe_text(f"cannot open <{url}>: no")


@pytest.mark.parametrize("path", ["a.jpg", "/photos/what?.jpg", "me@home/#1.png", "C:\\photos\\a.jpg", "ä 日本.png"])
def test_paths_are_shown_as_they_are(path):
    """What is no URL has no secrets."""
    assert safe_url(path) == path


def test_the_rest_of_a_url_is_shown():
    """Scheme, server, port and path tell which file it was."""
    assert safe_url("https://u:p@host:8080/a/b.jpg?x") == "https://…@host:8080/a/b.jpg?…"


@given(st.text())
def test_nothing_shown_steers_a_terminal(text):
    """Whatever a name holds, what is shown of it can be seen, and is all of one line."""
    for shown in (visible(text), safe_url(text), safe_text(text)):
        assert not {unicodedata.category(one) for one in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        assert len(shown.splitlines()) <= 1
