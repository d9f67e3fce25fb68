"""A diagram of boxes in groups, in the language of Mermaid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_SPECIAL = str.maketrans(
    {mark: f"#{ord(mark)};" for mark in '"#&<>[]`'} | {"\n": "<br/>", "\r": "", "\t": " "},
)
"""What would end a label, or be read as more than text."""


class Box(NamedTuple):
    """A box with words in it."""

    name: str
    """A word of letters and digits, of its own."""

    words: str
    group: str | None = None
    """The group it stands in."""


def draw_mermaid(groups: Sequence[str], boxes: Sequence[Box], arrows: Sequence[tuple[str, str]]) -> str:
    """Draw boxes, the groups around them that have any, and arrows between them.

    >>> boxes = [Box("n0", "scan"), Box("n1", 'col("a")', "stage 1 here")]
    >>> print(draw_mermaid(["stage 1 here"], boxes, [("n0", "n1")]))
    graph TD
      n0["scan"]
      subgraph s1["stage 1 here"]
        n1["col(#34;a#34;)"]
      end
      n0 --> n1
    """
    lines = ["graph TD", *(f"  {_box(one)}" for one in boxes if one.group is None)]
    for number, group in enumerate(groups, start=1):
        if inside := [f"    {_box(one)}" for one in boxes if one.group == group]:
            lines += [f"  subgraph s{number}[{_label(group)}]", *inside, "  end"]
    return "\n".join([*lines, *(f"  {source} --> {target}" for source, target in arrows)])


def _box(box: Box) -> str:
    return f"{box.name}[{_label(box.words)}]"


def _label(words: str) -> str:
    return f'"{words.translate(_SPECIAL)}"'
