"""docs/inference.md: its blocks run."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs/inference.md"


def test_the_blocks_of_the_page_run(monkeypatch, capsys):
    """Every block of Python runs, one after another, from the repository's folder."""
    monkeypatch.chdir(PAGE.parents[1])
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 5
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    assert "40 images in" in capsys.readouterr().out
