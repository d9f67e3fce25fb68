"""The page of formats."""

import importlib.util
from pathlib import Path

import pytest

from lightdata.dataset.run import executed_by
from lightdata.execute.inline import InlineExecutor

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def page():
    """The page as the code would write it now."""
    spec = importlib.util.spec_from_file_location("make_formats", DOCS / "make_formats.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with executed_by(lambda _, log: InlineExecutor(log)):
        return module.page()


def test_the_page_of_formats_is_what_the_code_does(page):
    """docs/formats.md is what docs/make_formats.py writes, round trips and all."""
    assert (DOCS / "formats.md").read_text() == page


def test_parquet_and_arrow_keep_every_type(page):
    """In the table of round trips both have nothing but "kept"."""
    kept = page.partition("## What is kept")[2].splitlines()
    rows = [line.split(" | ") for line in kept if line.startswith("| ") and not line.startswith("| column of")]
    assert len(rows) > 15
    assert {(row[1], row[2]) for row in rows} == {("kept", "kept")}
