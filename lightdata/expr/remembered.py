"""What was found of a value that never changes, kept for as long as the value exists."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial, wraps
from typing import TypeVar

_Value = TypeVar("_Value")
_Found = TypeVar("_Found")


def remembered(find: Callable[[_Value], _Found]) -> Callable[[_Value], _Found]:
    """Let a function of one frozen value answer at once where it is asked of an object again; errors are not kept.

    Objects are told apart by what they are, not by what they equal: to hash a plan or an expression costs more than
    most of what is asked of it.

    >>> asked = []
    >>> @remembered
    ... def size(value: frozenset) -> int:
    ...     asked.append(value)
    ...     return len(value)
    >>> value = frozenset("ab")
    >>> size(value), size(value), len(asked)
    (2, 2, 1)
    """
    known: dict[int, tuple[weakref.ref[_Value], _Found]] = {}

    @wraps(find)
    def ask(value: _Value) -> _Found:
        number = id(value)
        held = known.get(number)
        if held is not None and held[0]() is value:
            return held[1]
        found = find(value)
        # Nothing in Python runs when the value goes: a Ctrl-C that came just then would be lost. Until this has run,
        # nobody else has its number.
        known[number] = (weakref.ref(value, partial(known.pop, number)), found)
        return found

    return ask
