"""A diagram of boxes in groups, in the language of Mermaid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_SPECIAL = str.maketrans({mark: f"#{ord(mark)};" for mark in '"#&<>[](){}|`\\;'} | {"\n": "<br/>", "\r": "", "\t": " "})
"""What would end a label, or be read as more than text."""


class Box(NamedTuple):
    """A box with words in it."""

    name: str
    """A word of letters and digits, of its own."""

    words: str
    group: str | None = None
    """The group it stands in."""


def draw_mermaid(boxes: Sequence[Box], arrows: Sequence[tuple[str, str]]) -> str:
    """Draw boxes, the groups around them, and arrows between them.

    >>> print(draw_mermaid([Box("n0", "scan"), Box("n1", 'col("a")', "stage 1 here")], [("n0", "n1")]))
    graph TD
      n0["scan"]
      subgraph s1["stage 1 here"]
        n1["col#40;#34;a#34;#41;"]
      end
      n0 --> n1
    """
    lines = ["graph TD", *(f"  {_box(one)}" for one in boxes if one.group is None)]
    groups = dict.fromkeys(one.group for one in boxes if one.group is not None)
    for number, group in enumerate(groups, start=1):
        lines.append(f"  subgraph s{number}[{_label(group)}]")
        lines += [f"    {_box(one)}" for one in boxes if one.group == group]
        lines.append("  end")
    return "\n".join([*lines, *(f"  {source} --> {target}" for source, target in arrows)])


def _box(box: Box) -> str:
    return f"{box.name}[{_label(box.words)}]"


def _label(words: str) -> str:
    return f'"{words.translate(_SPECIAL)}"'
