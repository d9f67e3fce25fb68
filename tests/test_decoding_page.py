"""The page of what image files become."""

import importlib.util
from pathlib import Path

from lightdata.dataset.run import executed_by
from lightdata.execute.inline import InlineExecutor

DOCS = Path(__file__).parent.parent / "docs"


def test_the_page_of_decoding_is_what_the_code_does():
    """docs/decoding.md is what docs/make_decoding.py writes of files that it reads."""
    spec = importlib.util.spec_from_file_location("make_decoding", DOCS / "make_decoding.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with executed_by(lambda _, log: InlineExecutor(log)):
        page = module.page()
    assert (DOCS / "decoding.md").read_text() == page
    assert "| 16 x 24 | uint16, 0 to 65535 | uint8, 256 values |" in page  # 16-bit grey is scaled, not clipped
