"""What decoders warned of: how many files, by kind, and which first. A value that adds up, travels and stays small."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from itertools import pairwise
from typing import NamedTuple, Self

NAMES = 10
"""Files of each kind that are named."""

MOST_KINDS = 100
"""Kinds that are told apart; whatever else there is goes under one."""

_RECENT = 4096
_MOST_WORDS = 300
_NUMBER = re.compile(r"\d+")


class Kind(NamedTuple):
    """Warnings that differ by numbers alone."""

    source: str
    """The class of the warning, or the library that it came from."""

    pattern: str
    """What it says, without the numbers."""


class Example(NamedTuple):
    """One file, and what was said of it."""

    uri: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Cases:
    """The files of one kind."""

    named: int = 0
    """How many are known by name."""

    unnamed: int = 0
    """Cases of files whose name is not known; they may be the same."""

    first: tuple[Example, ...] = ()
    """The first by name: the same whoever was faster."""

    @property
    def files(self) -> int:
        """How many there are, as far as that can be told."""
        return max(self.named, self.unnamed)

    def __add__(self, other: Cases) -> Cases:
        both = nsmallest(NAMES + 1, (*self.first, *other.first), key=_by_name)
        # A file whose rows fall into several tasks is told of by each of them.
        first = [*both[:1], *(one for before, one in pairwise(both) if one.uri != before.uri)]
        again = sum(one.uri is not None for one in both) - sum(one.uri is not None for one in first)
        return Cases(self.named + other.named - again, self.unnamed + other.unnamed, tuple(first[:NAMES]))


@dataclass(slots=True)
class Warned:
    """All kinds."""

    kinds: dict[Kind, Cases] = field(default_factory=dict)
    _recent: set[tuple[Kind, str]] = field(default_factory=set, compare=False, repr=False)
    """Files that were told of lately: a header and its pixels may both be warned of."""

    def note(self, heard: Iterable[tuple[str, str]], uri: str | None) -> None:
        """Take note of what was said of one image: pairs of source and message.

        >>> warned = Warned()
        >>> warned.note([("UserWarning", "expected 4 bytes, got 2")], "b.jpg")
        >>> warned.note([("UserWarning", "expected 8 bytes, got 1")], "a.jpg")
        >>> [(cases.files, cases.first[0].uri) for _, cases in warned]
        [(2, 'a.jpg')]
        """
        kinds: dict[Kind, str] = {}
        for source, message in heard:
            words = _shown(message)
            kinds.setdefault(Kind(source, _NUMBER.sub("#", words)), words)
        for kind, words in kinds.items():
            if kind in self.kinds or len(self.kinds) < MOST_KINDS:
                self._add(kind, Example(uri, words))
            else:
                self._add(Kind("others", ""), Example(uri, "warnings of other kinds"))

    def _add(self, kind: Kind, example: Example) -> None:
        if example.uri is not None:
            if (kind, example.uri) in self._recent:
                return
            if len(self._recent) >= _RECENT:
                self._recent.clear()
            self._recent.add((kind, example.uri))
        case = Cases(int(example.uri is not None), int(example.uri is None), (example,))
        self.kinds[kind] = self.kinds.get(kind, Cases()) + case

    def __add__(self, other: Self) -> Self:
        if not other.kinds:
            return self
        names = [*self.kinds, *(kind for kind in other.kinds if kind not in self.kinds)]
        return replace(
            self, kinds={kind: self.kinds.get(kind, Cases()) + other.kinds.get(kind, Cases()) for kind in names}
        )

    def __getstate__(self) -> dict[Kind, Cases]:
        return self.kinds

    def __setstate__(self, kinds: dict[Kind, Cases]) -> None:
        self.kinds, self._recent = kinds, set()

    def __iter__(self) -> Iterator[tuple[Kind, Cases]]:
        """List kinds, those of most files first."""
        return iter(sorted(self.kinds.items(), key=lambda one: (-one[1].files, one[0])))


def _by_name(example: Example) -> tuple[bool, str, str]:
    return example.uri is None, example.uri or "", example.message


def _shown(message: str) -> str:
    """Keep what a terminal can show on one line: decoders quote what files say."""
    short = message if len(message) <= _MOST_WORDS else f"{message[: _MOST_WORDS - 1]}…"
    if short.isprintable():
        return short
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in short)
